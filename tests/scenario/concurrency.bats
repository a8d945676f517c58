load helpers

# The most compilers of this test that ever ran at once: cc1 with one of our units as an argument. Reading /proc takes as long as
# a small compilation, so only those count that still run when all were seen.
count_compilers() {
	python3 - "$1" "$2" <<-'PYTHON'
		import os, sys, time
		stop, token = sys.argv[1], sys.argv[2].encode()

		def compiles(pid):
		    try:
		        with open(f"/proc/{pid}/cmdline", "rb") as file:
		            words = file.read().split(b"\0")
		    except OSError:
		        return False
		    return words[0].endswith(b"/cc1") and any(token in word for word in words)

		most = 0
		while not os.path.exists(stop):
		    seen = [pid for pid in os.listdir("/proc") if pid.isdigit() and compiles(pid)]
		    most = max(most, sum(map(compiles, seen)))
		    time.sleep(0.02)
		print(most)
	PYTHON
}

@test "five hundred compilations at -j64: right, within the budget, and nothing stays" {
	export LLAMA_JOBS=2
	local name=crowd$$_
	make_project project 500 $name
	build_plainly project
	mounts=$(wc -l </proc/mounts)
	llama daemon
	pid=$(daemon_pids)
	llamacc gcc -c -o /dev/null project/main.c
	descriptors=$(ls "/proc/$pid/fd" | wc -l)
	count_compilers "$PWD/stop" $name 3>&- >most &
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
