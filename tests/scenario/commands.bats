load helpers

@test "every command has --help and --version" {
	for command in "" build daemon stats config cache explain image; do
		run -0 llama $command --help
		assert_output_has "Usage: llama"
		run -0 llama $command --version
		assert_output_has "llama 0"
		[ -z "$command" ] || run -0 llama help $command
	done
}

@test "what is not understood says where the help is" {
	for words in "" "compile" "stats --jason" "build" "build -j none make" "build --engine cloud make" "build --jobs" "cache shrink" \
		"daemon now" "explain" "image" "image build" "image push x" "image lint a b" "config -x" "stats --json --reset" "daemon --stop --status"; do
		run -2 --separate-stderr llama $words
		[[ $stderr == *"See \`llama"*"--help\`."* ]]
		[ -z "$output" ]
	done
}

@test "output that can't be written is a failure" {
	[ -e /dev/full ] || skip "there is no /dev/full"
	run -1 bash -c 'llama stats >/dev/full'
	assert_output_has "cannot write the output"
}

@test "stats, status and stop need no daemon" {
	run -0 llama stats
	assert_output_has "requests"
	run -0 llama stats --json
	run -0 llama stats --reset
	run -0 llama daemon --stop
	run -1 llama daemon --status
	assert_output_has "no daemon runs"
	no_processes
}

@test "stats count, outlive the daemon, and can be reset" {
	echo 'int x;' >x.c
	llamacc gcc -c x.c
	llamacc gcc -c x.c
	llamacc gcc -o x.so -shared x.c
	assert_stat requests 3
	assert_stat hits.local 1
	assert_stat local.reasons.link 1
	run -0 llama stats
	assert_output_has "linking is done locally"
	[ "$(stat daemon.rss_bytes)" -gt 0 ]
	llama daemon --stop
	assert_stat requests 3
	llama daemon
	assert_stat requests 3
	llama stats --reset
	assert_stat requests 0
}

@test "cache shows its size and can be cleared" {
	echo 'int x;' >x.c
	llamacc gcc -c x.c
	run -0 llama cache
	assert_output_has "directory  $LLAMA_CACHE_DIR"
	grep -qx "results    1" <<<"$output"
	run -2 llama cache clear it
	assert_output_has "\`it\` is not understood"
	run -0 llama cache clear
	run -0 llama cache
	grep -qx "results    0" <<<"$output"
	llamacc gcc -c x.c
	assert_stat hits.local 0
}

@test "explain says what would happen, and why not" {
	echo 'int x;' >x.c
	run -0 llama explain gcc -c x.c
	assert_output_has "x.o"
	[ ! -e x.o ]
	run -0 llama explain gcc -o x x.c
	assert_output_has "link"
	run -0 llama explain gcc -E x.c
	assert_output_has "preprocess_only"
}

@test "explain says why the last one missed" {
	printf '#include "a.h"\nint x;\n' >x.c
	touch a.h
	llamacc gcc -c x.c
	echo 'int y;' >a.h
	run -0 llama explain gcc -c x.c
	assert_output_has "cache         miss: since the last result this input has changed, come or gone: $PWD/a.h"
	assert_output_has ": nothing was kept yet"
	llamacc gcc -c x.c
	run -0 llama explain gcc -c x.c
	assert_output_has "cache         hit"
	[[ $output == *"last miss     "*": since the last result this input"*"$PWD/a.h"* ]]
	wait_until 100 grep -q "decision=.* miss=input:$PWD/a.h cwd=" "$LLAMA_LOG"
}

@test "explain names the path that keeps a compiler from the engine" {
	echo 'int x;' >x.c
	mkdir bin
	mkfifo bin/as # gcc asks for one there, and passes on
	PATH=$PWD/bin:$PATH run -0 llama explain gcc -c x.c
	assert_output_has "runs locally  path_not_mirrored (a path leads into"
	assert_output_has ": $PWD/bin/as)"
	PATH=$PWD/bin:$PATH run -0 llamacc gcc -c x.c
	[ -e x.o ]
	wait_until 100 grep -q "reason=path_not_mirrored detail=$PWD/bin/as " "$LLAMA_LOG"
}

@test "a program that makes nothing is tried once, until it changes" {
	mkdir bin
	cat >gcc.c <<-E
		#include <fcntl.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		/* Not by open(): what a compiler opens is looked at again. */
		int main(void) { return write(syscall(SYS_openat, AT_FDCWD, "$PWD/runs", O_WRONLY | O_APPEND | O_CREAT, 0600), "x", 1) != 1; }
	E
	gcc gcc.c -o bin/gcc
	echo 'int x;' >x.c
	for times in 2 3 4; do # with that of llamacc
		llamacc "$PWD/bin/gcc" -c x.c
		[ "$(cat runs | wc -c)" = $times ]
	done
	gcc -O2 gcc.c -o bin/gcc
	llamacc "$PWD/bin/gcc" -c x.c
	[ "$(cat runs | wc -c)" = 6 ]
	assert_stat local.reasons.unknown_compiler 4
}

@test "a program that only calls itself a compiler runs locally" {
	mkdir bin
	cp "$(type -P true)" bin/gcc
	echo 'int x;' >x.c
	PATH=$PWD/bin:$PATH run -0 llamacc gcc -c x.c
	[ ! -e x.o ]
	assert_stat local.reasons.unknown_compiler 1
	printf '#!/bin/sh\nexec /usr/bin/gcc "$@"\n' >bin/gcc
	PATH=$PWD/bin:$PATH run -0 llamacc gcc -c x.c
	[ -e x.o ]
	assert_stat local.reasons.wrapper 1
}

@test "explain takes the command as llamacc does" {
	echo 'int x;' >x.c
	LLAMACC_FILTER_WARNINGS=shadow run -0 llama explain gcc -Wshadow -Wall -c x.c
	assert_output_has "/gcc -Wall -c x.c"
	echo 'char *d = __DATE__;' >d.c
	run -0 llama explain gcc -c d.c
	assert_output_has "runs locally  date_time"
	LLAMACC_LOCAL=1 run -0 llama explain gcc -c x.c
	assert_output_has "runs locally  requested"
	run -1 llama explain make -c x.c
	assert_output_has "\`make\` is neither the path of an executable file nor called like a compiler"
}

@test "LLAMACC_VERBOSE tells how it was done" {
	echo 'int x;' >x.c
	export LLAMACC_VERBOSE=1
	run -0 llamacc gcc -c x.c
	[[ $output == *"done by the daemon (sandbox), exit status 0" || $output == *"done by the daemon (inplace), exit status 0" ]]
	run -0 llamacc gcc -c x.c
	assert_output_has "done by the daemon (hit), exit status 0"
	echo 'int main(void) { return 0; }' >x.c
	run -0 llamacc gcc x.c
	assert_output_has "run locally: link"
}
