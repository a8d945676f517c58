load helpers
load cloud

setup_file() {
	unshare -Ur true 2>/dev/null || { export NO_CLOUD="this system allows no user namespaces" && return; }
	command -v docker-registry >/dev/null || { export NO_CLOUD="there is no docker-registry" && return; }
	start_empty_cloud
}

teardown_file() { stop_cloud; }

# line VERDICT NAME TEXT: a line of the last output.
line() { grep -E "^  $1 +$2 " <<<"$output" | grep -qF -e "$3" || { echo "no $1 $2: $3 in:" && echo "$output" && return 1; } >&2; }

@test "status and doctor tell of an environment what bootstrap made, what is wrong with it, and that it is gone" {
	use_cloud
	run -1 llama status
	assert_output_has "environment llama, account 000000000000, us-east-1"
	assert_output_has 'There is nothing of it. `llama bootstrap` sets it up.'
	run -1 llama status --name team
	assert_output_has '`llama bootstrap --name team`'

	llama bootstrap --yes >bootstrap.out
	run -0 llama status
	line ok stack "llama, CREATE_COMPLETE"
	line ok repository "/llama"
	line ok function "1769 MB"
	line ok image "of llama $(llama version | cut -d' ' -f2)"
	line ok limit "1000 functions at once"
	line ok policy "arn:aws:iam:"
	line ok bucket "objects"
	line ok "idle cost" "a month"
	line ok configured "names it"
	run -0 llama doctor
	line ok image "of llama"
	line ok invocation "sees the bucket"

	# As an upgrade of this machine's llama leaves it: the function is of another release.
	echo '{"Environment": {"Variables": {"LLAMA_VERSION": "0.0.1"}}}' >old.json
	ask PUT /2015-03-31/functions/llama/configuration @old.json
	local command
	for command in status doctor; do
		run -0 llama $command
		line warning image "it is of llama 0.0.1, and this is $(llama version | cut -d' ' -f2)"
		assert_output_has '`llama bootstrap` updates it'
	done
	mkdir none
	PATH=$PWD/none run -0 "$LLAMA_BUILD_DIR/llama" bootstrap --yes
	run -0 llama status
	line ok image "of llama $(llama version | cut -d' ' -f2)"

	# Its release is another's; a limit like a new account's; denied to these credentials; somebody else's configuration.
	curl -sS "$LLAMA_CLOUD_CONTROL/settings" -d '{"concurrency": 10}' >/dev/null
	curl -sS "$LLAMA_CLOUD_CONTROL/faults" -d '["s3.ListBucket.deny=1000", "ecr.DescribeRepositories.deny=1000"]' >/dev/null
	mv "$LLAMA_CONFIG" kept.ini
	run -0 llama status --region us-east-1
	line warning limit "10 functions at once"
	line skipped repository "ecr:DescribeRepositories"
	line skipped bucket "s3:ListBucket"
	line warning configured "doesn't name its function"
	assert_output_has '`llama bootstrap --join`'
	mv kept.ini "$LLAMA_CONFIG"
	curl -sS "$LLAMA_CLOUD_CONTROL/faults" -X DELETE >/dev/null

	llama teardown --yes >teardown.out
	run -1 llama status
	assert_output_has "There is nothing of it"
}
