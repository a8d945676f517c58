load helpers

@test "starts in the background, answers, stops" {
	run -0 llama daemon
	[ -z "$output" ]
	[ "$(daemon_pids | wc -l)" = 1 ]
	run -0 llama daemon --status
	assert_output_has "process      $(daemon_pids), llama"
	assert_output_has "socket       $LLAMA_RUNTIME_DIR/"
	llama daemon
	[ "$(daemon_pids | wc -l)" = 1 ]
	run -0 llama daemon --stop
	no_processes
}

@test "keeps nothing of its caller" {
	exec 9<"$BATS_TEST_FILENAME"
	umask 002
	ulimit -Sn 500
	llama daemon
	exec 9<&-
	pid=$(daemon_pids)
	[ "$(readlink "/proc/$pid/cwd")" = / ]
	for fd in 0 1 2; do [ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ]; done
	[ "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid" ]
	run -1 bash -c "ls -l /proc/$pid/fd | grep -F $BATS_TEST_FILENAME"
	[ "$(command stat -c %a "$LLAMA_RUNTIME_DIR")" = 700 ]
	[ "$(command stat -c %a "$LLAMA_CACHE_DIR")" = 700 ]
	soft=$(awk '/^Max open files/ {print $4}' "/proc/$pid/limits")
	hard=$(awk '/^Max open files/ {print $5}' "/proc/$pid/limits")
	[ "$soft" = "$hard" ]
	for runner in $(pids_of llama-runner); do [[ $(tr '\0' ' ' <"/proc/$runner/cmdline") == *" 500 " ]]; done
}

@test "a second one in the foreground names the lock" {
	llama daemon
	run -1 llama daemon --foreground
	assert_output_has "$LLAMA_RUNTIME_DIR/"
	assert_output_has "llama daemon --stop"
}

@test "the foreground ends on a signal and leaves no socket" {
	llama daemon --foreground 3>&- &
	foreground=$!
	wait_until 100 llama daemon --status
	kill -TERM $foreground
	wait $foreground
	no_processes
	[ -z "$(find "$LLAMA_RUNTIME_DIR" -name '*.sock')" ]
}

@test "the first compilation starts it" {
	echo 'int x;' >x.c
	llamacc gcc -c x.c
	[ -f x.o ]
	[ "$(daemon_pids | wc -l)" = 1 ]
}

@test "configure's probes start none" {
	echo 'int main(void) { return 0; }' >conftest.c
	llamacc gcc -c conftest.c
	[ -f conftest.o ]
	no_processes
}

@test "two hundred clients at once get one daemon" {
	for i in {1..200}; do echo "int x$i;" >"x$i.c"; done
	for i in {1..200}; do llamacc gcc -c "x$i.c" 3>&- & done
	wait
	for i in {1..200}; do [ -s "x$i.o" ]; done
	[ "$(daemon_pids | wc -l)" = 1 ]
}

@test "leaves when idle, and the next compilation starts another" {
	export LLAMA_IDLE_TIMEOUT=1s
	echo 'int x;' >x.c
	llamacc gcc -c x.c
	wait_until 100 no_processes
	echo 'int y;' >y.c
	llamacc gcc -c y.c
	[ -f y.o ]
	[ "$(daemon_pids | wc -l)" = 1 ]
}

@test "leaves when its programs are replaced or gone" {
	echo 'int x;' >x.c
	for way in "cp -r programs fresh && mv fresh/llama-runner programs" "rm programs/llama-interpose.so"; do
		mkdir -p programs
		cp "$LLAMA_BUILD_DIR"/{llama,llamacc,llama-runner,llama-interpose.so} programs
		programs/llamacc gcc -c x.c
		[ "$(daemon_pids | wc -l)" = 1 ]
		bash -c "$way"
		wait_until 100 no_processes
	done
}

@test "one that is leaving with a job is waited for" {
	python3 -c 'print("int a[] = {" + ",".join(map(str, range(400000))) + "};")' >slow.c
	llama daemon
	old=$(daemon_pids)
	llamacc gcc -c slow.c 3>&- &
	wait_until 100 sh -c 'llama daemon --status | grep -q "[1-9] running"'
	kill -TERM "$old"
	wait_until 100 sh -c '! llama daemon --status'
	llama daemon
	[ "$(daemon_pids)" != "$old" ]
	wait
	[ -s slow.o ]
	llama daemon --status
}

@test "a socket that somebody left behind is in nobody's way" {
	llama daemon
	kill -KILL "$(daemon_pids)"
	wait_until 50 no_processes
	[ -n "$(find "$LLAMA_RUNTIME_DIR" -name '*.sock')" ]
	run -1 llama daemon --status
	llama daemon
	run -0 llama daemon --status
}

@test "a runtime directory open to others is refused" {
	mkdir -m 777 "$LLAMA_RUNTIME_DIR"
	run -1 llama daemon
	assert_output_has "chmod 700 $LLAMA_RUNTIME_DIR"
}
