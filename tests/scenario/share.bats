load helpers

# Results shared by way of a bucket of the test cloud. Machines differ in their caches, and have the project at the same place or, below base_dir,
# at another.

share_cloud() {
	python3 -c 'import botocore' 2>/dev/null || skip "there is no botocore (package python3-botocore)"
	"$LLAMA_BUILD_DIR/tests/cloud/llama-cloud" --state="$PWD/cloud" --ready="$PWD/ready" >cloud.log 2>&1 3>&- &
	wait_until 100 test -s ready
	. ./ready
	bucket make llama-share
	make_project project 6
	build_plainly project
}

n_segments() { bucket list llama-share share/ | wc -l; }

# on_machine NAME SHARE [ENGINE]: from now on; what it was before has left, and published what it had.
on_machine() {
	llama daemon --stop
	wait_until 200 no_processes
	export LLAMA_CACHE_DIR=$BATS_TEST_TMPDIR/cache.$1
	printf 'bucket = llama-share\nshare = %s\nengine = %s\n' "$2" "${3:-sandbox}" >"$LLAMA_CONFIG"
}

build() {
	make -C project clean >/dev/null
	run -0 llama build make -C project -j2
	assert_as_expected project
}

first_machine_builds() {
	on_machine first write
	build
	assert_stat hits.shared 0
	on_machine second read
	[ "$(n_segments)" -gt 0 ]
}

assert_no_compiler_ran() {
	local engine
	for engine in sandbox inplace lambda; do
		assert_stat executed.$engine 0
	done
}

@test "what one machine has compiled, another with an empty cache finds" {
	share_cloud
	first_machine_builds
	build
	assert_output_has "7 shared hits"
	assert_no_compiler_ran
	assert_stat hits.shared 7
	assert_stat share.rejected 0
	# Now it has them itself.
	build
	assert_output_has "7 hits"
	assert_stat hits.shared 7
	assert_stat hits.local 7
	# A reader leaves nothing behind.
	before=$(n_segments)
	printf '\n' >>project/unit1.c
	llama build make -C project
	on_machine third read
	[ "$(n_segments)" = "$before" ]
}

@test "what others have doesn't save a result from being checked" {
	share_cloud
	first_machine_builds
	build
	assert_stat hits.shared 7
	on_machine second read
	echo 'verify = 2' >>"$LLAMA_CONFIG"
	build
	assert_stat verify.checked 3
	assert_stat verify.differed 0
	assert_stat hits.local 7
}

@test "a header that is another one on the second machine is a miss" {
	share_cloud
	first_machine_builds
	sed -i 's/(x) \* (x)/(x) + (x)/' project/project.h
	rm -r project.expected
	build_plainly project
	build
	assert_stat hits.shared 0
	assert_stat share.rejected 0
}

# Rejected as often, and compiled.
assert_rejected() {
	build
	assert_stat share.rejected "$1"
	assert_stat hits.shared "${2:-0}"
}

@test "segments that are damaged, misnamed or forged are rejected" {
	share_cloud
	first_machine_builds
	bucket plant_segments llama-share
	assert_rejected 4 7
	bucket delete llama-share share/ffff
	on_machine third read
	bucket flip_segments llama-share
	assert_rejected "$(n_segments)"
	on_machine fourth read
	bucket rename_segments llama-share
	assert_rejected "$(n_segments)"
}

@test "packs that are damaged, exchanged or forged are rejected" {
	share_cloud
	first_machine_builds
	for way in lie_in_packs swap_packs truncate_packs; do
		bucket $way llama-share
		assert_rejected 7
		on_machine $way read
	done
	bucket lose_packs llama-share
	assert_rejected 0
}

@test "packs that lack what the results name are rejected" {
	share_cloud
	first_machine_builds
	bucket empty_packs llama-share
	assert_rejected 7
}

@test "without the bucket everything is compiled, and what cannot be published holds nobody up" {
	share_cloud
	on_machine first write
	kill %1
	wait %1
	build
	assert_output_has "7 compiled"
	llama daemon --stop
	wait_until 300 no_processes
}

@test "what does not come in time is compiled" {
	share_cloud
	rm -r project project.expected
	make_project project 5
	build_plainly project
	first_machine_builds
	build
	assert_stat hits.shared 6
	llama daemon --stop
	# It knows what is to be had, and has nothing of it.
	find "$LLAMA_CACHE_DIR" -mindepth 1 -maxdepth 1 ! -name share -exec rm -r {} +
	curl -sS --fail "$LLAMA_CLOUD_CONTROL/faults" -d '["s3.GetObject.latency=1000:20000"]' >/dev/null
	build
	assert_stat hits.shared 0
	assert_stat share.rejected 0
	assert_output_has "6 compiled"
	# The two that were the first waited for the others.
	[ "$(grep -c too%20long%20to%20come "$LLAMA_LOG")" = 2 ]
}

# make_checkout DIRECTORY: a project as CMake builds it: out of source, with absolute names of sources and directories. Of its eight units
# asserts.c has its path in the object, and warns.c in the compiler's messages.
make_checkout() {
	mkdir -p "$1/source/include/project/detail" "$1/source/third" "$1/build/objects"
	local i
	for ((i = 1; i <= 6; i++)); do
		printf '#include "project/api.h"\n#include <third.h>\n#include <config.h>\nint f%d(int x) { return API(x) + THIRD + CONFIG + %d; }\n' $i $i \
			>"$1/source/plain$i.c"
	done
	printf '#include "project/api.h"\n#include <assert.h>\nint g(int x) { assert(x); return API(x); }\n' >"$1/source/asserts.c"
	printf '#include "project/api.h"\nint h(int x) { int unused; return API(x); }\n' >"$1/source/warns.c"
	printf '#pragma once\n#include "detail/api.h"\n#include <stdio.h>\n' >"$1/source/include/project/api.h"
	printf '#define API(x) ((x) * 2)\nstatic inline const char *where(void) { return __FILE__; }\n' >"$1/source/include/project/detail/api.h"
	printf '#define THIRD 3\n' >"$1/source/third/third.h"
	printf '#define CONFIG 4\n' >"$1/build/config.h"
	cat >"$1/build/Makefile" <<MAKE
ROOT = $1
SOURCES = \$(wildcard $1/source/*.c)
CFLAGS ?= -O2 -Wall
all: \$(SOURCES:$1/source/%.c=objects/%.c.o)
objects/%.c.o: $1/source/%.c
	gcc \$(CFLAGS) -DROOT='"\$(ROOT)"' -I$1/source/include -I$1/build -isystem $1/source/third -MD -MT \$@ -MF \$@.d -o \$@ -c \$<
clean:
	rm -f objects/*
MAKE
}

# two_checkouts [CFLAGS]: the first is built below its base_dir, and published; the second is where we are then.
two_checkouts() {
	share_cloud
	FIRST=$PWD/one SECOND=$PWD/second/checkout/at/quite/another/place
	make_checkout "$FIRST"
	make_checkout "$SECOND"
	if [ -n "$1" ]; then export CFLAGS=$1; fi
	expect_second
	on_machine first write
	printf 'base_dir = %s\n' "$FIRST" >>"$LLAMA_CONFIG"
	llama build make -s -C "$FIRST/build" -j2
}

# What a plain build makes of the second checkout.
expect_second() {
	make -C "$SECOND/build" clean >/dev/null
	rm -rf "$SECOND/build.expected"
	build_plainly "$SECOND/build" 2>/dev/null
}

second_builds() {
	on_machine "$1" read
	printf 'base_dir = %s\n' "$SECOND" >>"$LLAMA_CONFIG"
	make -C "$SECOND/build" clean >/dev/null
	llama build make -s -C "$SECOND/build" -j2
	assert_as_expected "$SECOND/build"
}

@test "another checkout elsewhere finds all results that are the same there" {
	two_checkouts
	assert_stat share.skipped.contains_path 1
	assert_stat share.skipped.messages 1
	(cd "$FIRST/build" && llama explain gcc -O2 -Wall -DROOT="\"$FIRST\"" -I"$FIRST/source/include" -I"$FIRST/build" \
		-isystem "$FIRST/source/third" -MD -MT objects/asserts.c.o -MF objects/asserts.c.o.d -o objects/asserts.c.o -c "$FIRST/source/asserts.c") >explained
	grep -q '^base_dir .*contains_path' explained
	second_builds second
	assert_stat hits.shared 6
	assert_stat executed.sandbox 2
	assert_stat share.rejected 0
	# What it found it has now, with its own names.
	make -C "$SECOND/build" clean >/dev/null
	llama build make -s -C "$SECOND/build" -j2
	assert_as_expected "$SECOND/build"
	assert_stat hits.local 8
}

@test "another checkout with another header, or another generated one, compiles what includes it" {
	two_checkouts
	printf '#define THIRD 33\n' >"$SECOND/source/third/third.h"
	expect_second
	second_builds second
	assert_stat hits.shared 0
	printf '#define THIRD 3\n' >"$SECOND/source/third/third.h"
	printf '#define CONFIG 44\n' >"$SECOND/build/config.h"
	expect_second
	second_builds third
	assert_stat hits.shared 0
}

@test "results that have the path, or may have it unseen, are not for another checkout" {
	two_checkouts "-O1 -g"
	assert_stat share.skipped.contains_path 8
	second_builds second
	assert_stat hits.shared 0
}

@test "debug information whose paths are mapped away is for every checkout" {
	# What is mapped is in the command, and so relative as all else.
	two_checkouts '-O1 -g -ffile-prefix-map=$(ROOT)=.'
	assert_stat share.skipped.contains_path 0
	second_builds second
	assert_stat hits.shared 8
}

@test "what works with the length of its absolute name is for one checkout only" {
	share_cloud
	FIRST=$PWD/one SECOND=$PWD/second/checkout
	for checkout in "$FIRST" "$SECOND"; do
		make_checkout "$checkout"
		rm "$checkout"/source/[aw]*.c "$checkout"/source/plain[3-6].c
		printf 'unsigned long f(void) { return sizeof(__FILE__); }\n' >"$checkout/source/plain1.c"
	done
	expect_second
	on_machine first write
	printf 'base_dir = %s\n' "$FIRST" >>"$LLAMA_CONFIG"
	llama build make -s -C "$FIRST/build"
	assert_stat share.skipped.measured 1
	second_builds second
	assert_stat hits.shared 1
}

@test "compressed debug information and LTO are for one checkout only" {
	two_checkouts "-O1 -g -gz"
	second_builds second
	assert_stat hits.shared 0
	export CFLAGS='-O1 -flto -frandom-seed=1'
	expect_second
	on_machine first write
	printf 'base_dir = %s\n' "$FIRST" >>"$LLAMA_CONFIG"
	make -C "$FIRST/build" clean >/dev/null
	llama build make -s -C "$FIRST/build" -j2
	assert_stat share.skipped.option 8
	second_builds third
	assert_stat hits.shared 0
}

@test "a header that is included by its absolute path is this checkout's, there as well" {
	share_cloud
	FIRST=$PWD/one SECOND=$PWD/second/checkout
	make_checkout "$FIRST"
	rm "$FIRST"/source/[aw]*.c "$FIRST"/source/plain[2-6].c
	# One text for both, and it means the first.
	printf '#include "%s"\nint f(void) { return THIRD; }\n' "$FIRST/source/third/third.h" >"$FIRST/source/plain1.c"
	make_checkout "$SECOND"
	rm "$SECOND"/source/*.c
	cp "$FIRST/source/plain1.c" "$SECOND/source/"
	on_machine first write
	printf 'base_dir = %s\n' "$FIRST" >>"$LLAMA_CONFIG"
	llama build make -s -C "$FIRST/build"
	assert_stat share.skipped.text 1
	printf '#define THIRD 33\n' >"$FIRST/source/third/third.h"
	expect_second
	second_builds second
	assert_stat hits.shared 0
}
