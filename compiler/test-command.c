#include "compiler/test-support.h"

#include "compiler/describe.h"

struct row {
	const char *command;
	const char *want;
};

static void check(const struct row *row, const char *got)
{
	if (strcmp(row->want, got) != 0)
		fail_msg("%s\n  gave   %s\n  wanted %s", row->command, got, row->want);
}

static void parse(const struct row *row, struct arena *arena, struct command *ret)
{
	struct reason reason;
	struct strlist list = words(row->command, arena);
	if (parse_words(&list, arena, ret, &reason) != 0)
		fail_msg("%s\n  is local: %s %s", row->command, reason_name(reason.code),
			reason.detail ? reason.detail : "");
}

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

/* The names, the main output first; ? optional, % the dependency file. All found by running the compilers. */
static void command__outputs_are_named_as_the_compilers_do(void **state)
{
	static const struct row rows[] = {
		{ "gcc -c a.c", "a.o" },
		{ "gcc -c src/b.c", "b.o" },
		{ "gcc -c c.x.c", "c.x.o" },
		{ "gcc -S src/b.c", "b.s" },
		{ "gcc -c -S src/b.c", "b.s" },
		{ "gcc -c -x c src/noext", "noext.o" },
		{ "gcc -c .dot.c", ".dot.o" },
		{ "gcc -oout/z.o -c a.c", "out/z.o" },
		{ "gcc --compile --output=out/z.o a.c", "out/z.o" },
		{ "gcc -c a.c -MD", "a.o a.d%" },
		{ "gcc -c -x c src/noext -MD", "noext.o noext.d%" },
		{ "gcc -c src/b.c -MD -o out/z.x.o", "out/z.x.o out/z.x.d%" },
		{ "gcc -c a.c -MD -o out/z", "out/z out/z.d%" },
		{ "gcc -c a.c -MD -o out/.z", "out/.z out/.d%" },
		{ "gcc -c a.c -MD -o out/z.", "out/z. out/z.d%" },
		{ "gcc -c a.c -MMD -MF d", "a.o d%" },
		{ "gcc -c a.c -MFd -MD", "a.o d%" },
		{ "gcc -c a.c -MD -MF l -MF k", "a.o k%" },
		{ "gcc -c a.c -Wp,-MD,d2 -o out/z.o", "out/z.o d2%" },
		{ "gcc -c a.c -Wp,-MMD,d2,-MP", "a.o d2%" },
		{ "gcc -S a.c -MD -o out/q.s", "out/q.s out/q.d%" },
		{ "gcc -c s.s -MD", "s.o" },
		{ "gcc -c p.i -MD", "p.o" },
		{ "gcc -c src/S.S -MD -o w.o", "w.o w.d%" },
		{ "gcc -g -gsplit-dwarf -c src/b.c -o out/z.x.o", "out/z.x.o out/z.x.dwo?" },
		{ "gcc -g -gsplit-dwarf -c src/b.c", "b.o b.dwo?" },
		{ "gcc -g -gsplit-dwarf -c a.c -o out/.foo", "out/.foo out/.foo.dwo?" },
		{ "gcc -g -gsplit-dwarf -S src/b.c", "b.s" },
		{ "gcc -gsplit-dwarf -gno-split-dwarf -c a.c", "a.o" },
		{ "gcc --coverage -c src/b.c -o out/z.x", "out/z.x out/z.gcno? out/z.gcda-" },
		{ "gcc -coverage -c src/b.c", "b.o b.gcno? b.gcda-" },
		{ "gcc -coverage -c S.S", "S.o" },
		{ "gcc -fprofile-arcs -c a.c", "a.o a.gcda-" },
		{ "gcc -fprofile-arcs -frandom-seed=1 -c a.c", "a.o" },
		{ "gcc -fprofile-generate=d -c a.c", "a.o" },
		{ "gcc --coverage -fprofile-dir=d -c a.c", "a.o a.gcno?" },
		{ "gcc -ftest-coverage -c a.c", "a.o a.gcno? a.gcda-" },
		{ "gcc -fstack-usage -c a.c -o out/z.o -MD", "out/z.o out/z.d% out/z.su?" },
		{ "gcc -fcallgraph-info -fstack-usage -c src/b.c", "b.o b.su? b.ci?" },
		{ "gcc -save-temps -c src/b.c -o out/z.o", "out/z.o out/z.i? out/z.s?" },
		{ "gcc -save-temps -c src/b.c", "b.o b.i? b.s?" },
		{ "gcc -save-temps=obj -save-temps -c b.c -o out/z.o", "out/z.o out/z.i? out/z.s?" },
		{ "gcc -save-temps=cwd --coverage -fstack-usage -g -gsplit-dwarf -c b.c -o out/z.o",
			"out/z.o z.dwo? z.gcno? z.gcda- z.su? z.i? z.s?" },
		{ "gcc -save-temps -S src/b.c -o out/q.s", "out/q.s out/q.i?" },
		{ "gcc -save-temps -c src/S.S -o out/w.o", "out/w.o out/w.s?" },
		{ "gcc -save-temps -c s.s", "s.o" },
		{ "g++ -save-temps -c b.c -o out/z.o", "out/z.o out/z.ii? out/z.s?" },
		{ "gcc -save-temps -c p.i", "p.o p.s?" },

		{ "clang -c a.c -MD -o out/z.", "out/z. out/z.d%" },
		{ "clang -c a.c -Wp,-MD -o out/z.o", "out/z.o out/z.d%" },
		{ "clang -c a.c -Wp,-MMD,d2 -o out/z.o", "out/z.o d2%" },
		{ "clang -g -gsplit-dwarf -S src/b.c -o out/q.s", "out/q.s b.dwo?" },
		{ "clang -g -gsplit-dwarf -c src/b.c -o out/z.x", "out/z.x out/z.dwo?" },
		{ "clang --coverage -c a.c -o out/.foo", "out/.foo out/.gcno?" },
		{ "clang --coverage -S src/b.c -o out/q.s", "out/q.s out/q.gcno?" },
		{ "clang -fstack-usage -c .dot.c", ".dot.o .dot.su?" },
		{ "clang -save-temps -c src/b.c -o out/z.o", "out/z.o b.i? b.bc? b.s?" },
		{ "clang -save-temps=obj -c src/b.c -o out/z.o", "out/z.o out/b.i? out/b.bc? out/b.s?" },
		{ "clang -save-temps=obj -save-temps -c src/b.c -o out/z.o", "out/z.o b.i? b.bc? b.s?" },
		{ "clang -save-temps=obj -c src/b.c -o out/b.o", "out/b.o out/b.i? out/b.bc? out/b.s?" },
		{ "clang -save-temps=obj -c src/b.c -o z.o", "z.o b.i? b.bc? b.s?" },
		{ "clang -flto -save-temps -c b.c", "b.o b.i? b.bc?" },
		{ "clang++ -save-temps -S src/b.c -o out/q.s", "out/q.s b.ii? b.bc?" },
		{ "clang -save-temps -c src/S.S -o w.o", "w.o S.s?" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct command command;
		parse(&rows[i], &arena, &command);
		for (size_t k = 0; k < command.n_outputs; k++) {
			const struct command_output *output = &command.outputs[k];
			assert_int_equal(output->kind == OUTPUT_MAIN, k == 0);
			const char *mark = output->kind == OUTPUT_COUNTS  ? "-"
					   : output->kind == OUTPUT_DEPFILE ? "%"
					   : output->optional		    ? "?"
									    : "";
			buf_printf(&got, "%s%s%s", k ? " " : "", output->path, mark);
		}
		check(&rows[i], buf_str(&got));
	}
}

static void command__what_cannot_run_elsewhere_is_local_for_its_reason(void **state)
{
	static const struct row rows[] = {
		{ "gcc a.c", "link" },
		{ "gcc a.o b.o -o prog", "link" },
		{ "gcc -coverage a.c", "link" },
		{ "clang -flto a.c -o prog -fuse-ld=/usr/bin/ld.lld", "link" },
		{ "gcc -E a.c", "preprocess_only" },
		{ "gcc -E -c a.c", "preprocess_only" },
		{ "gcc -M a.c", "dependencies_only" },
		{ "gcc -MM -c a.c -MF d", "dependencies_only" },
		{ "gcc --version", "information" },
		{ "gcc -v -c a.c", "information" },
		{ "gcc -### -c a.c", "information" },
		{ "gcc -dumpmachine", "information" },
		{ "gcc -print-file-name=x", "information" },
		{ "clang --print-resource-dir", "information" },
		{ "gcc --help=common", "information" },
		{ "gcc -Q --help=target", "information" },
		{ "gcc -c", "no_input" },
		{ "gcc -c -", "stdin" },
		{ "gcc -c -x c - -o a.o", "stdin" },
		{ "gcc -c a.c b.c", "multiple_inputs" },
		{ "gcc -c a.c libx.a", "multiple_inputs" },
		{ "gcc -c conftest.c", "configure_probe" },
		{ "gcc -o conftest conftest.c", "configure_probe" },
		{ "gcc -c a.h", "pch" },
		{ "g++ a.hpp", "pch" },
		{ "gcc -x c++-header -c a", "pch" },
		{ "clang -include-pch x.pch -c a.c", "pch" },
		{ "clang -fpch-codegen -c a.c", "pch" },
		{ "g++ -fmodules-ts -c a.cc", "modules" },
		{ "clang -fmodules -c a.c", "modules" },
		{ "clang++ -fmodule-file=x.pcm -c a.cc", "modules" },
		{ "clang++ -std=c++20 -c a.cppm", "modules" },
		{ "clang++ -std=c++20 --precompile a.cppm -o a.pcm", "modules" },
		{ "clang -fprebuilt-module-path=x -c a.c", "modules" },
		{ "gcc -fprofile-use -c a.c", "profile_use" },
		{ "gcc -fprofile-use=x.gcda -c a.c", "profile_use" },
		{ "gcc -fauto-profile=x -c a.c", "profile_use" },
		{ "gcc -fbranch-probabilities -c a.c", "profile_use" },
		{ "clang -fprofile-use -c a.c", "profile_use" },
		{ "gcc -c a.m", "language" },
		{ "gcc -c a.f90", "language" },
		{ "gcc -c a.d", "language" },
		{ "gcc -c a.go", "language" },
		{ "gcc -c a.adb", "language" },
		{ "clang -c a.cu", "language" },
		{ "clang -c a.ll", "language" },
		{ "clang -c a.bc", "language" },
		{ "clang -c a.sx", "language" },
		{ "gcc -c a.CC", "language" },
		{ "gcc -c a.o", "language" },
		{ "gcc -x objective-c -c a.c", "language" },
		{ "clang -ObjC -c a.c", "language" },
		{ "gcc -c @flags a.c", "response_file" },
		{ "gcc -march=native -g -c a.c", "native" },
		{ "gcc -march=native -ggdb3 -c a.c", "native" },
		{ "gcc -march=native -flto -c a.c", "native" },
		{ "gcc -mtune=native -frecord-gcc-switches -c a.c", "native" },
		{ "clang -march=native -frecord-gcc-switches -c a.c", "native" },
		{ "clang -march=native -c a.S", "native" },
		{ "gcc -c a.c -o -", "output_special" },
		{ "gcc -c a.c -o /dev/null", "output_special" },
		{ "gcc -c a.c -MD -MF -", "output_special" },
		{ "gcc -c a.c -MD -MF /dev/stdout", "output_special" },
		{ "gcc -c a.c -o a.c", "output_special" },
		{ "gcc -S a.s", "option:-S" },
		{ "gcc -c a.c -o x -o y", "option:-o" },
		{ "gcc -c a.c -o", "option:-o" },
		{ "gcc -fsyntax-only a.c", "option:-fsyntax-only" },
		{ "clang --analyze a.c", "option:--analyze" },
		{ "clang -emit-llvm -c a.c", "option:-emit-" },
		{ "gcc -B. -c a.c", "option:-B" },
		{ "gcc -B . -c a.c", "option:-B" },
		{ "gcc -specs=x -c a.c", "option:-specs" },
		{ "gcc --specs=x -c a.c", "option:--specs" },
		{ "gcc -wrapper gdb -c a.c", "option:-wrapper" },
		{ "gcc -no-integrated-cpp -c a.c", "option:-no-integrated-cpp" },
		{ "clang -no-integrated-as -c a.c", "option:-no-integrated-as" },
		{ "gcc -fplugin=x.so -c a.c", "option:-fplugin" },
		{ "clang -fpass-plugin=x.so -c a.c", "option:-fpass-plugin=" },
		{ "gcc -fdump-tree-all -c a.c", "option:-fdump" },
		{ "gcc -dumpbase x -c a.c", "option:-d" },
		{ "gcc -dumpdir x -c a.c", "option:-d" },
		{ "gcc -dumpbase-ext x -c a.c", "option:-d" },
		{ "gcc -da -c a.c", "option:-d" },
		{ "gcc -dM -c a.c", "option:-d" },
		{ "gcc -fopt-info-vec=x -c a.c", "option:-fopt-info" },
		{ "gcc -fcompare-debug -c a.c", "option:-fcompare-debug" },
		{ "gcc -fsave-optimization-record -c a.c", "option:-fsave-optimization-record" },
		{ "clang -ftime-trace -c a.c", "option:-ftime-" },
		{ "gcc -ftime-report -c a.c", "option:-ftime-" },
		{ "gcc -time -c a.c", "option:-time" },
		{ "clang -fbasic-block-sections=list=x -c a.c", "option:-fbasic-block-sections=" },
		{ "clang -MJ x.json -c a.c", "option:-MJ" },
		{ "gcc -MD -MG -c a.c", "option:-MG" },
		{ "gcc -aux-info x -c a.c", "option:-aux-info" },
		{ "gcc -fprofile-note=x -c a.c", "option:-fprofile-note=" },
		{ "gcc -fdiagnostics-format=sarif-file -c a.c", "option:-fdiagnostics-format=sarif-file" },
		{ "clang -working-directory /x -c a.c", "option:-working-directory" },
		{ "clang --serialize-diagnostics x -c a.c", "option:--serialize-diagnostics" },
		{ "clang -arch x86_64 -c a.c", "option:-arch" },
		{ "clang --config x -c a.c", "option:--config" },
		{ "clang --driver-mode=cl -c a.c", "option:--driver-mode=" },
		{ "gcc -c a.c -funknown=/some/file", "option:-funknown=" },
		{ "gcc -c a.c -funknown=file.txt", "option:-funknown=" },
		{ "gcc -c a.c --unknown", "option:--unknown" },
		{ "gcc -c -- a.c", "option:--" },
		{ "gcc -c a.c -zunknown -Zunknown", "option:-Zunknown" },
		{ "gcc -c a.c -Wa,-ahls=x", "option:-Wa," },
		{ "gcc -c a.c -Wa,-MD,x", "option:-Wa," },
		{ "gcc -c a.c -Xassembler --MD", "option:-Xassembler" },
		{ "gcc -c a.c -Wp,-MD", "option:-Wp," },
		{ "gcc -c a.c -Wp,-MD,x -MD", "option:-Wp," },
		{ "gcc -c a.c -MF y -Wp,-MD,x", "option:-Wp," },
		{ "gcc -c a.c -Wp,-MD,x -MF y", "option:-Wp," },
		{ "gcc -c a.c -Wp,-MD,x,-MF,y", "option:-Wp," },
		{ "gcc -c a.c -Wp,-o,x", "option:-Wp," },
		{ "clang -c a.c -Wp,-MD,x,-MP", "option:-Wp," },
		{ "gcc -c a.c -Xpreprocessor -MD -Xpreprocessor x", "option:-Xpreprocessor" },
		{ "clang -c a.c -Xclang -load -Xclang x.so", "option:-Xclang" },
		{ "clang -c a.c -Xclang -ast-dump", "option:-Xclang" },
		{ "clang -c a.c -Xclang -target-cpu", "option:-Xclang" },
		{ "clang -c a.c -mllvm -info-output-file=x", "option:-mllvm" },
		{ "clang -c a.c -mllvm -inline-threshold=/x", "option:-mllvm" },
		{ "clang -c a.c -Xarch_host -O2", "option:-X" },
		{ "gcc -save-temps=elsewhere -c a.c", "option:-save-temps=" },
		{ "cc -c a.c", "unknown_compiler" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct command command;
		struct reason reason;
		struct strlist list = words(rows[i].command, &arena);
		assert_int_equal(
			parse_words(&list, &arena, &command, &reason), reason.code == REASON_NONE ? 0 : COMMAND_LOCAL);
		reason_format(&reason, &got);
		check(&rows[i], buf_str(&got));
	}
}

static void command__key_holds_all_that_can_reach_the_outputs_in_order(void **state)
{
	static const struct row rows[] = {
		{ "/usr/bin/gcc -O2 -c a.c -o x/a.o", "gcc -O2 -c a.c" },
		{ "gcc -c a.c -I b -Ic -D X -DY=1 -UZ", "gcc -c a.c -I b -Ic -D X -DY=1 -UZ" },
		{ "gcc -c a.c -MD -MF d -MT t -MQ q -MP -oz", "gcc -c a.c -MD -MP" },
		{ "gcc -c a.c -MMD -MTt", "gcc -c a.c -MMD" },
		{ "gcc -c a.c -Wp,-MMD,x.d,-DX,-MT,y", "gcc -c a.c -Wp,-MMD,-DX" },
		{ "gcc -c a.c -Wp,-MT,y -MD", "gcc -c a.c -MD" },
		{ "gcc -c a.c -Wp,-D,X -Wp,-D_FORTIFY_SOURCE=2", "gcc -c a.c -Wp,-D,X -Wp,-D_FORTIFY_SOURCE=2" },
		{ "gcc -c a.c -fdiagnostics-color=always -fno-diagnostics-color", "gcc -c a.c" },
		{ "clang -c a.c -fcolor-diagnostics -o b.o", "clang -c a.c" },
		{ "gcc -c a.c -ffile-prefix-map=a=b -fdebug-prefix-map=/x=/y",
			"gcc -c a.c -ffile-prefix-map=a=b -fdebug-prefix-map=/x=/y" },
		{ "gcc -c a.c -fdiagnostics-plain-output", "gcc -c a.c -fdiagnostics-plain-output" },
		{ "gcc -g -gsplit-dwarf -c a.c -o b.o", "gcc -g -gsplit-dwarf -c a.c -o b.o" },
		{ "gcc --coverage -c a.c -ob.o -MF d", "gcc --coverage -c a.c -ob.o" },
		{ "gcc -fprofile-generate -c a.c -o b.o", "gcc -fprofile-generate -c a.c -o b.o" },
		{ "clang -fprofile-generate -c a.c -o b.o", "clang -fprofile-generate -c a.c" },
		{ "gcc -frecord-gcc-switches -c a.c -o b.o -MD -MF d", "gcc -frecord-gcc-switches -c a.c -MD" },
		{ "clang -frecord-gcc-switches -c a.c -o b.o -MD -MF d -fcolor-diagnostics",
			"clang -frecord-gcc-switches -c a.c -o b.o -MD -MF d -fcolor-diagnostics" },
		{ "clang -Xclang -target-feature -Xclang +avx -c a.c",
			"clang -Xclang -target-feature -Xclang +avx -c a.c" },
		{ "clang -c -o b.o -- -a.c", "clang -c -- -a.c" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct command command;
		parse(&rows[i], &arena, &command);
		append_all(&got, command.key_args, command.n_key_args);
		check(&rows[i], buf_str(&got));
	}
}

static void command__scan_is_the_same_command_without_what_writes(void **state)
{
	static const struct row rows[] = {
		{ "gcc -O2 -c a.c -o a.o", "gcc -M -O2 a.c" },
		{ "gcc -c a.c -MD -MF d -MT t -MQq -MP -g -gsplit-dwarf --coverage -fstack-usage -save-temps=obj "
		  "-fcallgraph-info",
			"gcc -M a.c -g" },
		{ "gcc -c a.c -Wp,-MMD,x.d,-DX -Wa,-Ifoo -Xassembler -g", "gcc -M a.c -Wp,-DX" },
		{ "gcc -c a.c -Wp,-MMD,x.d -include b.h -x c -std=c99", "gcc -M a.c -include b.h -x c -std=c99" },
		{ "gcc -c a.S -DX", "gcc -M a.S -DX" },
		{ "gcc -c a.s", "" },
		{ "gcc -c a.i", "" },
		{ "clang -c -o b.o -- -a.c", "clang -M -- -a.c" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct command command;
		parse(&rows[i], &arena, &command);
		for (size_t k = 0; command.scan_argv && command.scan_argv[k]; k++)
			buf_printf(&got, "%s%s", k ? " " : "", command.scan_argv[k]);
		check(&rows[i], buf_str(&got));
	}
}

/* What stands before the colon; all found by running the compilers. */
static void command__dependency_targets_are_those_of_the_compilers(void **state)
{
	static const struct row rows[] = {
		{ "gcc -MD -c src/s.c", "s.o" },
		{ "gcc -MD -S src/s.c", "s.o" },
		{ "gcc -MD -S s.c -o out/z.s", "out/z.s" },
		{ "gcc -MD -c s.c -o ./out/q.o", "out/q.o" },
		{ "clang -MD -c s.c -o ./out/q.o", "./out/q.o" },
		{ "gcc -MD -c s.c -o o~s/x#$:.o", "o\\ s/x\\#$$:.o" },
		{ "clang -MD -c s.c -o o~s/x#$:.o", "o\\ s/x\\#$$:.o" },
		{ "gcc -MD -c s.c -MT ./a/b.o -MQ x#.o -MT se$cond.o -MQ ./k.o", "a/b.o se$cond.o x\\#.o k.o" },
		{ "clang -MD -c s.c -MT ./a/b.o -MQ x#.o -MT se$cond.o -MQ ./k.o", "./a/b.o x\\#.o se$cond.o ./k.o" },
		{ "gcc -Wp,-MD,zz.d -c s.c -o out/q.o", "s.o" },
		{ "clang -Wp,-MD,zz.d -c s.c -o out/q.o", "out/q.o" },
		{ "gcc -Wp,-MD,zz.d -c s.c -MT kk", "kk" },
		{ "gcc -Wp,-MMD,zz.d,-MT,kk -c s.c", "kk" },
		{ "gcc -MD -c s.c -MQ a\\~b", "a\\\\\\ b" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct command command;
		parse(&rows[i], &arena, &command);
		assert_true(command.depfile.wanted);
		append_all(&got, command.depfile.targets, command.depfile.n_targets);
		check(&rows[i], buf_str(&got));
	}
}

static void command__facts_are_read_from_the_options(void **state)
{
	static const struct {
		const char *command;
		enum language language;
		const char *
			flags; /* c colour set, n native, r records name, s random seed, a assembles only, u -MMD, p -MP */
	} rows[] = {
		{ "gcc -c a.c", LANGUAGE_C, "" },
		{ "g++ -c a.c", LANGUAGE_CXX, "" },
		{ "x86_64-linux-gnu-g++-12 -c a.i", LANGUAGE_CXX_CPP_OUTPUT, "" },
		{ "clang++-14 -c a.c", LANGUAGE_CXX, "" },
		{ "clang++ -x c -c a.cc", LANGUAGE_C, "" },
		{ "gcc -x c++ -x none -c a.c", LANGUAGE_C, "" },
		{ "gcc -xc++ -c a.c", LANGUAGE_CXX, "" },
		{ "gcc -c a.c -x c++", LANGUAGE_C, "" },
		{ "gcc -c a.C", LANGUAGE_CXX, "" },
		{ "gcc -c a.sx", LANGUAGE_ASM_CPP, "" },
		{ "gcc -c a.s", LANGUAGE_ASM, "a" },
		{ "gcc -c a.ii", LANGUAGE_CXX_CPP_OUTPUT, "" },
		{ "clang -c a.CC", LANGUAGE_CXX, "" },
		{ "gcc -c a.c -fdiagnostics-color=auto", LANGUAGE_C, "c" },
		{ "gcc -c a.c -fdiagnostics-plain-output", LANGUAGE_C, "c" },
		{ "gcc -c a.c -march=native", LANGUAGE_C, "n" },
		{ "gcc -c a.c -march=native -g0", LANGUAGE_C, "n" },
		{ "clang -c a.c -mtune=native -g", LANGUAGE_C, "n" },
		{ "gcc -c a.c -march=armv8.2-a+crypto", LANGUAGE_C, "" },
		{ "gcc -c a.c -flto", LANGUAGE_C, "s" },
		{ "gcc -c a.c -flto -frandom-seed=a/b.c", LANGUAGE_C, "" },
		{ "clang -c a.c -flto=thin", LANGUAGE_C, "" },
		{ "gcc -c a.c --coverage", LANGUAGE_C, "rs" },
		{ "clang -c a.c --coverage", LANGUAGE_C, "r" },
		{ "gcc -c a.c -fprofile-generate=/x", LANGUAGE_C, "rs" },
		{ "gcc -c a.c -MMD -MP", LANGUAGE_C, "up" },
		{ "gcc -c a.c -Wp,-MMD,x", LANGUAGE_C, "u" },
		{ "gcc -c a.c -fstack-usage", LANGUAGE_C, "r" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct command command;
		struct row row = { rows[i].command, rows[i].flags };
		parse(&row, &arena, &command);
		buf_printf(&got, "%s%s%s%s%s%s%s", command.user_set_color ? "c" : "", command.wants_native ? "n" : "",
			command.records_output_name ? "r" : "", command.random_seed ? "s" : "",
			command.assembles_only ? "a" : "", command.depfile.user_headers ? "u" : "",
			command.depfile.phony ? "p" : "");
		check(&row, buf_str(&got));
		assert_string_equal(language_name(command.language), language_name(rows[i].language));
	}
}

static void command__harmless_options_do_not_keep_it_local(void **state)
{
	static const struct row rows[] = {
		{ "gcc -c a.c -Wall -Wextra -Werror=format -Wno-foo -Wframe-larger-than=2048 -pedantic -ansi -w", "" },
		{ "gcc -c a.c -O2 -Og -Ofast -fPIC -fno-strict-aliasing -fvisibility=hidden "
		  "-fsanitize=address,undefined",
			"" },
		{ "gcc -c a.c -m64 -msse4.2 -mno-red-zone -mcmodel=kernel -mstack-protector-guard-symbol=x "
		  "-mfentry-section=.x",
			"" },
		{ "gcc -c a.c -g3 -gdwarf-4 -gz=zlib -ggdb -gno-column-info", "" },
		{ "gcc -c a.c -pipe -pthread -pg -p -H -P -undef -trigraphs --param x=1 --param=y=2", "" },
		{ "gcc -c a.c -Lfoo -L foo -lfoo -Wl,-rpath,/x -Xlinker -z -z now -s -static -shared -rdynamic -T x.ld "
		  "-u f",
			"" },
		{ "gcc -c a.c -Wa,--noexecstack -Wa,-mrelax-relocations=no,--defsym,X=1 -Xassembler -g", "" },
		{ "gcc -c a.c -fexec-charset=ANSI_X3.4-1968 -frandom-seed=a/b.c -fopt-info -flto=auto", "" },
		{ "gcc -c a.c -finstrument-functions-exclude-file-list=/usr/x.h,y.c -fplt -ftemplate-depth=900", "" },
		{ "clang -c a.c -Qunused-arguments -Rpass=.* -fms-compatibility-version=19.20 -stdlib=libc++", "" },
		{ "clang -c a.c --target=aarch64-linux-gnu -target x86_64-linux-gnu -integrated-as -ftrapv-handler f",
			"" },
		{ "clang -c a.c -Xclang -fno-pch-timestamp -Xclang -mllvm -Xclang -inline-threshold=3 -mllvm "
		  "-enable-foo",
			"" },
		{ "clang -c a.c -fbasic-block-sections=all -fclang-abi-compat=14.0 -mthread-model posix", "" },
		{ "clang -c a.c -fprofile-generate=/x/y.z -fprofile-instr-generate=%p.profraw", "" },
		/* as build systems write them: the Linux kernel, CMake, automake with libtool, Meson, Bazel, Chromium */
		{ "gcc -Wp,-MMD,kernel/.fork.o.d -nostdinc -I./arch/x86/include -include ./include/linux/kconfig.h "
		  "-D__KERNEL__ "
		  "-fmacro-prefix-map=./= -std=gnu11 -fshort-wchar -mpreferred-stack-boundary=3 "
		  "-mindirect-branch=thunk-extern "
		  "--param=allow-store-data-races=0 -Wa,-gdwarf-5 -pg -mrecord-mcount -mfentry -fplt "
		  "-DKBUILD_MODFILE='\"kernel/fork\"' -c -o kernel/fork.o kernel/fork.c",
			"./include/linux/kconfig.h" },
		{ "g++ -DX=\"1.0\" -I/b/inc -isystem /usr/include/x -O3 -DNDEBUG -fPIC -fvisibility-inlines-hidden "
		  "-std=gnu++17 "
		  "-Werror=date-time -MD -MT lib/x.cc.o -MF lib/x.cc.o.d -o lib/x.cc.o -c /b/x.cc",
			"" },
		{ "gcc -DHAVE_CONFIG_H -I. -g -O2 -MT x.lo -MD -MP -MF .deps/x.Tpo -c x.c -fPIC -DPIC -o .libs/x.o",
			"" },
		{ "gcc -Isub -I../sub -fdiagnostics-color=always -D_FILE_OFFSET_BITS=64 -Winvalid-pch -MD -MQ "
		  "x.p/a.c.o -MF x.p/a.c.o.d "
		  "-o x.p/a.c.o -c ../a.c",
			"" },
		{ "gcc -U_FORTIFY_SOURCE -fstack-protector -Wunused-but-set-parameter -g0 -MD -MF bazel-out/k8/x.d "
		  "-frandom-seed=bazel-out/x.o "
		  "-iquote . -no-canonical-prefixes -D__DATE__=\"redacted\" -c a.cc -o bazel-out/x.o",
			"" },
		{ "clang++ -MMD -MF obj/x.o.d -fcrash-diagnostics-dir=../../tools/clang/crashreports -mllvm "
		  "-instcombine-lower-dbg-declare=0 -ffp-contract=off -ffile-compilation-dir=. -no-canonical-prefixes "
		  "-gdwarf-4 "
		  "-Xclang -debug-info-kind=limited -c x.cc -o obj/x.o",
			"" },
		{ "clang -c a.c -fprofile-use=x.prof", "x.prof x.prof/default.profdata" },
		{ "clang -c a.c -fsanitize-ignorelist=i.txt -fprofile-sample-use=s -fxray-attr-list=l", "i.txt s l" },
		{ "gcc -c a.c -include b.h -imacros c.h -includee.h --include=d.h", "b.h c.h e.h d.h" },
		{ "gcc -c a.c -Wp,-include,b.h -Xpreprocessor -DX", "b.h" },
		{ "gcc -c a.c -I a -Ib -iquote c -isystem d -idirafter=e -isystemf -I- -I=g --sysroot=h -isysroot i",
			"|a b c d f h i" },
		{ "gcc -c a.c -iprefix a/ -iwithprefix b -iwithprefixbefore c", "" },
		{ "gcc -c a.S -Wa,-Ia,-I,b -Wp,-Ic,-isystem,d", "|a b c d" },
		{ "clang -c a.c -resource-dir a -stdlib++-isystem b -cxx-isystem c --gcc-toolchain=d", "|a b c d" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct command command;
		parse(&rows[i], &arena, &command);
		append_all(&got, command.named_files, command.n_named_files);
		if (command.n_named_dirs && rows[i].want[0] == '|') {
			buf_append_char(&got, '|');
			append_all(&got, command.named_dirs, command.n_named_dirs);
		}
		check(&rows[i], buf_str(&got));
	}
}

static void command__assembler_may_be_kept_at_home(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *argv[] = { "gcc", "-c", "a.S", NULL };
	struct command_request request = { .argv = argv, .argc = 3, .cwd = "/", .family = FAMILY_GCC };
	struct command command;
	struct reason reason;
	assert_int_equal(command_parse(&request, &arena, &command, &reason), COMMAND_LOCAL);
	assert_int_equal(reason.code, REASON_ASSEMBLE);
}

static void command__families_are_told_by_the_name(void **state)
{
	static const struct {
		const char *name;
		enum compiler_family family;
		bool cxx;
	} rows[] = {
		{ "gcc", FAMILY_GCC, false },
		{ "g++", FAMILY_GCC, true },
		{ "gcc-12", FAMILY_GCC, false },
		{ "x86_64-linux-gnu-gcc", FAMILY_GCC, false },
		{ "x86_64-linux-gnu-g++-12", FAMILY_GCC, true },
		{ "arm-none-eabi-gcc-12.2.1", FAMILY_GCC, false },
		{ "clang", FAMILY_CLANG, false },
		{ "clang++-14", FAMILY_CLANG, true },
		{ "aarch64-linux-gnu-clang", FAMILY_CLANG, false },
		{ "cc", FAMILY_UNKNOWN, false },
		{ "c++", FAMILY_UNKNOWN, true },
		{ "gcc-ar", FAMILY_UNKNOWN, false },
		{ "clang-cl", FAMILY_UNKNOWN, false },
		{ "clang-format-14", FAMILY_UNKNOWN, false },
		{ "12", FAMILY_UNKNOWN, false },
		{ "", FAMILY_UNKNOWN, false },
		{ "-", FAMILY_UNKNOWN, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(command_family_of_name(rows[i].name), rows[i].family);
		assert_int_equal(command_is_cxx_name(rows[i].name), rows[i].cxx);
	}
}

static void command__description_names_everything(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf text = { 0 };
	struct row row = { "gcc -O2 -MD --coverage -Iinc -include x.h -c a~b.c -o out.o", NULL };
	struct command command;
	parse(&row, &arena, &command);
	command_describe(&command, &text);
	assert_string_equal(buf_str(&text),
		"family        gcc\n"
		"input         a b.c (C)\n"
		"outputs       out.o (main)\n"
		"              out.d (dependencies)\n"
		"              out.gcno (side, optional)\n"
		"              out.gcda (old counts, optional)\n"
		"dep. targets  out.o\n"
		"named files   x.h\n"
		"directories   inc\n"
		"runs          gcc -O2 -MD --coverage -Iinc -include x.h -c 'a b.c' -o out.o\n"
		"key words     gcc -O2 -MD --coverage -Iinc -include x.h -c 'a b.c' -o out.o\n"
		"scan          gcc -M -O2 -Iinc -include x.h 'a b.c'\n"
		"records       the output's name reaches an output\n"
		"random        the plain compiler differs from itself\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command__outputs_are_named_as_the_compilers_do),
		cmocka_unit_test(command__what_cannot_run_elsewhere_is_local_for_its_reason),
		cmocka_unit_test(command__key_holds_all_that_can_reach_the_outputs_in_order),
		cmocka_unit_test(command__scan_is_the_same_command_without_what_writes),
		cmocka_unit_test(command__dependency_targets_are_those_of_the_compilers),
		cmocka_unit_test(command__facts_are_read_from_the_options),
		cmocka_unit_test(command__harmless_options_do_not_keep_it_local),
		cmocka_unit_test(command__assembler_may_be_kept_at_home),
		cmocka_unit_test(command__families_are_told_by_the_name),
		cmocka_unit_test(command__description_names_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
