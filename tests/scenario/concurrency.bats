load helpers

# Compilers of this test that run now: cc1 with one of our units as an argument.
count_compilers() {
	python3 - "$1" "$2" <<-'PYTHON'
		import os, sys, time
		stop, token = sys.argv[1], sys.argv[2].encode()
		most = 0
		while not os.path.exists(stop):
		    now = 0
		    for pid in filter(str.isdigit, os.listdir("/proc")):
		        try:
		            with open(f"/proc/{pid}/cmdline", "rb") as file:
		                words = file.read().split(b"\0")
		        except OSError:
		            continue
		        now += words[0].endswith(b"/cc1") and any(token in word for word in words)
		    most = max(most, now)
		    time.sleep(0.02)
		print(most)
	PYTHON
}

@test "five hundred compilations at -j64: right, within the budget, and nothing stays" {
	export LLAMA_JOBS=2
	make_project project 500
	build_plainly project
	mounts=$(wc -l </proc/mounts)
	llama daemon
	pid=$(daemon_pids)
	llamacc gcc -c -o /dev/null project/main.c
	descriptors=$(ls "/proc/$pid/fd" | wc -l)
	count_compilers "$PWD/stop" unit 3>&- >most &
	counter=$!
	run -0 llama build make -C project -j64
	touch stop
	wait $counter
	[ "$(cat most)" -ge 1 ]
	[ "$(cat most)" -le 2 ]
	assert_as_expected project
	[ "$(ls "/proc/$pid/fd" | wc -l)" -le $((descriptors + 8)) ]
	[ "$(wc -l </proc/mounts)" = "$mounts" ]
	llama daemon --stop
	no_processes
	[ -z "$(find "$LLAMA_RUNTIME_DIR" "$TMPDIR" -name '*.sock' 2>/dev/null)" ]
}
