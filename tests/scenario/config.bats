load helpers

@test "a bad value names file, line, value and what is allowed" {
	printf '# mine\ncache_size = plenty\n' >"$LLAMA_CONFIG"
	for command in "daemon" "config" "stats" "cache" "build true" "explain gcc -c x.c"; do
		run -1 llama $command
		assert_output_has "$LLAMA_CONFIG:2: cache_size = plenty is not valid; it takes a size such as 500M or 10G"
	done
}

@test "a bad value stops no compilation" {
	echo 'jobs = none' >"$LLAMA_CONFIG"
	echo 'int x;' >x.c
	run -0 llamacc gcc -c x.c
	[ -z "$output" ]
	[ -f x.o ]
}

@test "a bad variable is named" {
	LLAMA_SANDBOX=docker run -1 llama config
	assert_output_has "environment variable LLAMA_SANDBOX: sandbox = docker is not valid; it takes auto, namespaces or inplace"
}

@test "config shows values, origins, and names that nobody knows" {
	printf 'jobs = 3\nplanet = mars\n' >"$LLAMA_CONFIG"
	export LLAMACC_SANDBOX=inplace LLAMACC_VERBOS=1
	run -0 llama config
	assert_output_has "jobs         = 3"
	assert_output_has "; $LLAMA_CONFIG:1"
	assert_output_has "environment LLAMACC_SANDBOX"
	assert_output_has "unknown: $LLAMA_CONFIG:2: there is no option planet"
	assert_output_has "there is no environment variable LLAMACC_VERBOS;"
	assert_output_has "runs compilers in place"
	assert_output_has "To run them in namespaces:"
}

@test "what config prints is a configuration" {
	unset LLAMA_LOG
	llama config | sed -n '/^[a-z_]* *=/{/runtime_dir\|^log/!p}' >copy.ini
	LLAMA_CONFIG=$PWD/copy.ini run -0 llama config
	assert_output_has "copy.ini:1"
}

@test "a socket path that is too long says what to set" {
	export LLAMA_RUNTIME_DIR=$BATS_TEST_TMPDIR/$(printf 'x%.0s' {1..100})
	run -1 llama daemon
	assert_output_has "set LLAMA_RUNTIME_DIR to a shorter path"
	echo 'int x;' >x.c
	run -0 llamacc gcc -c x.c
	[ -f x.o ] && [ -z "$output" ]
}

@test "an unwritable cache is named, and stops no compilation" {
	echo "a file" >"$LLAMA_CACHE_DIR"
	run -1 llama daemon
	assert_output_has "$LLAMA_CACHE_DIR"
	echo 'int x;' >x.c
	run -0 llamacc gcc -c x.c
	[ -f x.o ] && [ -z "$output" ]
	run -0 llama build gcc -c x.c
	assert_output_has "$LLAMA_CACHE_DIR"
}

@test "a compiler that does not exist is named" {
	run -127 llamacc nosuch-gcc -c x.c
	assert_output_has "nosuch-gcc"
	run -1 llama explain nosuch-gcc -c x.c
	assert_output_has "nosuch-gcc"
	LLAMACC_LOCAL_CC=/nonexistent/cc run -127 llamacc -c x.c
	assert_output_has "LLAMACC_LOCAL_CC names /nonexistent/cc"
}

@test "each profile has a daemon, a cache and values of its own" {
	printf 'jobs = 1\n[profile.two]\njobs = 2\n' >"$LLAMA_CONFIG"
	echo 'int x;' >x.c
	llamacc gcc -c x.c
	LLAMA_PROFILE=two llamacc gcc -c x.c
	[ "$(daemon_pids | wc -l)" = 2 ]
	run -0 llama daemon --status
	assert_output_has "at most 1 at once"
	[[ $output == *"cache        $LLAMA_CACHE_DIR" ]]
	assert_stat requests 1
	export LLAMA_PROFILE=two
	run -0 llama daemon --status
	assert_output_has "at most 2 at once"
	assert_output_has "$LLAMA_CACHE_DIR/profiles/two"
	assert_stat requests 1
	run -0 llama config
	assert_output_has "# profile two (environment LLAMA_PROFILE)"
	assert_output_has "; $LLAMA_CONFIG:3 [profile.two]"
	[[ $output != *"unknown: $LLAMA_CONFIG"* && $output != *"variable LLAMA_PROFILE"* ]]
	# Each is stopped for itself.
	llama daemon --stop
	[ "$(daemon_pids | wc -l)" = 1 ]
}

@test "a profile that is not there is named with those that are, and stops no compilation" {
	printf '[profile.one]\n[profile.two]\njobs = 2\n' >"$LLAMA_CONFIG"
	export LLAMA_PROFILE=three
	run -1 llama config
	assert_output_has "LLAMA_PROFILE: $LLAMA_CONFIG has no section [profile.three]; its profiles: one, two"
	echo 'int x;' >x.c
	run -0 llamacc gcc -c x.c
	[ -z "$output" ] && [ -f x.o ]
}
