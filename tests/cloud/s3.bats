load helpers

@test "the AWS CLI makes a bucket, copies, lists, syncs, moves and removes" {
	start_cloud
	aws s3 mb s3://bucket
	mkdir -p tree/below
	echo one >tree/1
	echo two >"tree/below/a b+c=%25&ü€"
	aws s3 sync --no-progress tree s3://bucket/tree
	[[ $(aws s3 ls) == *bucket ]]
	[ "$(aws s3 ls s3://bucket/tree/ | awk '{print $NF}' | xargs)" = "below/ 1" ]
	[ "$(aws s3 ls --recursive s3://bucket | wc -l)" = 2 ]
	aws s3 cp --no-progress --recursive s3://bucket/tree back
	diff -r tree back
	aws s3 mv --no-progress s3://bucket/tree/1 s3://bucket/2
	[ "$(aws s3 cp s3://bucket/2 -)" = one ]
	run -1 aws s3 cp s3://bucket/tree/1 -
	run ! aws s3 rb s3://bucket
	[[ $output == *BucketNotEmpty* ]]
	aws s3 rm --recursive s3://bucket
	aws s3 rb s3://bucket
	[ -z "$(aws s3 ls)" ]
}

@test "the AWS CLI sends 20 MB in parts, and gets them back" {
	start_cloud
	aws s3 mb s3://bucket
	head -c 20000000 /dev/urandom >big
	aws s3 cp --no-progress big s3://bucket/big
	aws s3 cp --no-progress s3://bucket/big back
	cmp big back
	[ "$(counter s3 UploadPart requests)" -ge 2 ]
	[ "$(counter s3 UploadPart bytes_in)" = 20000000 ]
	id=$(aws s3api create-multipart-upload --bucket bucket --key other --query UploadId --output text)
	head -c 100 big >part
	aws s3api upload-part --bucket bucket --key other --upload-id "$id" --part-number 7 --body part
	[ "$(aws s3api list-parts --bucket bucket --key other --upload-id "$id" --query 'Parts[].[PartNumber,Size]' --output text)" = "7	100" ]
	[ "$(aws s3api list-multipart-uploads --bucket bucket --query 'Uploads[].Key' --output text)" = other ]
	aws s3api abort-multipart-upload --bucket bucket --key other --upload-id "$id"
	run ! aws s3api list-parts --bucket bucket --key other --upload-id "$id"
	[[ $output == *NoSuchUpload* ]]
}

@test "an upload's parts must be there, in order, and large enough" {
	start_cloud
	request PUT /bucket
	id=$(request POST "/bucket/key?uploads" | sed -n 's/.*<UploadId>\(.*\)<.UploadId>.*/\1/p')
	head -c 5242880 /dev/zero >large
	echo small >small
	large_etag=$(md5sum large | cut -c1-32) small_etag=$(md5sum small | cut -c1-32)
	complete() {
		local at=0 body="<CompleteMultipartUpload>"
		while [ $# -gt 0 ]; do
			body+="<Part><ETag>&quot;$2&quot;</ETag><PartNumber>$1</PartNumber></Part>"
			shift 2
		done
		echo "$body</CompleteMultipartUpload>" >complete.xml
		request POST "/bucket/key?uploadId=$id" "If-None-Match:*" @complete.xml
	}
	request PUT "/bucket/key?partNumber=1&uploadId=$id" @small
	request PUT "/bucket/key?partNumber=2&uploadId=$id" @large
	request PUT "/bucket/key?partNumber=3&uploadId=$id" @small
	[[ $(complete 2 $large_etag 9 $small_etag) == 400*InvalidPart* ]]
	[[ $(complete 2 $small_etag) == 400*InvalidPart* ]]
	[[ $(complete 3 $small_etag 2 $large_etag) == 400*Invalid*Order* || $(complete 3 $small_etag 2 $large_etag) == 400*EntityTooSmall* ]]
	[[ $(complete 1 $small_etag 2 $large_etag) == 400*EntityTooSmall* ]]
	[[ $(complete) == 400*MalformedXML* ]]
	[[ $(complete 2 $large_etag 3 $small_etag) == 200*-2* ]]
	[ "$(request GET /bucket/key | tr -d '\0')" = "200 small" ]
	id=$(request POST "/bucket/key?uploads" | sed -n 's/.*<UploadId>\(.*\)<.UploadId>.*/\1/p')
	request PUT "/bucket/key?partNumber=3&uploadId=$id" @small
	[[ $(complete 3 $small_etag) == 412* ]]
	[[ $(request PUT "/bucket/key?partNumber=10001&uploadId=$id" @small) == 400* ]]
	[[ $(request PUT "/bucket/key?partNumber=1&uploadId=other" @small) == 404*NoSuchUpload* ]]
}

@test "If-None-Match: * writes once, and of many at a time one wins" {
	start_cloud
	request PUT /bucket
	echo one >1
	echo two >2
	[[ $(request PUT /bucket/key "If-None-Match:*" @1) == 200* ]]
	[[ $(request PUT /bucket/key "If-None-Match:*" @2) == 412*PreconditionFailed* ]]
	[[ $(request PUT /bucket/key "If-None-Match:\"etag\"" @2) == 501* ]]
	[[ $(request GET /bucket/key) == "200 one"* ]]
	for i in {1..8}; do
		request PUT /bucket/race "If-None-Match:*" @1 >answer.$i 3>&- &
	done
	wait $(jobs -p | grep -vx $cloud_pid)
	[ "$(grep -l ^200 answer.* | wc -l)" = 1 ]
	[ "$(grep -l ^412 answer.* | wc -l)" = 7 ]
}

@test "bodies are held against their checksums" {
	start_cloud
	request PUT /bucket
	printf 'abc' >body
	[[ $(request PUT /bucket/a "x-amz-checksum-sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" @body) == 200* ]]
	[[ $(request PUT /bucket/b "x-amz-checksum-sha256:vngWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" @body) == 400*BadDigest* ]]
	[[ $(request PUT /bucket/b "x-amz-checksum-crc32:NSRBwg==" @body) == 200* ]]
	[[ $(request PUT /bucket/c "x-amz-checksum-crc32:NSRBwQ==" @body) == 400*BadDigest* ]]
	[[ $(request PUT /bucket/c "Content-MD5:AAAAAAAAAAAAAAAAAAAAAA==" @body) == 400*BadDigest* ]]
	[[ $(request HEAD /bucket/c) == 404* ]]
	echo '<Delete><Object><Key>a</Key></Object></Delete>' >delete.xml
	[[ $(request POST "/bucket?delete" @delete.xml) == 400*Content-MD5* ]]
	[[ $(request POST "/bucket?delete" "Content-MD5:$(openssl md5 -binary delete.xml | base64)" @delete.xml) == 200*"<Key>a</Key>"* ]]
	[[ $(request HEAD /bucket/a) == 404* ]]
}

@test "an upload in unsigned chunks with its checksum behind them, as new clients send it" {
	start_cloud
	request PUT /bucket
	python3 - <<-'PYTHON'
		import client
		connection = client.Connection()
		def put(key, chunks, length=8):
		    headers = {"Content-Encoding": "aws-chunked", "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(length)}
		    signed = client.sign("PUT", key, headers, trailer=True)
		    return connection.send("PUT", key, signed, chunks)[0]
		good = b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\nx-amz-checksum-crc32:ru8qUA==\r\n\r\n"
		assert put("/bucket/good", good) == 200
		assert put("/bucket/bad", good.replace(b"ru8", b"ru9")) == 400
		assert put("/bucket/bad", good.replace(b"abc", b"abd")) == 400
		assert put("/bucket/bad", good.replace(b"crc32", b"sha1")) == 403
		assert put("/bucket/bad", good[:-2]) == 403
		assert put("/bucket/bad", good + b"more") == 403
		assert put("/bucket/bad", good, 9) == 403
	PYTHON
	[ "$(request GET /bucket/good)" = "200 abcdefgh" ]
	[[ $(request GET /bucket/bad) == 404* ]]
}

@test "ranges and conditions of a read" {
	start_cloud
	request PUT /bucket
	printf '0123456789' >body
	request PUT /bucket/key @body
	etag=781e5e245d69b566979b86e28d23f2c7
	[ "$(request GET /bucket/key Range:bytes=2-4)" = "206 234" ]
	[ "$(request GET /bucket/key Range:bytes=8-99)" = "206 89" ]
	[ "$(request GET /bucket/key Range:bytes=7-)" = "206 789" ]
	[ "$(request GET /bucket/key Range:bytes=-1)" = "206 9" ]
	[ "$(request GET /bucket/key Range:lines=1-2)" = "200 0123456789" ]
	[[ $(request GET /bucket/key Range:bytes=10-) == 416*InvalidRange* ]]
	[[ $(request GET /bucket/key "If-None-Match:\"$etag\"") == 304* ]]
	[[ $(request GET /bucket/key "If-Match:\"$etag\"") == 200* ]]
	[[ $(request GET /bucket/key "If-Match:\"other\"") == 412* ]]
	[[ $(request GET /bucket/none) == 404*NoSuchKey* ]]
	[[ $(request GET /other/key) == 404*NoSuchBucket* ]]
	[[ $(request GET "/bucket/key?acl") == 501*NotImplemented* ]]
	[[ $(request GET "/bucket/key?versionId=1") == 501* ]]
}

@test "lists by prefix, delimiter and page, in the order of bytes" {
	start_cloud
	request PUT /bucket
	for key in a b/1 b/2 b/c/3 d e%20%2B "%C3%BC"; do
		request PUT /bucket/$key
	done
	keys() { request GET "/bucket?list-type=2$1" | grep -o '<\(Key\|Prefix\|NextContinuationToken\)>[^<]*' | sed 's/.*>//' | grep . | xargs; }
	[ "$(keys "")" = "a b/1 b/2 b/c/3 d e + ü" ]
	[ "$(keys "&encoding-type=url")" = "a b/1 b/2 b/c/3 d e%20%2B %C3%BC" ]
	[ "$(keys "&delimiter=%2F")" = "a d e + ü b/" ]
	[ "$(keys "&prefix=b%2F&delimiter=%2F")" = "b/ b/1 b/2 b/c/" ]
	[ "$(keys "&prefix=b%2F&start-after=b%2F1")" = "b/ b/2 b/c/3" ]
	[ "$(keys "&prefix=none")" = none ]
	# Page by page, a common prefix at the end of one.
	token= all=
	for i in 1 2 3 4 5 6; do
		page=$(keys "&delimiter=%2F&max-keys=1${token:+&continuation-token=$token}")
		set -- $page
		case $i in 5) [ $# = 1 ]; break ;; esac
		token=$(printf '%s\n' "$@" | grep -E '^[0-9a-f]{2,}$' | grep -vx '[ad]')
		all+=" $(printf '%s\n' "$@" | grep -vx "$token" | xargs)"
	done
	[ "$all" = " a b/ d e +" ]
	[[ $(request GET "/bucket?list-type=2&continuation-token=x") == 400* ]]
}

@test "a bucket's configuration is kept and given back" {
	start_cloud
	aws s3 mb s3://bucket
	run ! aws s3api get-bucket-lifecycle-configuration --bucket bucket
	[[ $output == *NoSuchLifecycleConfiguration* ]]
	aws s3api put-bucket-lifecycle-configuration --bucket bucket --lifecycle-configuration \
		'{"Rules":[{"ID":"old","Filter":{"Prefix":"x/"},"Status":"Enabled","Expiration":{"Days":30}}]}'
	[ "$(aws s3api get-bucket-lifecycle-configuration --bucket bucket --query 'Rules[].Expiration.Days' --output text)" = 30 ]
	aws s3api delete-bucket-lifecycle --bucket bucket
	run ! aws s3api get-bucket-lifecycle-configuration --bucket bucket
	aws s3api put-public-access-block --bucket bucket --public-access-block-configuration BlockPublicAcls=true
	[ "$(aws s3api get-public-access-block --bucket bucket --query PublicAccessBlockConfiguration.BlockPublicAcls)" = true ]
	aws s3api put-bucket-policy --bucket bucket --policy '{"Version":"2012-10-17","Statement":[]}'
	[[ $(aws s3api get-bucket-policy --bucket bucket --query Policy --output text) == *2012-10-17* ]]
	aws s3api put-bucket-tagging --bucket bucket --tagging 'TagSet=[{Key=a,Value=b}]'
	[ "$(aws s3api get-bucket-tagging --bucket bucket --query 'TagSet[].Value' --output text)" = b ]
	[ "$(aws s3api get-bucket-encryption --bucket bucket --output text | awk '/APPLY/ {print $2}')" = AES256 ]
	aws s3api get-bucket-location --bucket bucket
}

@test "a presigned URL is all a client needs" {
	start_cloud
	aws s3 mb s3://bucket
	echo content >file
	aws s3 cp --no-progress file "s3://bucket/a file"
	url=$(aws s3 presign "s3://bucket/a file")
	[ "$(curl -sS --http1.1 --cacert "$AWS_CA_BUNDLE" "$url")" = content ]
	[ "$(curl -sS --http2 --cacert "$AWS_CA_BUNDLE" "$url")" = content ]
	[[ $(curl -sS --cacert "$AWS_CA_BUNDLE" "${url%?}x") == *SignatureDoesNotMatch* ]]
	[[ $(curl -sS --cacert "$AWS_CA_BUNDLE" "${url%%\?*}") == *AccessDenied* ]]
}

@test "a bucket may be in the host's name" {
	start_cloud
	request PUT /bucket
	echo content >file
	request PUT /bucket/key @file
	port=${AWS_ENDPOINT_URL##*:}
	AWS_ENDPOINT_URL=https://bucket.s3.localhost:$port python3 - <<-'PYTHON'
		import socket
		find = socket.getaddrinfo
		socket.getaddrinfo = lambda host, *rest, **more: find("127.0.0.1", *rest, **more)
		import client
		status, _, body = client.Connection().send("GET", "/key", client.sign("GET", "/key"))
		assert (status, body) == (200, b"content\n"), (status, body)
	PYTHON
}
