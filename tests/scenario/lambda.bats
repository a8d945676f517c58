load helpers

# One test cloud and one image for all tests of the file, as `make cloud` and `llama image build` make them. Its requests are signed by botocore.
setup_file() {
	unshare -Ur true 2>/dev/null || { export NO_CLOUD="this system allows no user namespaces" && return; }
	python3 -c 'import botocore' 2>/dev/null || { export NO_CLOUD="there is no botocore (package python3-botocore)" && return; }
	: "${LLAMA_BUILD_DIR:?set it to the directory with the built programs}"
	cd "$BATS_FILE_TMPDIR"
	"$LLAMA_BUILD_DIR/tests/cloud/llama-cloud" --state=state --ready=ready >cloud.log 2>&1 3>&- &
	echo $! >pid
	until [ -s ready ]; do
		[ -d /proc/$! ] || { cat cloud.log && false; }
		sleep 0.1
	done
	. ./ready
	"$LLAMA_BUILD_DIR/llama" image --ca-bundle "$AWS_CA_BUNDLE" build image >/dev/null
	ask PUT /llama-scenario
	printf '{"FunctionName": "llama", "PackageType": "Image", "Code": {"ImageUri": "oci:%s/image"}, "Timeout": 60, "MemorySize": 1769,
		"Role": "arn:aws:iam::000000000000:role/llama"}' "$PWD" >function.json
	ask POST /2015-03-31/functions @function.json
	local tries
	for ((tries = 100; tries > 0; tries--)); do
		ask GET /2015-03-31/functions/llama >function
		grep -q '"State": *"Active"' function && return
		sleep 0.1
	done
	cat function && false
}

teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/pid")"
}

# ask METHOD TARGET [@FILE]: a signed request that has to succeed.
ask() {
	local answer
	answer=$(PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 "$BATS_TEST_DIRNAME/../cloud/client.py" "$@")
	[[ $answer == 20* ]] || { echo "$*: $answer" >&2 && return 1; }
	echo "$answer"
}

# with_cloud: what a newcomer has after `make cloud`, with a bucket and a function: the variables that it prints, and a configuration.
with_cloud() {
	[ -z "${NO_CLOUD:-}" ] || skip "$NO_CLOUD"
	local name
	for name in $(compgen -e); do
		case $name in AWS_* | *_proxy | *_PROXY) unset "$name" ;; esac
	done
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/ready"
	printf 'function = llama\nbucket = llama-scenario\n' >"$LLAMA_CONFIG"
}

@test "a function of one's own gets what differs, and the rest stays" {
	with_cloud
	sed 's/"llama", "PackageType"/"own", "PackageType"/' "$BATS_FILE_TMPDIR/function.json" >own.json
	ask POST /2015-03-31/functions @own.json
	run -0 llama update-function own --memory 2048 --timeout 60
	assert_output_has "memory     2048 MB, was 1769 MB"
	assert_output_has "timeout    60 s, as it was"
	run -0 llama update-function --memory 2048 own
	assert_output_has "function   own is as it should be"
	run -1 llama update-function nobodys --memory 2048
	assert_output_has "there is no function nobodys in us-east-1: \`llama bootstrap\` makes one"
	run -1 llama update-function own --image "$BATS_FILE_TMPDIR/image" --repository nowhere
	assert_output_has "there is no repository nowhere in us-east-1: make it"
	run -2 llama update-function own
	assert_output_has "say what to change"
	ask DELETE /2015-03-31/functions/own
}

@test "a newcomer's session: everything is compiled on Lambda, then nothing" {
	with_cloud
	make_project project 24
	build_plainly project
	run -0 llama daemon
	run -0 llama daemon --status
	assert_output_has "untried: function llama and bucket llama-scenario in us-east-1"
	run -0 llama build --engine lambda make -C project -j64
	assert_output_has "llama: 25 compiled in Lambda, 1 run locally (link 1)"
	assert_as_expected project
	make -C project clean >/dev/null
	run -0 llama build --engine lambda make -C project -j64
	assert_output_has "llama: 25 hits, 1 run locally (link 1)"
	assert_as_expected project
	assert_stat executed.lambda 25
	assert_stat lambda.errors 0
	# One for the compiler itself beside them: its own proof that Lambda gives the bytes that it gives here.
	[ $(($(stat lambda.requests) - $(stat lambda.retries) - $(stat lambda.throttles))) = 26 ]
	[ "$(stat lambda.cold_starts)" -ge 1 ]
	[ "$(stat lambda.billed_ms)" -ge 25 ]
	[ "$(stat s3.puts)" -ge 1 ]
	[ "$(stat lambda.bytes_out)" -gt 1000 ]
	run -0 llama stats
	assert_output_has "compiled in Lambda                   25"
	assert_output_has "GB-seconds"
	run -0 llama daemon --status
	assert_output_has "ready: function llama and bucket llama-scenario in us-east-1"
	run -0 llama config
	assert_output_has "Lambda is ready: function llama"
	[[ $output != *LLAMA_CLOUD_* ]]
	cd project
	LLAMACC_ENGINE=lambda run -0 llama explain gcc -O1 -g -MD -c -o unit1.o unit1.c
	assert_output_has "engine        lambda"
	assert_output_has "reproduced in lambda"
}

@test "what was asked of Lambda is in the statistics of the next daemon, too" {
	with_cloud
	make_project project 2
	run -0 llama build --engine lambda make -C project
	llama daemon --stop
	[ "$(stat lambda.requests)" -ge 3 ]
	assert_stat executed.lambda 3
}

settings() { curl -sS --fail "$LLAMA_CLOUD_CONTROL/settings" "$@"; }

@test "no more functions are asked for than the account has" {
	with_cloud
	make_project project 24
	usual=$(settings | python3 -c 'import json, sys; print(json.load(sys.stdin)["concurrency"])')
	settings -d '{"concurrency": 3}' >/dev/null
	echo 'concurrency = 3' >>"$LLAMA_CONFIG"
	run llama build --engine lambda make -C project -j64
	settings -d "{\"concurrency\": $usual}" >/dev/null
	assert_output_has "25 compiled in Lambda"
	assert_stat lambda.throttles 0
}

# trouble DESCRIPTION WORDS: a build of the project on Lambda succeeds on this machine, and in one line says what is wrong, in these words.
trouble() {
	llama daemon --stop
	make -C project clean >/dev/null
	rm -rf "$LLAMA_CACHE_DIR"
	run -0 --separate-stderr llama build --engine lambda make -C project -j64
	echo "$1: $stderr" >&2
	assert_as_expected project
	[[ $stderr == *"$2"* ]]
	[[ $stderr != *"compiled in Lambda"* ]]
	[ "$(wc -l <<<"$stderr")" = 2 ]
}

@test "whatever is wrong with the cloud, the build succeeds here, and one line says what to do" {
	with_cloud
	make_project project 3
	build_plainly project
	echo 'function = llama' >"$LLAMA_CONFIG"
	trouble "no bucket" "set function and bucket in the configuration"
	printf 'function = lama\nbucket = llama-scenario\n' >"$LLAMA_CONFIG"
	trouble "wrong function" "Function not found: arn:aws:lambda:us-east-1:000000000000:function:lama; check \`function\` and \`region\`. It is tried again in "
	run -0 llama daemon --status
	assert_output_has "down, to be tried again in "
	printf 'function = llama\nbucket = no-such-bucket\n' >"$LLAMA_CONFIG"
	trouble "wrong bucket" "there is no such bucket: create it in this region (us-east-1), or set \`bucket\` to one that exists"
	printf 'function = llama\nbucket = llama-scenario\n' >"$LLAMA_CONFIG"
	local secret=$AWS_SECRET_ACCESS_KEY
	AWS_SECRET_ACCESS_KEY=wrong trouble "wrong credentials" "the credentials are refused (SignatureDoesNotMatch"
	AWS_ACCESS_KEY_ID=ASIALLAMATESTCLOUD03 AWS_SECRET_ACCESS_KEY=TestCloudSecret/+notreallyasecret0000003 \
		AWS_SESSION_TOKEN=TestCloudTokenThatHasExpired== trouble "expired credentials" "the credentials are refused (ExpiredToken"
	AWS_ENDPOINT_URL=https://127.0.0.1:1 trouble "cloud gone" "is this machine online, and AWS_ENDPOINT_URL right"
	AWS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt trouble "unknown authority" "certificate problem"
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	trouble "no credentials" "no AWS credentials: no AWS_ACCESS_KEY_ID in the environment"
	# None of that lasts.
	export AWS_ACCESS_KEY_ID=AKIALLAMATESTCLOUD01 AWS_SECRET_ACCESS_KEY=$secret
	llama daemon --stop
	make -C project clean >/dev/null
	rm -rf "$LLAMA_CACHE_DIR"
	run -0 llama build --engine lambda make -C project
	assert_output_has "4 compiled in Lambda"
	assert_as_expected project
}

# build_in DIRECTORY: a small project there, which is gone again before anything can fail; `run` has what llama said, $differs what differs.
build_in() {
	make_project "$1/project" 1
	build_plainly "$1/project"
	run llama build --engine lambda make -C "$1/project"
	differs=$(diff -r "$1/project" "$1/project.expected") || true
	rm -r "$1"
}

@test "a project anywhere that the image has a name for" {
	with_cloud
	local directory
	for directory in "$(mktemp -d /var/tmp/llama-scenario-XXXXXX)" "$(mktemp -d /tmp/llama-scenario-XXXXXX)"; do
		build_in "$directory"
		assert_output_has "2 compiled in Lambda"
		[ -z "$differs" ]
	done
}

@test "a project where the image has no name for it is compiled locally" {
	needs_root
	with_cloud
	llama daemon >/dev/null
	# It wasn't there yet when the image and the daemon looked.
	build_in "$(mktemp -d /llama-scenario-XXXXXX)"
	[ -z "$differs" ]
	assert_output_has "path_not_mirrored 2"
	assert_stat executed.lambda 0
}

@test "what Lambda has compiled, a machine with an empty cache finds, whatever its engine" {
	with_cloud
	make_project project 6
	build_plainly project
	printf 'share = write\n' >>"$LLAMA_CONFIG"
	run -0 llama build --engine lambda make -C project -j4
	assert_output_has "7 compiled in Lambda"
	llama daemon --stop
	# The worker has put what is shared: from here only what is needed to compile, and the results.
	bucket list llama-scenario share/ | grep -q .
	for engine in lambda sandbox; do
		export LLAMA_CACHE_DIR=$BATS_TEST_TMPDIR/cache.$engine
		make -C project clean >/dev/null
		run -0 llama build --engine $engine make -C project -j4
		assert_output_has "7 shared hits"
		assert_as_expected project
		assert_stat hits.shared 7
		assert_stat executed.lambda 0
		assert_stat executed.sandbox 0
		llama daemon --stop
	done
}
