load helpers

# In HTTP/2 and 1.1, as curl and nghttp see them.
@test "HTTP/2 by ALPN, and HTTP/1.1 for who doesn't offer it" {
	start_cloud
	for version in 1.1 2; do
		run -0 curl -sS --http$version --cacert "$AWS_CA_BUNDLE" -o /dev/null -w '%{http_version} %{http_code}' "$AWS_ENDPOINT_URL/"
		[ "$output" = "$version 403" ]
	done
	run ! curl -sS "$AWS_ENDPOINT_URL/" # the CA is ours alone
	if command -v nghttp >/dev/null; then
		nghttp -nv "$AWS_ENDPOINT_URL/" | sed 's/\x1b[^m]*m//g' >trace
		grep -q 'SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128' trace
		grep -q ':status: 403' trace
	fi
}

@test "many streams at a time, and GOAWAY after as many requests as were ordered" {
	start_cloud --goaway-requests=50 --fault='*.*.latency=1000:100'
	request PUT /bucket
	echo content >file
	request PUT /bucket/key @file
	command -v aws >/dev/null || skip "the AWS CLI is not installed"
	url=$(aws s3 presign s3://bucket/key)
	for i in {1..200}; do
		printf 'url = "%s"\noutput = out.%s\n' "$url" "$i"
	done >config
	before=$(date +%s%N)
	curl -sS --http2 --cacert "$AWS_CA_BUNDLE" --parallel --parallel-max 100 --retry 3 -K config -w '%{num_connects}\n' >connects
	# One after the other it would take twenty seconds.
	[ $((($(date +%s%N) - before) / 1000000)) -lt 10000 ]
	[ "$(cat out.* | grep -cx content)" = 200 ]
	[ "$(awk '{n += $1} END {print n}' connects)" -ge 4 ]
}

@test "a thousand requests that block at the same time" {
	start_cloud --fault='s3.ListBuckets.latency=1000:2000'
	python3 - <<-'PYTHON'
		import os, time
		import client
		plain = os.environ["LLAMA_CLOUD_CONTROL"].replace("/_cloud", "")
		client.ENDPOINT, client.HOST = plain, plain.split("/")[-1]
		headers = client.sign("GET", "/")
		connections = [client.Connection(plain) for _ in range(1000)]
		begun = time.monotonic()
		for c in connections:
		    c.http.putrequest("GET", "/", skip_host=True)
		    for pair in headers:
		        c.http.putheader(*pair)
		    c.http.endheaders()
		answers = [c.http.getresponse().status for c in connections]
		assert answers == [200] * 1000, set(answers)
		assert time.monotonic() - begun < 30
	PYTHON
	[ "$(counter s3 ListBuckets requests)" = 1000 ]
}

@test "what is no HTTP is refused" {
	start_cloud
	plain=${LLAMA_CLOUD_CONTROL%/_cloud}
	for head in 'GET /' 'GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1' 'GET / HTTP/1.1\r\nA : b' 'GET /%zz HTTP/1.1'; do
		answer=$(printf '%b\r\n\r\n' "$head" | timeout 5 python3 -c 'import socket, sys
c = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
c.sendall(sys.stdin.buffer.read())
print(c.recv(100).decode())' "${plain##*:}")
		[[ $answer == "HTTP/1.1 400"* ]]
	done
}

@test "the cloud's clock can be wrong" {
	start_cloud --clock-offset-s=3600
	[[ $(request GET /) == 403*RequestTimeTooSkewed* ]]
	date=$(curl -sSI "$LLAMA_CLOUD_CONTROL/settings" | sed -n 's/^Date: //p' | tr -d '\r')
	[ $(($(date -d "$date" +%s) - $(date +%s))) -gt 3500 ]
	control settings -d '{"clock-offset-s": -200}'
	[[ $(request GET /) == 200* ]]
}

@test "options and directories that can't be are refused" {
	run -2 "$cloud" --no-such-option
	run -2 "$cloud" --port=x
	run -2 "$cloud" --port=65536
	run -2 "$cloud" word
	mkdir full
	touch full/file
	run -1 "$cloud" --state=full
	[[ $output == *"full is not empty"* ]]
	run -1 "$cloud" --state=new --fault=s3.GetObject.strange=1
	[[ $output == *'no kind "strange"'* ]]
	run -0 "$cloud" --help
	[[ $output == *--rtt-ms=N* ]]
}

@test "SIGTERM ends it while requests are under way" {
	start_cloud --fault='*.*.latency=1000:500'
	for i in {1..20}; do
		request GET / >/dev/null 2>&1 3>&- &
	done
	sleep 0.3
	stop_cloud
}
