load helpers

UNITS=60

# The build goes on in the background while something happens to it.
start_build() {
	make_project project $UNITS
	build_plainly project
	make -C project -j4 CC="llamacc gcc" 3>&- >make.log 2>&1 &
	build=$!
	wait_until 200 some_objects
}
some_objects() { [ "$(find project -name '*.o' | wc -l)" -ge 5 ]; }

finish_build() {
	local status=0
	wait $build || status=$?
	[ $status = 0 ] || { cat make.log >&2; return 1; }
	assert_as_expected project
}

rebuild() {
	make -C project clean >/dev/null
	make -C project -j4 CC="llamacc gcc" >make.log 2>&1 || { cat make.log >&2; return 1; }
	assert_as_expected project
}

@test "the daemon is killed during a build" {
	start_build
	kill -KILL "$(daemon_pids)"
	wait $build
	# The next daemon, which the rest of the build has started, takes away what this one had copied out of the sandbox.
	wait_until 100 llama daemon --status
	assert_as_expected project
	rebuild
}

@test "the daemon is killed during a build in place" {
	export LLAMA_SANDBOX=inplace
	start_build
	kill -KILL "$(daemon_pids)"
	finish_build
}

@test "the daemon is stopped during a build and wakes later" {
	start_build
	pid=$(daemon_pids)
	kill -STOP "$pid"
	sleep 15
	wait $build
	kill -CONT "$pid"
	sleep 3
	assert_as_expected project
	rebuild
}

@test "the cache's directory is deleted during a build" {
	start_build
	wait_until 50 rm -rf "$LLAMA_CACHE_DIR" # the daemon goes on making files there
	finish_build
	rebuild
}

@test "the disk of the cache is full" {
	needs_root
	mkdir "$LLAMA_CACHE_DIR"
	mount -t tmpfs -o size=2m,mode=700 none "$LLAMA_CACHE_DIR" || skip "mounting a tmpfs is forbidden here"
	start_build
	finish_build
	rebuild
	head -c 2m /dev/zero >"$LLAMA_CACHE_DIR/filler" || true
	rebuild
}

@test "stored results are corrupted" {
	start_build
	finish_build
	llama daemon --stop
	find "$LLAMA_CACHE_DIR" -type f -path '*/[0-9a-f][0-9a-f]/*' -size -64k -exec chmod u+w {} + -exec sh -c \
		'for file; do printf X | dd of="$file" bs=1 seek=3 conv=notrunc status=none; done' sh {} +
	rebuild
	rebuild
	[ "$(stat hits.local)" -ge $((UNITS + 1)) ]
}

@test "the index is truncated" {
	start_build
	finish_build
	llama daemon --stop
	truncate --no-create -s 20000 "$LLAMA_CACHE_DIR/index.mdb"
	rebuild
	[ -e "$LLAMA_CACHE_DIR/index.mdb.damaged" ]
	assert_stat hits.local 0
	rebuild
	[ "$(stat hits.local)" -ge $((UNITS + 1)) ]
}

@test "a client is killed: nothing of it stays" {
	slow=slow$$
	python3 - >$slow.c <<-'PYTHON'
		for i in range(1000):
		    print(f"int f{i}(int *a, int n) {{ int s = {i}; for (int j = 0; j < n; j++) s += a[j] * {i}; return s; }}")
	PYTHON
	llama daemon
	llamacc gcc -O3 -c $slow.c 3>&- &
	client=$!
	wait_until 300 running_job
	kill -KILL $client
	wait $client || true
	wait_until 300 no_job
	[ "$(ls -A)" = "$(printf '%s\n' cache home log run $slow.c)" ]
	assert_stat cancelled 1
	llamacc gcc -O3 -c $slow.c
	gcc -O3 -c -o expected.o $slow.c
	cmp $slow.o expected.o
}
running_job() { pgrep -f "cc1 .*$slow.c" >/dev/null; }
no_job() { ! running_job; }

@test "a compiler first met while inputs of other jobs vanish is used in the sandbox" {
	export LLAMA_SANDBOX=auto LLAMA_JOBS=2
	llama config | grep -q "runs compilers in namespaces" || skip "namespaces are forbidden here"
	echo 'int a;' >a.c
	llamacc gcc -c a.c
	# One tree of the two is busy; the other has never seen a.c, nor will it.
	python3 -c 'for i in range(3000): print("int f%d(int *p, int n) { for (int i = 0; i < n; i++) p[i] = p[i - 1] * %d; return *p; }" % (i, i))' >slow.c
	llamacc gcc -O2 -c slow.c &
	wait_until 100 pgrep -f 'cc1 -quiet.* slow.c' >/dev/null # not its scan, which has -E
	rm a.c
	echo 'int b;' >b.cc
	llamacc g++ -c b.cc
	wait $!
	cat "$LLAMA_LOG"
	assert_stat executed.sandbox 3
}
