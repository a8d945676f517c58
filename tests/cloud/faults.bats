load helpers

# tally N METHOD TARGET: how often each status came (0: none), and each body, of N requests on connections of their own.
tally() {
	python3 - "$@" <<-'PYTHON'
		import collections, http.client, ssl, sys
		import client
		n, method, target = int(sys.argv[1]), *sys.argv[2:4]
		all = collections.Counter()
		for _ in range(n):
		    try:
		        status, _, body = client.Connection().send(method, target, client.sign(method, target))
		        all[f"{status}:{body.decode(errors='replace') if status == 200 else ''}"] += 1
		    except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
		        all[type(error).__name__] += 1
		print(*sorted(f"{n} {what}" for what, n in all.items()), sep="\n")
	PYTHON
}

setup_object() {
	request PUT /bucket
	printf 'content' >file
	request PUT /bucket/key @file
}

@test "faults strike as often as ordered, by operation, and by the seed" {
	start_cloud --seed=7 --fault=s3.GetObject.error=300:500
	setup_object
	tally 100 GET /bucket/key >first
	grep -qE '^[23][0-9] 500:' first
	grep -q ' 200:content' first
	tally 20 HEAD /bucket/key | grep -q '^20 200:'
	control faults | grep -q '"rule":"s3.GetObject.error=300:500","asked":100,"struck":'
	stop_cloud
	rm -r state ready
	start_cloud --seed=7 --fault=s3.GetObject.error=300:500
	setup_object
	tally 100 GET /bucket/key | cmp - first
}

@test "each kind does what it says" {
	start_cloud
	setup_object
	order() {
		control faults -X DELETE
		control faults -d "[\"$1\"]"
	}
	order s3.GetObject.throttle=1000
	[[ $(request GET /bucket/key) == 503*SlowDown* ]]
	order s3.GetObject.error=1000:502
	[[ $(request GET /bucket/key) == 502* ]]
	order s3.GetObject.expired=1000
	[[ $(request GET /bucket/key) == 400*ExpiredToken* ]]
	order s3.GetObject.corrupt=1000
	[ "$(request GET /bucket/key)" = "200 conTent" ]
	order s3.GetObject.truncate=1000
	[ "$(request GET /bucket/key)" = "200 con" ]
	order s3.GetObject.cut=1000
	[ "$(tally 1 GET /bucket/key)" = "1 IncompleteRead" ]
	order s3.GetObject.refuse=1000
	[ "$(tally 1 GET /bucket/key)" = "1 RemoteDisconnected" ]
	order 's3.*.latency=1000:300'
	before=$(date +%s%N)
	[[ $(request GET /bucket/key) == 200* ]]
	[ $((($(date +%s%N) - before) / 1000000)) -ge 300 ]
	order s3.PutObject.lose-answer=1000
	run ! request PUT /bucket/done @file
	order s3.PutObject.error-after=1000:500
	[[ $(request PUT /bucket/done-too @file) == 500* ]]
	[[ $(request GET /bucket/done) == "200 content" ]]
	[[ $(request GET /bucket/done-too) == "200 content" ]]
	order s3.GetObject.lost=1000
	[[ $(request GET /bucket/key) == 404* ]]
	control faults -X DELETE
	[[ $(request GET /bucket/key) == 404* ]]
	[ "$(control faults)" = "[]" ]
}

@test "over HTTP/2 a cut is the stream's, and others go on" {
	start_cloud
	setup_object
	command -v aws >/dev/null || skip "the AWS CLI is not installed"
	url=$(aws s3 presign s3://bucket/key)
	for fault in cut refuse; do
		control faults -d "[\"s3.GetObject.$fault=500\"]"
		for i in {1..20}; do
			printf 'url = "%s"\noutput = out.%s\n' "$url" "$i"
		done >config
		run curl -sS --http2 --cacert "$AWS_CA_BUNDLE" -K config -w '%{exitcode} %{num_connects}\n'
		[ "$(grep -c '^0 ' <<<"$output")" -gt 0 ]
		[ "$(grep -c '^92 ' <<<"$output")" -gt 0 ] # CURLE_HTTP2_STREAM
		[ "$(awk '/^[0-9]+ [0-9]+$/ {n += $2} END {print n}' <<<"$output")" = 1 ]
		control faults -X DELETE
	done
}

@test "what is ordered wrongly is refused" {
	start_cloud
	for rule in '"x"' '"s3.GetObject.corrupt"' '"s3.GetObject.corrupt=1001"' '"s3.GetObject.strange=1"' '"s3..corrupt=1"' 1; do
		run ! control faults -d "[$rule]"
		[[ $output == *error* ]]
	done
	run ! control faults -d '{}'
	run ! control settings -d '{"strange": 1}'
	run ! control settings -d '{"rtt-ms": "1"}'
	run ! control strange
}

@test "the way to the cloud takes its time" {
	start_cloud
	setup_object
	head -c 1000000 /dev/zero >big
	took() {
		local before=$(date +%s%N)
		request "$@" >/dev/null
		echo $((($(date +%s%N) - before) / 1000000))
	}
	control settings -d '{"uplink-kbit-s": 8000}'
	[ "$(took PUT /bucket/big @big)" -ge 1000 ]
	control settings -d '{"uplink-kbit-s": 0, "downlink-kbit-s": 8000}'
	[ "$(took GET /bucket/big)" -ge 1000 ]
	control settings -d '{"downlink-kbit-s": 0, "rtt-ms": 200}'
	[ "$(took GET /bucket/key)" -ge 600 ] # of TCP, TLS, and the request
}
