load helpers
load cloud

# The workflow of docs/CI.md, step by step, on a runner of our own (actions.py) and the test cloud.

setup_file() {
	start_cloud llama-ci
	[ -n "${NO_CLOUD:-}" ] || python3 -c 'import yaml' 2>/dev/null || export NO_CLOUD="there is no yaml (package python3-yaml)"
}

teardown_file() { stop_cloud; }

# run_workflow RUNNER DIRECTORY [VARIABLE]…: with a home, a cache and a temporary directory that no other runner has.
run_workflow() {
	export HOME=$BATS_TEST_TMPDIR/$1 LLAMA_CACHE_DIR=$BATS_TEST_TMPDIR/$1/cache
	mkdir -p "$HOME/temporary"
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN LLAMA_LOG
	timeout 300 "$BATS_TEST_DIRNAME/actions.py" "$BATS_TEST_DIRNAME/../../docs/CI.md" "$BATS_TEST_TMPDIR/$2" "$HOME/temporary" \
		LLAMA_ROLE=arn:aws:iam::000000000000:role/github LLAMA_REGION=us-east-1 LLAMA_FUNCTION=llama LLAMA_BUCKET=llama-ci "${@:3}"
}

@test "the workflow compiles in the cloud, and on the next runner not at all; nothing is left running" {
	use_cloud
	make_project project 6
	build_plainly project
	cp -r project fresh
	run -0 run_workflow one project
	assert_output_has "from web identity as arn:aws:iam::000000000000:role/github"
	assert_output_has "Builds will use AWS Lambda: function llama."
	assert_output_has "llama: 7 compiled in Lambda, 1 run locally (link 1)"
	no_processes
	[ ! -e one/temporary/aws-token ]
	assert_as_expected project
	# Another runner checks out to the same place.
	rm -r project
	cp -r fresh project
	run -0 run_workflow two project
	assert_output_has "llama: 7 shared hits, 1 run locally (link 1)"
	assert_as_expected project
	no_processes
}

@test "the workflow of a fork has no token, and compiles on the runner" {
	use_cloud
	make_project project 3
	run -0 run_workflow fork project RUN=NO_TOKEN
	assert_output_has "No token for this run"
	assert_output_has "4 compiled"
	no_processes
}

@test "a role that AWS refuses fails the run with the reason, and the daemon ends" {
	use_cloud
	make_project project 3
	run -1 run_workflow refused project LLAMA_ROLE=arn:aws:iam::999999999999:role/github
	assert_output_has "STS refuses"
	assert_output_has "Builds will not use the engine that is configured (lambda)"
	[[ $output != *"## Build"* ]]
	no_processes
}
