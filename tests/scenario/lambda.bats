load helpers

# cloud_with_function: the test cloud with a function that runs llama's own image, a bucket, and a configuration that names both. What
# drives its control plane is the AWS CLI.
cloud_with_function() {
	command -v aws >/dev/null || skip "there is no AWS CLI (package awscli)"
	unshare -Ur true 2>/dev/null || skip "this system allows no user namespaces"
	"$LLAMA_BUILD_DIR/tests/cloud/llama-cloud" --state="$PWD/cloud" --ready="$PWD/ready" >cloud.log 2>&1 &
	wait_until 100 test -s ready
	. ./ready
	export AWS_PAGER=
	llama image --ca-bundle "$AWS_CA_BUNDLE" build image >/dev/null
	amazon s3 mb s3://llama-scenario >/dev/null
	amazon lambda create-function --function-name llama --package-type Image --code "ImageUri=oci:$PWD/image" --timeout 60 \
		--memory-size 1769 --role arn:aws:iam::000000000000:role/llama >/dev/null
	amazon lambda wait function-active --function-name llama
	printf 'function = llama\nbucket = llama-scenario\n' >"$LLAMA_CONFIG"
}

# Versions before 2.13, such as Debian 12's, don't know AWS_ENDPOINT_URL.
amazon() { aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }

@test "a build on Lambda leaves what a plain build leaves" {
	cloud_with_function
	make_project project 12
	build_plainly project
	run -0 llama build --engine lambda make -C project -j4
	assert_output_has "13 compiled in Lambda"
	assert_as_expected project
	assert_stat executed.lambda 13
	[ "$(stat lambda.requests)" -ge 13 ]
	for key in billed_ms gb_seconds cold_starts bytes_in bytes_out; do
		[ "$(stat lambda.$key)" != 0 ]
	done
	[ "$(stat s3.puts)" -gt 0 ] && [ "$(stat s3.gets)" -gt 0 ] && [ "$(stat s3.bytes_out)" -gt 0 ]
	make -C project clean >/dev/null
	run -0 llama build --engine lambda make -C project -j4
	assert_output_has "13 hits"
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
	cloud_with_function
	local directory
	for directory in "$(mktemp -d /var/tmp/llama-scenario-XXXXXX)" "$(mktemp -d /tmp/llama-scenario-XXXXXX)"; do
		build_in "$directory"
		assert_output_has "2 compiled in Lambda"
		[ -z "$differs" ]
	done
}

@test "a project where the image has no name for it is compiled locally" {
	needs_root
	cloud_with_function
	llama daemon >/dev/null
	# It wasn't there yet when the image and the daemon looked.
	build_in "$(mktemp -d /llama-scenario-XXXXXX)"
	[ -z "$differs" ]
	assert_output_has "path_not_mirrored 2"
	assert_stat executed.lambda 0
}

@test "what Lambda has compiled, a machine with an empty cache finds, whatever its engine" {
	cloud_with_function
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
