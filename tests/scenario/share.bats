load helpers

# Results shared by way of a bucket of the test cloud. Machines differ in their caches and have the project at the same place.

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
	make_project project 1
	build_plainly project
	first_machine_builds
	build
	assert_stat hits.shared 2
	llama daemon --stop
	# It knows what is to be had, and has nothing of it.
	find "$LLAMA_CACHE_DIR" -mindepth 1 -maxdepth 1 ! -name share -exec rm -r {} +
	curl -sS --fail "$LLAMA_CLOUD_CONTROL/faults" -d '["s3.GetObject.latency=1000:20000"]' >/dev/null
	build
	assert_stat hits.shared 0
	assert_stat share.rejected 0
	assert_output_has "2 compiled"
}
