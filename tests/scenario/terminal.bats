load helpers

# What the README's transcript shows, in a real terminal: its questions are asked and answered there.
@test "a newcomer sets the cloud up, builds in it, looks at it and takes it away" {
	unshare -Ur true 2>/dev/null || skip "this system allows no user namespaces"
	command -v tmux >/dev/null || skip "there is no tmux"
	command -v docker-registry >/dev/null || skip "there is no docker-registry"
	make_project project 12
	build_plainly project
	PYTHONDONTWRITEBYTECODE=1 run -0 "$BATS_TEST_DIRNAME/terminal.py" "$LLAMA_BUILD_DIR" project
	assert_output_has "Go on? [y/N] y"
	assert_output_has "gcc            the same object, in "
	assert_output_has "ready      \`llama build make\` compiles in the cloud"
	assert_output_has "llama: 13 compiled in Lambda, 1 run locally (link 1)"
	assert_output_has "ok      function      arn:aws:lambda:us-east-1:000000000000:function:llama, 1769 MB, 300 s"
	[[ ${lines[-1]} == "left       nothing" ]]
	assert_as_expected project
}
