/* The parser against the drivers that are installed: each command is really run, in a directory of its own, and what it wrote is
 * compared with what the parser foresaw. A driver that isn't there is skipped. */
#include "compiler/test-support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "compiler/depfile.h"
#include "compiler/native.h"

static void write_file(const char *path, const char *text)
{
	struct error err;
	if (file_replace(path, slice_str(text), 0644, &err) < 0)
		fail_msg("%s", err.text);
}

static const char source[] = "#include \"header_with_a_long_name_1.h\"\n"
			     "#include \"header_with_a_long_name_2.h\"\n"
			     "#include \"sp ace/x#y$z.h\"\n"
			     "#include <stddef.h>\n"
			     "extern double a[100], b[100];\n"
			     "int f(int x) { return x + 1; }\n"
			     "void g(void) { for (int i = 0; i < 100; i++) a[i] = a[i] * b[i] + f(i); }\n";

/* A fresh directory with sources, made the cwd; the caller removes it with `leave`. */
static void enter(char *dir)
{
	strcpy(dir, "/tmp/llama-drivers-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("src", 0755) | mkdir("out", 0755) | mkdir("sp ace", 0755), 0);
	write_file("header_with_a_long_name_1.h", "");
	write_file("header_with_a_long_name_2.h", "");
	write_file("sp ace/x#y$z.h", "");
	write_file("a.c", source);
	write_file("c.x.c", source);
	write_file(".dot.c", source);
	write_file("src/b.c", "#include \"../a.c\"\n");
	write_file("src/noext", "#include \"../a.c\"\n");
	write_file("src/S.S", "#include \"../header_with_a_long_name_1.h\"\nf: ret\n");
	write_file("s.s", "f: ret\n");
	write_file("p.i", "int x;\nint f(void) { return x; }\n");
	write_file("p.ii", "int x;\nint f() { return x; }\n");
	write_file("ignore.txt", "fun:nothing\n");
}

static void leave(const char *dir)
{
	struct error err;
	assert_int_equal(chdir("/"), 0);
	if (file_remove_tree(AT_FDCWD, dir, &err) < 0)
		fail_msg("%s", err.text);
}

/* Run it with silence on its descriptors, or with stderr to `stderr_path`; its exit status. */
static int run(const char *const *argv, const char *stderr_path)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		int err = stderr_path ? open(stderr_path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : null;
		dup2(null, 0);
		dup2(null, 1);
		dup2(err, 2);
		setenv("LC_ALL", "C", 1);
		/* The compilers must not be slowed, nor their leaks reported, by what this test is built with. */
		unsetenv("LD_PRELOAD");
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static bool have(const char *driver)
{
	const char *argv[] = { driver, "--version", NULL };
	return run(argv, NULL) == 0;
}

/* All regular files below the cwd. */
static void list_files(const char *dir, struct arena *arena, struct strlist *ret)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		const char *path = strcmp(dir, ".") == 0 ? arena_strdup(arena, entry->d_name)
							 : arena_printf(arena, "%s/%s", dir, entry->d_name);
		if (entry->d_type == DT_DIR)
			list_files(path, arena, ret);
		else
			strlist_add(ret, arena, path);
	}
}

static bool contains(const struct strlist *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->items[i], name) == 0)
			return true;
	}
	return false;
}

static const char *without_dot(const char *path)
{
	return strncmp(path, "./", 2) == 0 ? path + 2 : path;
}

static void check_no_new_files(const struct strlist *before, const char *command, struct arena *arena)
{
	struct strlist after = { 0 };
	list_files(".", arena, &after);
	for (size_t i = 0; i < after.n; i++) {
		if (!contains(before, after.items[i]))
			fail_msg("%s: the scan wrote %s", command, after.items[i]);
	}
}

/* The dependency file has the targets that were foreseen, can be rendered again, and for others. */
static void check_depfile(const struct command *command, const char *line, struct arena *arena)
{
	_cleanup_buf_ struct buf text = { 0 }, again = { 0 }, other = { 0 }, back = { 0 };
	struct error err;
	struct depfile depfile;
	const char *others[] = { "some/other/directory/with/a/name.o" };
	if (file_read(command->depfile.path, 1 << 20, &text, &err) < 0)
		fail_msg("%s: %s", line, err.text);
	if (depfile_retarget(buf_slice(&text), command->depfile.targets, command->depfile.n_targets,
		    command->depfile.targets, command->depfile.n_targets, &again) != 0)
		fail_msg("%s: can't be rendered again (target %s):\n%s", line, command->depfile.targets[0],
			buf_str(&text));
	/* A text without a broken line may be of either style, and then refused. */
	if (depfile_retarget(
		    buf_slice(&text), command->depfile.targets, command->depfile.n_targets, others, 1, &other) == 0) {
		assert_int_equal(depfile_retarget(buf_slice(&other), others, 1, command->depfile.targets,
					 command->depfile.n_targets, &back),
			0);
		assert_true(slice_equal(buf_slice(&back), buf_slice(&text)));
	} else {
		assert_null(strstr(buf_str(&text), "\\\n"));
	}
	assert_int_equal(depfile_parse(buf_slice(&text), arena, &depfile, &err), 0);
	assert_string_equal(depfile.inputs[0], command->input);
}

static void check_command(const char *driver, const char *arguments)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char dir[64];
	struct command command;
	struct reason reason;
	struct strlist before = { 0 }, after = { 0 };
	const char *line = arena_printf(&arena, "%s %s", driver, arguments);
	struct strlist list = words(line, &arena);

	enter(dir);
	list_files(".", &arena, &before);
	if (parse_words(&list, &arena, &command, &reason) != 0)
		fail_msg("%s: local, %s", line, reason_name(reason.code));
	if (command.scan_argv) {
		if (run(command.scan_argv, NULL) != 0)
			fail_msg("%s: the scan fails", line);
		check_no_new_files(&before, line, &arena);
	}
	if (run(command.argv, NULL) != 0)
		fail_msg("%s: fails", line);
	list_files(".", &arena, &after);
	for (size_t i = 0; i < after.n; i++) {
		bool foreseen = contains(&before, after.items[i]);
		for (size_t k = 0; k < command.n_outputs; k++)
			foreseen |= strcmp(without_dot(command.outputs[k].path), after.items[i]) == 0;
		if (!foreseen)
			fail_msg("%s: wrote %s", line, after.items[i]);
	}
	for (size_t k = 0; k < command.n_outputs; k++) {
		if (!command.outputs[k].optional && !contains(&after, without_dot(command.outputs[k].path)))
			fail_msg("%s: did not write %s", line, command.outputs[k].path);
	}
	if (command.depfile.wanted)
		check_depfile(&command, line, &arena);
	leave(dir);
}

static const char *const where[] = {
	"-c a.c",
	"-c src/b.c",
	"-c src/b.c -o out/z.o",
	"-c src/b.c -o out/z",
	"-c src/b.c -o out/z.x.o",
	"-c src/b.c -o out/z.x",
	"-c c.x.c",
	"-c c.x.c -o ./z.o",
	"-S src/b.c",
	"-S src/b.c -o out/q.s",
	"-S src/b.c -o out/q",
	"-c s.s",
	"-c src/S.S -o out/w.o",
	"-c p.i -o out/p.o",
	"-c p.ii",
	"-c -x c src/noext",
	"-c .dot.c",
	"-c .dot.c -o out/.foo",
	"-c src/b.c -o out/z.",
};
static const char *const what_both[] = {
	"-O1",
	"-MD",
	"-MMD -MP",
	"-MD -MF out/d~d.d",
	"-MD -MT ./t -MQ q#$x -MT last~one.o -MQ ./z",
	"-Wp,-MD,out/w.d",
	"-Wp,-MMD,out/w.d -MT t",
	"-g -gsplit-dwarf -MD",
	"--coverage",
	"-ftest-coverage",
	"-fstack-usage",
	"-save-temps",
	"-save-temps=obj",
	"-save-temps=cwd",
	"-save-temps --coverage -fstack-usage",
	"-save-temps=cwd --coverage -fstack-usage -MD",
	"-flto -fstack-usage",
	"-flto -save-temps",
	"-fprofile-arcs",
	"-g3 -O2 -pipe -fPIC -Wall -D~X=1 -I. -iquote src",
	"-fsanitize=undefined -fdiagnostics-color=always",
};
static const char *const what_gcc[] = { "-fcallgraph-info", "-fcallgraph-info=su,da",
	"-Wp,-MD,out/w.d,-MP,-DX -Wp,-MT,t", "-frecord-gcc-switches -fverbose-asm", "-Wa,--noexecstack,-Isrc" };
static const char *const what_clang[] = { "-g -gsplit-dwarf=single", "-g -gsplit-dwarf=split",
	"-frecord-gcc-switches -MD", "-Wp,-MD", "-fsanitize=undefined -fsanitize-ignorelist=ignore.txt",
	"-mllvm -inline-threshold=3 -Xclang -fno-pch-timestamp" };

/* The whole product takes minutes: every fourth, along its diagonals, unless LLAMA_TEST_ALL is set. */
static void check_all(const char *driver, const char *const *what, size_t n)
{
	size_t step = getenv("LLAMA_TEST_ALL") ? 1 : 4;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = i % step; k < sizeof(where) / sizeof(where[0]); k += step) {
			_cleanup_arena_ struct arena arena = ARENA_INIT;
			check_command(driver, arena_printf(&arena, "%s %s", what[i], where[k]));
		}
	}
}

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void drivers__gcc_writes_what_is_foreseen(void **state)
{
	if (!have("gcc"))
		skip();
	check_all("gcc", what_both, N(what_both));
	check_all("gcc", what_gcc, N(what_gcc));
}

static void drivers__clang_writes_what_is_foreseen(void **state)
{
	if (!have("clang"))
		skip();
	check_all("clang", what_both, N(what_both));
	check_all("clang", what_clang, N(what_clang));
}

/* Two commands with equal keys make equal objects: nothing that was left out of the key reaches them. */
static void check_key(const char *driver, const char *option)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };
	char dir[64];
	struct command first, second;
	struct reason reason;
	struct error err;
	const char *line = arena_printf(&arena, "%s %s", driver, option);
	struct strlist one = words(
		arena_printf(&arena, "%s -frandom-seed=1 -c a.c %s -o z.o -MD -MF d -MT t -fdiagnostics-color=never",
			driver, option),
		&arena);
	struct strlist two = words(
		arena_printf(&arena, "%s -frandom-seed=1 -c a.c %s -o out/longer.x.o -MD -fdiagnostics-color=always",
			driver, option),
		&arena);
	assert_int_equal(parse_words(&one, &arena, &first, &reason), 0);
	assert_int_equal(parse_words(&two, &arena, &second, &reason), 0);
	bool equal = first.n_key_args == second.n_key_args;
	for (size_t i = 0; equal && i < first.n_key_args; i++)
		equal = strcmp(first.key_args[i], second.key_args[i]) == 0;
	assert_int_equal(equal, !first.records_output_name);
	if (!equal)
		return;
	enter(dir);
	if (run(first.argv, NULL) != 0 || run(second.argv, NULL) != 0)
		fail_msg("%s: fails", line);
	assert_int_equal(file_read("z.o", 1 << 24, &a, &err), 0);
	assert_int_equal(file_read("out/longer.x.o", 1 << 24, &b, &err), 0);
	if (!slice_equal(buf_slice(&a), buf_slice(&b)))
		fail_msg("%s: equal keys, other objects", line);
	leave(dir);
}

static void drivers__equal_keys_mean_equal_objects(void **state)
{
	static const char *const both[] = { "-O2", "-g", "-g3 -gdwarf-4", "-g -frecord-gcc-switches",
		"-g -grecord-gcc-switches", "-flto -g", "-fprofile-arcs", "--coverage", "-ftest-coverage",
		"-fprofile-generate", "-g -gsplit-dwarf", "-fstack-usage", "-save-temps",
		"-fsanitize=address,undefined", "-S -fverbose-asm", "-pg", "-fopenmp", "-ffile-prefix-map=/tmp=/x -g" };
	if (have("gcc")) {
		for (size_t i = 0; i < N(both); i++)
			check_key("gcc", both[i]);
	}
	if (have("clang")) {
		for (size_t i = 0; i < N(both); i++)
			check_key("clang", both[i]);
		check_key("clang", "-fprofile-instr-generate -fcoverage-mapping");
		check_key("clang", "-frecord-command-line");
	}
}

static void check_native(const char *driver, const char *arguments)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf answer = { 0 }, a = { 0 }, b = { 0 };
	char dir[64];
	struct command command;
	struct reason reason;
	struct error err;
	struct strlist list = words(arena_printf(&arena, "%s %s -c a.c -o a.o", driver, arguments), &arena);
	assert_int_equal(parse_words(&list, &arena, &command, &reason), 0);
	enter(dir);
	assert_int_equal(run(command.argv, NULL), 0);
	assert_int_equal(file_read("a.o", 1 << 24, &a, &err), 0);
	assert_int_equal(run(native_query(&command, &arena), "answer"), 0);
	assert_int_equal(file_read("answer", 1 << 20, &answer, &err), 0);
	if (native_apply(&command, buf_slice(&answer), &arena, &err) < 0)
		fail_msg("%s %s: %s", driver, arguments, err.text);
	assert_int_equal(run(command.scan_argv, NULL), 0);
	assert_int_equal(run(command.argv, NULL), 0);
	assert_int_equal(file_read("a.o", 1 << 24, &b, &err), 0);
	if (!slice_equal(buf_slice(&a), buf_slice(&b)))
		fail_msg("%s %s: other code", driver, arguments);
	leave(dir);
}

static void drivers__native_made_explicit_gives_the_same_code(void **state)
{
	static const char *const both[] = { "-O3 -march=native", "-O3 -mno-avx -march=native",
		"-O3 -march=native -mtune=generic", "-O3 -mtune=native",
		"-O3 -march=native -mtune=native -mno-fma -DX=\"a~b\"", "-O3 -march=native -march=x86-64" };
	for (size_t i = 0; i < N(both); i++) {
		if (have("gcc"))
			check_native("gcc", both[i]);
		if (have("clang"))
			check_native("clang", both[i]);
	}
	if (have("clang"))
		check_native("clang", "-O3 -flto -g -march=native");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drivers__gcc_writes_what_is_foreseen),
		cmocka_unit_test(drivers__clang_writes_what_is_foreseen),
		cmocka_unit_test(drivers__equal_keys_mean_equal_objects),
		cmocka_unit_test(drivers__native_made_explicit_gives_the_same_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
