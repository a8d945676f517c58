load helpers

# A compilation that takes a while; its cc1, once it runs.
start_slow_compilation() {
	unit=slow$$
	python3 - >$unit.c <<-'PYTHON'
		for i in range(1000):
		    print(f"int f{i}(int *a, int n) {{ int s = {i}; for (int j = 0; j < n; j++) s += a[j] * {i}; return s; }}")
	PYTHON
	llamacc gcc -O3 -c $unit.c 3>&- &
	wait_until 300 compiler_runs
}
compiler_runs() { compiler=$(pgrep -f "cc1 .*$unit.c.* -O3" | head -n 1) && [ -n "$compiler" ]; }

@test "a compiler gets neither secrets nor descriptors, in either mode" {
	export AWS_SECRET_ACCESS_KEY=dontleak GITHUB_TOKEN=dontleak
	for mode in namespaces inplace; do
		export LLAMA_SANDBOX=$mode LLAMA_CACHE_DIR=$BATS_TEST_TMPDIR/cache-$mode
		exec 9<"$BATS_TEST_FILENAME"
		llama daemon
		start_slow_compilation
		exec 9<&-
		for pid in $compiler $(pids_of llama-runner); do
			run -1 grep -c dontleak "/proc/$pid/environ"
		done
		run -0 ls -l "/proc/$compiler/fd"
		kill %% && wait %% || true
		for unwanted in socket: "$BATS_TEST_FILENAME" "$LLAMA_CACHE_DIR/lock" index.mdb; do
			[[ $output != *"$unwanted"* ]] || { echo "$mode: $unwanted in $output"; return 1; }
		done
		wait_until 300 compiler_is_gone
		llama daemon --stop
	done
}
compiler_is_gone() { ! kill -0 "$compiler" 2>/dev/null; }

@test "what the daemon makes is for its user alone, in the foreground too" {
	umask 0
	mkdir -m 755 "$LLAMA_CACHE_DIR"
	llama daemon --foreground 3>&- &
	wait_until 100 llama daemon --status
	echo 'int x;' >x.c
	llamacc gcc -c x.c
	[ "$(command stat -c %a x.o)" = 666 ]
	run -0 find "$LLAMA_RUNTIME_DIR" "$LLAMA_CACHE_DIR" "$LLAMA_LOG" -maxdepth 1 ! -path "$LLAMA_CACHE_DIR" -perm /077
	[ -z "$output" ]
	llama daemon --stop
}

@test "a cache that others may write to is refused" {
	mkdir -m 777 "$LLAMA_CACHE_DIR"
	run -1 llama daemon
	assert_output_has "chmod go-w $LLAMA_CACHE_DIR"
	run -0 llama build true
	assert_output_has "chmod go-w $LLAMA_CACHE_DIR"
}

@test "a runtime directory of somebody else's is not used, and nothing waits for it" {
	needs_root
	mkdir -m 700 "$LLAMA_RUNTIME_DIR"
	chown 1 "$LLAMA_RUNTIME_DIR"
	run -1 llama daemon
	assert_output_has "belongs to user 1"
	echo 'int x;' >x.c
	timeout 20 llamacc gcc -c x.c
	[ -f x.o ]
	rmdir "$LLAMA_RUNTIME_DIR"
	mkdir -m 700 elsewhere
	ln -s elsewhere "$LLAMA_RUNTIME_DIR"
	run -1 llama daemon
	assert_output_has "is not a real directory"
	rm x.o
	timeout 20 llamacc gcc -c x.c
	[ -f x.o ]
	no_processes
}
