# What every scenario begins and ends with. Each test has a home, configuration, cache and daemon of its own below
# BATS_TEST_TMPDIR; the programs are those in LLAMA_BUILD_DIR.

bats_require_minimum_version 1.5.0

setup() {
	: "${LLAMA_BUILD_DIR:?set it to the directory with the built programs}"
	LLAMA_BUILD_DIR=$(cd "$LLAMA_BUILD_DIR" && pwd)
	local name
	for name in $(compgen -e); do
		case $name in LLAMA_BUILD_DIR) ;; LLAMA_* | LLAMACC_* | XDG_* | CC | CXX | CFLAGS | MAKEFLAGS | CMAKE_*) unset "$name" ;; esac
	done
	export HOME=$BATS_TEST_TMPDIR/home
	export LLAMA_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	export LLAMA_CACHE_DIR=$BATS_TEST_TMPDIR/cache
	export LLAMA_CONFIG=$BATS_TEST_TMPDIR/config.ini
	export LLAMA_LOG=$BATS_TEST_TMPDIR/log
	export LC_ALL=C PATH=$LLAMA_BUILD_DIR:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
	mkdir "$HOME"
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	[ -n "$LLAMA_BUILD_DIR" ] || return 0
	local pid
	# A build that goes on would start another daemon.
	for pid in $(jobs -p); do
		kill "$pid" && wait "$pid"
	done 2>/dev/null
	for pid in $(daemon_pids); do
		kill -CONT "$pid"
		kill -KILL "$pid"
	done 2>/dev/null
	# The runners die with their daemon; only then can their mounts and trees go.
	wait_until 100 no_processes || return
	if mountpoint -q "$LLAMA_CACHE_DIR"; then umount "$LLAMA_CACHE_DIR"; fi
}

# Processes of this test's daemon: no other has its runtime directory in the environment it was started with.
daemon_pids() { pids_of llama; }
no_processes() { [ -z "$(pids_of llama)$(pids_of llama-runner)" ]; }
pids_of() {
	local status
	for status in $(grep -lzsxF "LLAMA_RUNTIME_DIR=$BATS_TEST_TMPDIR/run" /proc/[0-9]*/environ 2>/dev/null); do
		local pid=${status#/proc/}
		pid=${pid%/environ}
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && ! grep -qs '^State:.[ZX]' "/proc/$pid/status" && echo "$pid"
	done
	return 0
}

# wait_until TENTHS COMMAND…: until it succeeds; fails after so many tenths of a second.
wait_until() {
	local tenths=$1
	shift
	while ! "$@"; do
		[ $((tenths--)) -gt 0 ] || { echo "waited in vain for: $*" >&2; return 1; }
		sleep 0.1
	done
}

# stat KEY: a number of `llama stats --json`; dots lead into objects, absent is 0.
stat() {
	llama stats --json | python3 -c '
import functools, json, sys
print(functools.reduce(lambda o, k: o.get(k, {}), sys.argv[1].split("."), json.load(sys.stdin)) or 0)' "$1"
}

assert_stat() {
	local value
	value=$(stat "$1")
	[ "$value" = "$2" ] || { echo "$1 is $value, not $2" >&2; llama stats >&2; return 1; }
}

# assert_output_has TEXT: the output of the last `run`.
assert_output_has() {
	[[ $output == *"$1"* ]] || { echo "no '$1' in: $output" >&2; return 1; }
}

# make_project DIRECTORY N [NAME]: a program of N small units, NAME1.c …, and a makefile that builds it with gcc.
make_project() {
	mkdir "$1"
	local i name=${3:-unit}
	printf '#define SQUARE(x) ((x) * (x))\nint f0(int);\n' >"$1/project.h"
	for ((i = 1; i <= $2; i++)); do
		printf '#include <stdio.h>\n#include "project.h"\nint f%d(int x) { printf("%%d\\n", x); return SQUARE(x) + %d; }\n' \
			"$i" "$i" >"$1/$name$i.c"
	done
	printf '#include "project.h"\nint main(void) { return 0; }\n' >"$1/main.c"
	cat >"$1/Makefile" <<'MAKE'
CC = gcc
CFLAGS = -O1 -g
OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))
program: $(OBJECTS)
	$(CC) -o $@ $(OBJECTS)
%.o: %.c
	$(CC) $(CFLAGS) -MD -c -o $@ $<
clean:
	rm -f program *.o *.d
-include *.d
MAKE
}

# build_plainly DIRECTORY: without llama; the results stay in DIRECTORY.expected.
build_plainly() {
	make -C "$1" -j2 >/dev/null
	cp -r "$1" "$1.expected"
	make -C "$1" clean >/dev/null
}

# assert_as_expected DIRECTORY: every file is as the plain build made it, and there is none besides.
assert_as_expected() { diff -r "$1" "$1.expected"; }

# bucket WHAT BUCKET…: tests/cloud/bucket.py, for the test cloud.
bucket() { PYTHONPATH=$BATS_TEST_DIRNAME/../cloud PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 "$BATS_TEST_DIRNAME/../cloud/bucket.py" "$@"; }

needs_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }
