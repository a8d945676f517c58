load helpers

# Cold, then after `make clean`; both times as the plain build made it.
build_twice() {
	make_project project 12
	build_plainly project
	run -0 --separate-stderr llama build make -C project
	[[ $output == *"-c -o unit1.o unit1.c"* ]] && [[ $stderr == *"llama: 13 compiled $1"*"1 run locally (link 1)"* ]]
	assert_as_expected project
	make -C project clean
	run -0 --separate-stderr llama build make -C project
	[[ $stderr == *"llama: 13 hits, 1 run locally (link 1)"* ]]
	assert_as_expected project
	assert_stat hits.local 13
	assert_stat local.total 2
}

@test "a project in place: executed, then all hits, equal to the plain build" {
	LLAMA_SANDBOX=inplace build_twice "in place"
	assert_stat executed.inplace 13
}

@test "a project in namespaces: executed, then all hits, equal to the plain build" {
	export LLAMA_SANDBOX=auto
	llama config | grep -q "runs compilers in namespaces" || skip "namespaces are forbidden here: $(llama config | grep 'runs compilers')"
	build_twice "in the sandbox"
	assert_stat executed.sandbox 13
}

@test "exits as the command does" {
	run -3 llama build sh -c 'exit 3'
	run -143 llama build sh -c 'kill -TERM $$'
	run -127 llama build nosuch-command
	assert_output_has "cannot run nosuch-command"
	[[ $output != *"no compiler was called"* ]]
	run -126 llama build /etc/passwd
}

@test "signals reach the command" {
	llama build sh -c 'trap "echo caught >signal; exit 5" TERM; echo >ready; while :; do sleep 0.1; done' 3>&- &
	pid=$!
	wait_until 100 test -e ready
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	[ $status = 5 ]
	[ "$(cat signal)" = caught ]
}

@test "the command sees the masquerade, the launcher and its build" {
	run -0 --separate-stderr llama build sh -c 'command -v gcc; echo $CMAKE_C_COMPILER_LAUNCHER; echo ${#LLAMACC_BUILD_ID}; command -v gcc-ar'
	[[ ${lines[0]} == "$LLAMA_CACHE_DIR"/masquerade/*/gcc ]]
	[ "$(readlink "${lines[0]}")" = "$LLAMA_BUILD_DIR/llamacc" ]
	[ "${lines[1]}" = "$LLAMA_BUILD_DIR/llamacc" ]
	[ "${lines[2]}" = 16 ]
	[[ ${lines[3]:-} != *masquerade* ]]
}

@test "gives make a -j, but not a second one" {
	printf 'all:\n\t@echo flags: $(MAKEFLAGS)\n' >Makefile
	LLAMA_JOBS=3 run -0 llama build make
	assert_output_has "-j"
	run -0 llama build -j5 make
	assert_output_has "-j5"
	run -0 llama build -j5 make -j2
	assert_output_has "-j2"
	run -0 llama build -j5 sh -c 'make'
	assert_output_has "-j5"
}

@test "engine local runs everything locally" {
	make_project project 3
	run -0 llama build --engine local make -C project
	assert_output_has "run locally ("
	assert_output_has "engine_off 4"
	make -C project clean
	LLAMA_ENGINE=local run -0 llama build --engine sandbox make -C project
	assert_output_has "4 compiled "
}

@test "an engine that isn't there leaves the build to this machine, and says why" {
	make_project project 2
	run -0 llama build --engine lambda make -C project
	assert_output_has "no engine lambda: set function and bucket"
	assert_output_has "3 compiled "
}

@test "a build that calls its compiler by path is told so" {
	echo 'int x;' >x.c
	run -0 llama build /usr/bin/gcc -c x.c
	assert_output_has "no compiler was called through llamacc"
	assert_output_has "llama build make CC=llamacc CXX=llamac++"
}

@test "a build that is interrupted says that nothing was finished" {
	for i in {1..20000}; do echo "int f$i(int *p, int n) { return p[n] * $i + n / p[n - $i]; }"; done >slow.c
	cat >build.sh <<-'END'
		gcc -O2 -S slow.c &
		until llama daemon --status | grep -q "1 running"; do sleep 0.1; done
		kill $!
	END
	run -0 llama build sh build.sh
	assert_output_has "llama: no compilation was finished,"
}

@test "the summary doesn't claim to know what another daemon did" {
	echo 'int x;' >x.c
	run -0 llama build sh -c 'gcc -c x.c; llama daemon --stop; gcc -O1 -c x.c'
	assert_output_has "llama: 1 compiled"
	assert_output_has "the daemon was started anew meanwhile"
	run -0 llama build gcc -O2 -c x.c
	[[ $output != *"started anew"* ]]
}

@test "what the summary proposes works, though llamacc is not on PATH" {
	make_project project 3
	sed -i 's,^CC = gcc,CC = /usr/bin/gcc,' project/Makefile
	PATH=/usr/bin:/bin run -0 "$LLAMA_BUILD_DIR/llama" build make -C project
	assert_output_has "llama build make CC=llamacc CXX=llamac++"
	make -C project clean
	PATH=/usr/bin:/bin run -0 "$LLAMA_BUILD_DIR/llama" build make -C project CC=llamacc CXX=llamac++
	assert_output_has "llama: 4 compiled"
	[ -x "$LLAMA_BUILD_DIR/llamac++" ]
}

@test "a CMake tree works with and without us, and learns about the launcher" {
	command -v cmake >/dev/null || skip "cmake is not installed"
	make_project project 3
	rm project/Makefile
	printf 'cmake_minimum_required(VERSION 3.16)\nproject(p C)\nfile(GLOB units *.c)\nadd_executable(p ${units})\n' >project/CMakeLists.txt
	cmake -S project -B plain >/dev/null
	run -0 llama build cmake --build plain
	assert_output_has "CMakeCache.txt names /usr/bin/"
	remedy=$(sed -n 's/.*this changes it: //p' <<<"$output")
	run -0 $remedy
	run -0 llama build cmake --build plain --clean-first
	assert_output_has "llama: 4 compiled"

	run -0 llama build cmake -S project -B ours
	grep -q 'CMAKE_C_COMPILER:[A-Z]*=/usr/bin/' ours/CMakeCache.txt
	run -0 llama build cmake --build ours
	assert_output_has "llama: 4 compiled"
	[[ $output != *"names /usr/bin"* ]]
}

@test "a tree configured by a script below us goes on working" {
	command -v cmake >/dev/null || skip "cmake is not installed"
	make_project project 2
	rm project/Makefile
	printf 'cmake_minimum_required(VERSION 3.16)\nproject(p C)\nfile(GLOB units *.c)\nadd_executable(p ${units})\n' >project/CMakeLists.txt
	run -0 llama build sh -c 'cmake -S project -B tree && cmake --build tree'
	assert_output_has "llama: 3 compiled"
	touch project/*.c
	cmake --build tree
}

@test "a failing compilation fails as it does without us" {
	printf 'int x = y;\n' >x.c
	status=0
	gcc -c x.c 2>expected || status=$?
	run -$status --separate-stderr llamacc gcc -c x.c
	[ "$stderr" = "$(cat expected)" ]
	[ ! -e x.o ]
}

@test "a Meson tree needs nothing" {
	command -v meson >/dev/null || skip "meson is not installed"
	make_project project 2
	rm project/Makefile
	printf "project('p', 'c')\nexecutable('p', 'main.c', 'unit1.c', 'unit2.c')\n" >project/meson.build
	# Meson puts a ccache or sccache that it finds before the compiler; CC says that there shall be none.
	CC=cc meson setup tree project >/dev/null
	run -0 llama build meson compile -C tree
	assert_output_has "llama: 3 compiled"
	[[ $output != *"stand in"* ]]
}
