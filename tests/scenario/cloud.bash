# A test cloud for all tests of a file, with a bucket, and functions from this llama's image: `setup_file` says start_cloud BUCKET.

start_cloud() {
	unshare -Ur true 2>/dev/null || { export NO_CLOUD="this system allows no user namespaces" && return; }
	python3 -c 'import botocore' 2>/dev/null || { export NO_CLOUD="there is no botocore (package python3-botocore)" && return; }
	start_empty_cloud
	"$LLAMA_BUILD_DIR/llama" image --ca-bundle "$AWS_CA_BUNDLE" build image >/dev/null
	ask PUT "/$1"
	create_function llama 1769
}

# Leaves us in the file's directory, with the variables that it prints. The words are options of llama-cloud.
start_empty_cloud() {
	: "${LLAMA_BUILD_DIR:?set it to the directory with the built programs}"
	cd "$BATS_FILE_TMPDIR"
	serve . "$@"
	echo $! >pid
	. ./ready
}

# serve DIRECTORY OPTION…: a test cloud, the process $!, of which DIRECTORY/ready tells by then.
serve() {
	"$LLAMA_BUILD_DIR/tests/cloud/llama-cloud" --state="$1/state" --ready="$1/ready" "${@:2}" >"$1/cloud.log" 2>&1 3>&- &
	until [ -s "$1/ready" ]; do
		[ -d /proc/$! ] || { cat "$1/cloud.log" && false; }
		sleep 0.1
	done
}

stop_cloud() {
	[ ! -e "$BATS_FILE_TMPDIR/pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/pid")"
}

# ask METHOD TARGET [@FILE]: a signed request that has to succeed.
ask() {
	local answer
	answer=$(PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 "$BATS_TEST_DIRNAME/../cloud/client.py" "$@")
	[[ $answer == 20* ]] || { echo "$*: $answer" >&2 && return 1; }
	echo "$answer"
}

# create_function NAME MEMORY
create_function() {
	printf '{"FunctionName": "%s", "PackageType": "Image", "Code": {"ImageUri": "oci:%s/image"}, "Timeout": 60, "MemorySize": %s,
		"Role": "arn:aws:iam::000000000000:role/llama"}' "$1" "$PWD" "$2" >function.json
	ask POST /2015-03-31/functions @function.json
	local tries
	for ((tries = 100; tries > 0; tries--)); do
		ask GET "/2015-03-31/functions/$1" >function
		grep -q '"State": *"Active"' function && return
		sleep 0.1
	done
	cat function && false
}

# In the environment what `make cloud` prints, and nothing else of AWS's.
use_cloud() {
	[ -z "${NO_CLOUD:-}" ] || skip "$NO_CLOUD"
	local name
	for name in $(compgen -e); do
		case $name in AWS_* | *_proxy | *_PROXY) unset "$name" ;; esac
	done
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/ready"
}
