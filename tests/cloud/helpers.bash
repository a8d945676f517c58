# What every test of the test cloud begins and ends with: a cloud of its own (start_cloud [OPTION]…), in the environment as `make cloud` prints it.

bats_require_minimum_version 1.5.0

setup() {
	: "${LLAMA_BUILD_DIR:?set it to the directory with the built programs}"
	cloud=$(cd "$LLAMA_BUILD_DIR" && pwd)/tests/cloud/llama-cloud
	local name
	for name in $(compgen -e); do
		case $name in AWS_* | LLAMA_CLOUD_* | *_proxy | *_PROXY) unset "$name" ;; esac
	done
	export HOME=$BATS_TEST_TMPDIR PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
	export ASAN_OPTIONS=abort_on_error=0:exitcode=99 UBSAN_OPTIONS=halt_on_error=1:exitcode=99
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	[ -z "$cloud_pid" ] || stop_cloud
}

start_cloud() {
	"$cloud" --state=state --ready=ready "$@" >cloud.out 2>cloud.err 3>&- &
	cloud_pid=$!
	wait_until 100 test -e ready -o ! -d /proc/$cloud_pid
	# shellcheck disable=SC1091
	. ./ready || { cat cloud.err >&2 && false; }
}

# It ends by itself, and without a word from a sanitizer.
stop_cloud() {
	local status=0
	kill $cloud_pid
	wait $cloud_pid || status=$?
	cloud_pid=
	[ $status = 0 ] && ! grep -v "faults by seed" cloud.err || { cat cloud.err >&2 && false; }
}

# wait_until TENTHS COMMAND…
wait_until() {
	local left=$1
	shift
	until "$@"; do
		[ $((left--)) -gt 0 ] || { echo "in vain: $*" >&2 && return 1; }
		sleep 0.1
	done
}

aws() {
	command -v aws >/dev/null || skip "the AWS CLI is not installed"
	timeout 60 "$(type -P aws)" --endpoint-url "$AWS_ENDPOINT_URL" "$@"
}

# request METHOD TARGET [NAME:VALUE]… [@FILE]: signed by botocore; prints the status, and the body behind it.
request() { timeout 60 python3 "$BATS_TEST_DIRNAME/client.py" "$@"; }
control() {
	local path=$1
	shift
	curl -sS --fail-with-body "$LLAMA_CLOUD_CONTROL/$path" "$@"
}
# counter SERVICE OPERATION FIELD
counter() { control counters | python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1], {}).get(sys.argv[2], {}).get(sys.argv[3], 0))' "$@"; }
