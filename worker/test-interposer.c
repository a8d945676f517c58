/* What test-interposer-calls.c did must be in the log, and its output where it was redirected to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "worker/lookup_log.h"
#include "worker/runner.h"

static const char *const found[] = { "open", "openat", "fstatat", "fopen", "freopen", "stat", "statx", "access",
	"faccessat", "euidaccess", "lstat", "readlink", "link", "after-chdir", "addopen", "tgt" };
static const char *const absent[] = { "absent/open", "absent/openat", "found/absent-below", "absent/fopen",
	"absent/stat", "absent/access", "absent/realpath", "absent/canonicalize", "absent/opendir", "absent/unlink",
	"absent/execv", "absent-bin/spawnedp", "absent-bin/nothing", "bin/nothing", "bin/nothing-too",
	"absent-bin/execvp", "absent-bin/execlp", "absent/chdir", "found/absent-after-chdir", "absent/fchdir" };
static const char *const executed[] = { "spawned", "spawnedp", "execv", "execvp", "execl", "execlp", "execle" };
static const char *const listed[] = { "listed", "listed-too", "listed-by-fd" };
static const char *const written[] = { "new-creat", "new-open", "new-fopen", "made", "made-link", "renamed-link",
	"hard", "removed", "fifo", "out", "aside" };

#define EACH(i, array) (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

struct place {
	char dir[64], home[80], linked[80], tmp[96], temporary[80], committed[80];
	const char *root; /* NULL: none */
};

static void shell(const char *format, ...)
{
	_cleanup_buf_ struct buf command = { 0 };
	va_list args;
	va_start(args, format);
	buf_vprintf(&command, format, args);
	va_end(args);
	assert_int_equal(system(buf_str(&command)), 0);
}

static void make_place(struct place *place)
{
	*place = (struct place){ .dir = "/tmp/llama-test-XXXXXX" };
	assert_non_null(mkdtemp(place->dir));
	snprintf(place->home, sizeof(place->home), "%s/home", place->dir);
	snprintf(place->linked, sizeof(place->linked), "%s/linked", place->dir);
	snprintf(place->tmp, sizeof(place->tmp), "%s/tmp", place->dir);
	snprintf(place->temporary, sizeof(place->temporary), "%s/home/.out.1", place->dir);
	snprintf(place->committed, sizeof(place->committed), "%s/committed", place->dir);
	shell("mkdir %s %s && ln -s home %s && cd %s && mkdir found bin listed listed-too listed-by-fd && ln -s "
	      "found/tgt link",
		place->home, place->tmp, place->linked, place->home);
	for
		EACH(i, found)
	shell("printf found. >%s/found/%s && chmod 644 %s/found/%s", place->home, found[i], place->home, found[i]);
	/* A script rather than a link to env: a multi-call binary would look at its name. */
	for
		EACH(i, executed)
	shell("printf '#!/bin/sh\\nexec \"$@\"\\n' >%s/bin/%s && chmod 755 %s/bin/%s", place->home, executed[i],
		place->home, executed[i]);
}

/* Move home below a foreign root, where symlinks of the real one lead. */
static void make_rooted(struct place *place, struct arena *arena)
{
	snprintf(place->tmp, sizeof(place->tmp), "%s/.llama/tmp", place->dir);
	place->root = arena_printf(arena, "%s/r", place->dir);
	shell("mkdir -p %s %s%s && mv %s %s%s && ln -s %s%s %s && ln -s /absolute/text %s/absolute && echo >%s/top", place->tmp,
		place->root, place->dir, place->home, place->root, place->dir, place->root, place->home, place->home,
		place->home, place->dir);
	for (const char *const *p = (const char *const[]){ "bin", "usr", "lib", "lib64", "etc", NULL }; *p; p++)
		shell("ln -s /%s %s/%s", *p, place->root, *p);
}

/* Run it in `cwd`; $PWD says `pwd`; `out` is redirected when it is `target`. */
static void run_calls(const struct place *place, const char *cwd, const char *pwd, const char *target,
	const char *rooted_top, struct arena *arena, struct lookup_log *ret)
{
	struct runner_options options = { .mode = place->root ? RUNNER_ROOTED : RUNNER_INPLACE,
		.program = TEST_RUNNER,
		.interposer = TEST_INTERPOSER,
		.root = place->root,
		.tmpdir = place->tmp };
	struct error err;
	struct runner *runner = runner_new(&options, &err);
	if (!runner)
		fail_msg("%s", err.text);
	const char *env[] = { arena_printf(arena, "PATH=%s/absent-bin:%s/bin:/usr/bin:/bin", place->home, place->home),
		arena_printf(arena, "PWD=%s", pwd), NULL };
	struct run_redirect redirect = { target, place->temporary };
	struct run_command command = {
		.argv = (const char *const[]){ TEST_CALLS, target || rooted_top ? pwd : NULL, rooted_top, NULL },
		.env = env,
		.cwd = cwd,
		.umask = 0,
		.redirects = &redirect,
		.n_redirects = target != NULL };
	struct run_result result;
	if (runner_run(runner, &command, &result, &err) < 0)
		fail_msg("%s", err.text);
	if (result.exit_code != 0)
		fail_msg("exit %d, signal %d: %s", result.exit_code, result.signal, buf_str(&result.err));
	struct lookup_log_filter filter = {
		.private_dir = place->tmp, .program = TEST_CALLS, .interposer = TEST_INTERPOSER
	};
	if (lookup_log_parse(slice_of(result.trace, result.trace_bytes), &filter, arena, ret, &err) < 0)
		fail_msg("%s", err.text);
	run_result_deinit(&result);
	/* What nobody has taken goes with the runner. */
	if (target)
		assert_int_equal(rename(place->temporary, place->committed), 0);
	runner_free(runner);
}

static bool has_path(const struct lookup_log *log, enum lookup_kind kind, const char *path)
{
	for (size_t i = 0; i < log->lookups.n; i++)
		if (log->lookups.v[i].kind == kind && strcmp(log->lookups.v[i].path, path) == 0)
			return true;
	return false;
}

static bool has(const struct lookup_log *log, enum lookup_kind kind, const struct place *place, const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", place->home, name);
	return has_path(log, kind, path);
}

static void expect(const struct lookup_log *log, enum lookup_kind kind, const struct place *place,
	const char *directory, const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s%s%s", directory, *directory ? "/" : "", name);
	if (!has(log, kind, place, path))
		fail_msg("%s is not in the log as kind %d", path, kind);
}

static void expect_written(const struct lookup_log *log, const struct place *place, const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", place->home, name);
	for (size_t i = 0; i < log->n_written; i++)
		if (strcmp(log->written[i], path) == 0)
			return;
	fail_msg("%s is not in the log as written", name);
}

static void expect_calls(bool rooted)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct place place;
	struct lookup_log log;
	struct error err;
	make_place(&place);
	if (rooted)
		make_rooted(&place, &arena);
	run_calls(&place, place.home, place.home, NULL, NULL, &arena, &log);
	assert_true(log.complete);
	assert_true(log.clock);
	for
		EACH(i, found)
	if (strcmp(found[i], "tgt") != 0)
		expect(&log, LOOKUP_FILE, &place, "found", found[i]);
	for
		EACH(i, absent)
	expect(&log, LOOKUP_ABSENT, &place, "", absent[i]);
	for
		EACH(i, executed)
	expect(&log, LOOKUP_FILE, &place, "bin", executed[i]);
	for
		EACH(i, listed)
	expect(&log, LOOKUP_LISTING, &place, "", listed[i]);
	expect(&log, LOOKUP_LINK, &place, "", "link");
	expect(&log, LOOKUP_LINK, &place, "found", "lstat");
	expect(&log, LOOKUP_LINK, &place, "found", "readlink");
	expect(&log, LOOKUP_DIRECTORY, &place, "", "found");
	for (size_t i = 0; i + 2 < sizeof(written) / sizeof(written[0]); i++)
		expect_written(&log, &place, written[i]);
	for (size_t i = 0; i < log.lookups.n; i++)
		if (log.lookups.v[i].kind == LOOKUP_SPECIAL)
			fail_msg("%s is special", log.lookups.v[i].path);
	assert_int_equal(file_remove_tree(AT_FDCWD, place.dir, &err), 0);
}

static void interposer__every_call_behaves_and_is_logged(void **state)
{
	expect_calls(false);
}

static void interposer__under_a_foreign_root_calls_behave_and_are_logged_as_at_home(void **state)
{
	expect_calls(true);
}

static void interposer__a_foreign_root_is_hidden(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct place place;
	struct lookup_log log;
	struct error err;
	make_place(&place);
	make_rooted(&place, &arena);
	const char *top = arena_printf(&arena, "%s/top", place.dir);
	run_calls(&place, place.home, place.home, NULL, top, &arena, &log);
	assert_true(log.complete);
	assert_true(has_path(&log, LOOKUP_ABSENT, top));
	for (size_t i = 0; i < log.lookups.n; i++)
		if (strncmp(log.lookups.v[i].path, place.root, strlen(place.root)) == 0)
			fail_msg("%s is in the log", log.lookups.v[i].path);
	assert_int_equal(access(top, F_OK), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, place.dir, &err), 0);
}

static void expect_redirected(const char *cwd_is, const char *pwd_is, const char *target_in)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct place place;
	struct lookup_log log;
	struct error err;
	make_place(&place);
	const char *in_dir = arena_printf(&arena, "%s/", place.dir);
	const char *target = arena_printf(&arena, "%s%s/out", in_dir, target_in);
	run_calls(&place, arena_printf(&arena, "%s%s", in_dir, cwd_is), arena_printf(&arena, "%s%s", in_dir, pwd_is),
		target, NULL, &arena, &log);
	_cleanup_buf_ struct buf text = { 0 };
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(file_read(place.committed, 100, &text, &err), 0);
	assert_string_equal(buf_str(&text), "final");
	expect_written(&log, &place, "out");
	assert_int_equal(file_remove_tree(AT_FDCWD, place.dir, &err), 0);
}

static void interposer__outputs_are_redirected(void **state)
{
	expect_redirected("home", "home", "home");
}

static void interposer__outputs_are_redirected_where_the_cwd_is_reached_by_a_symlink(void **state)
{
	expect_redirected("home", "linked", "linked");
}

/* What compilers write, they write to the temporaries: as the plain compiler would, and whatever stood at the targets stays. */
static const struct compile {
	const char *command;	/* in the directory of x.c, by the shell */
	const char *outputs[4]; /* what it makes */
	bool clock;		/* it asks what time it is */
} compiles[] = {
	{ "exec gcc -c x.c", { "x.o" } },
	{ "exec gcc -c -O2 -o ./x.o -MD x.c", { "x.o", "x.d" } },
	{ "exec gcc -c x.c -o \"$PWD//x.o\" -MMD -MF dep.d", { "x.o", "dep.d" } },
	{ "exec gcc -S -g x.c", { "x.s" } },
	{ "exec gcc -c -g -gsplit-dwarf x.c", { "x.o", "x.dwo" } },
	{ "exec gcc -c -fstack-usage -pipe x.c", { "x.o", "x.su" } },
	{ "exec gcc -c --coverage -frandom-seed=1 x.c -o x.o", { "x.o", "x.gcno" } },
	{ "exec gcc -c -save-temps x.c", { "x.o", "x.i", "x.s" } },
	{ "exec gcc -c -flto -frandom-seed=1 x.c", { "x.o" } },
	{ "exec gcc -c a.S -o x.o", { "x.o" } },
	{ "exec clang -c x.c", { "x.o" } },
	{ "exec clang -c -O2 -o ./x.o -MD x.c", { "x.o", "x.d" } },
	{ "exec clang -S -g -o \"$PWD//x.s\" x.c", { "x.s" } },
	{ "exec clang -c -g -gsplit-dwarf x.c", { "x.o", "x.dwo" } },
	{ "exec clang -c --coverage x.c", { "x.o", "x.gcno" } },
	{ "exec clang -c -save-temps x.c", { "x.o", "x.i", "x.s", "x.bc" } },
	{ "exec clang -c -fno-integrated-as -MD x.c", { "x.o", "x.d" } },
	{ "exec clang -c a.S -o x.o", { "x.o" } },
	{ "exec gcc -c -DCLOCK=DATE x.c", { "x.o" }, true },
	{ "exec gcc -c -DCLOCK=TIME x.c", { "x.o" }, true },
	{ "exec gcc -c -DCLOCK=TIMESTAMP x.c", { "x.o" }, true },
	{ "exec clang -c -DCLOCK=DATE x.c", { "x.o" }, true },
	{ "exec clang -c -DCLOCK=TIME x.c", { "x.o" }, true },
	{ "exec clang -c -DCLOCK=TIMESTAMP x.c", { "x.o" }, true },
};

static void compile_in_place(const struct place *place, const struct compile *compile)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err;
	struct run_redirect redirects[4];
	size_t n = 0;
	/* The plain compiler first; what it made is set aside, and something else put there. */
	shell("cd %s && (%s) && mkdir expected", place->home, compile->command);
	for (; n < 4 && compile->outputs[n]; n++) {
		const char *name = compile->outputs[n];
		shell("cd %s && mv %s expected/ && echo old >%s", place->home, name, name);
		redirects[n].target = arena_printf(&arena, "%s/%s", place->home, name);
		redirects[n].temporary = arena_printf(&arena, "%s/.%s.new", place->home, name);
	}
	struct runner_options options = {
		.mode = RUNNER_INPLACE, .program = TEST_RUNNER, .interposer = TEST_INTERPOSER, .tmpdir = place->tmp
	};
	struct runner *runner = runner_new(&options, &err);
	if (!runner)
		fail_msg("%s", err.text);
	const char *env[] = { arena_printf(&arena, "PATH=%s", getenv("PATH")),
		arena_printf(&arena, "PWD=%s", place->home), NULL };
	struct run_command command = { .argv = (const char *const[]){ "/bin/sh", "-c", compile->command, NULL },
		.env = env,
		.cwd = place->home,
		.umask = 022,
		.redirects = redirects,
		.n_redirects = n };
	struct run_result result;
	if (runner_run(runner, &command, &result, &err) < 0)
		fail_msg("%s", err.text);
	if (result.exit_code != 0)
		fail_msg("%s: exit %d, signal %d: %s", compile->command, result.exit_code, result.signal,
			buf_str(&result.err));
	struct lookup_log_filter filter = { .private_dir = place->tmp };
	struct lookup_log log;
	if (lookup_log_parse(slice_of(result.trace, result.trace_bytes), &filter, &arena, &log, &err) < 0)
		fail_msg("%s", err.text);
	if (!log.complete)
		fail_msg("%s: incomplete log", compile->command);
	if (log.clock != compile->clock)
		fail_msg("%s: what time it is was %sasked for", compile->command, log.clock ? "" : "not ");
	for (size_t i = 0; i < n; i++) {
		char check[600];
		snprintf(check, sizeof(check), "cd %s && cmp expected/%s .%s.new && test \"$(cat %s)\" = old",
			place->home, compile->outputs[i], compile->outputs[i], compile->outputs[i]);
		if (system(check) != 0)
			fail_msg("%s: %s", compile->command, compile->outputs[i]);
	}
	run_result_deinit(&result);
	/* And nothing else has come into being. */
	shell("cd %s && rm -r expected && for f in %s %s %s %s; do rm $f .$f.new; done && test \"$(ls -A | tr '\\n' ' "
	      "')\" = 'a.S x.c '",
		place->home, compile->outputs[0], n > 1 ? compile->outputs[1] : "", n > 2 ? compile->outputs[2] : "",
		n > 3 ? compile->outputs[3] : "");
	runner_free(runner);
}

static void interposer__compilers_write_to_the_temporaries(void **state)
{
	struct place place;
	struct error err;
	make_place(&place);
	shell("rm -r %s && mkdir %s && cd %s && printf '#include <stdio.h>\nint main(void) { puts(\"x\"); return 0; "
	      "}\n#ifdef CLOCK\n#define NAME2(x) __##x##__\n#define NAME(x) NAME2(x)\nint n = sizeof NAME(CLOCK);\n#endif\n' >x.c && "
	      "printf '.globl f\nf: .long 1\n' >a.S",
		place.home, place.home, place.home);
	for
		EACH(i, compiles)
		{
			char name[10];
			sscanf(compiles[i].command, "exec %9s", name);
			char probe[64];
			snprintf(probe, sizeof(probe), "command -v %s >/dev/null", name);
			if (system(probe) == 0)
				compile_in_place(&place, &compiles[i]);
			else
				print_message("skipped: no %s here: %s\n", name, compiles[i].command);
		}
	assert_int_equal(file_remove_tree(AT_FDCWD, place.dir, &err), 0);
}

/* Whether the log of a shell's command is complete. */
static bool is_complete(const char *text)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct place place;
	struct error err;
	make_place(&place);
	struct runner_options options = {
		.mode = RUNNER_INPLACE, .program = TEST_RUNNER, .interposer = TEST_INTERPOSER, .tmpdir = place.tmp
	};
	struct runner *runner = runner_new(&options, &err);
	if (!runner)
		fail_msg("%s", err.text);
	struct run_command command = { .argv = (const char *const[]){ "/bin/sh", "-c", text, NULL },
		.env = (const char *const[]){ "PATH=/usr/bin:/bin", NULL },
		.cwd = place.home };
	struct run_result result;
	struct lookup_log log;
	if (runner_run(runner, &command, &result, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(result.exit_code, 0);
	struct lookup_log_filter filter = { .private_dir = place.tmp };
	assert_int_equal(lookup_log_parse(slice_of(result.trace, result.trace_bytes), &filter, &arena, &log, &err), 0);
	run_result_deinit(&result);
	runner_free(runner);
	assert_int_equal(file_remove_tree(AT_FDCWD, place.dir, &err), 0);
	return log.complete;
}

static void interposer__a_static_program_that_becomes_another_leaves_the_log_incomplete(void **state)
{
	assert_true(is_complete("/bin/true; true && exec /bin/true"));
	assert_false(is_complete(TEST_STATIC " /bin/true; true"));
	assert_false(is_complete("exec " TEST_STATIC " /bin/true"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interposer__every_call_behaves_and_is_logged),
		cmocka_unit_test(interposer__under_a_foreign_root_calls_behave_and_are_logged_as_at_home),
		cmocka_unit_test(interposer__a_foreign_root_is_hidden),
		cmocka_unit_test(interposer__outputs_are_redirected),
		cmocka_unit_test(interposer__outputs_are_redirected_where_the_cwd_is_reached_by_a_symlink),
		cmocka_unit_test(interposer__compilers_write_to_the_temporaries),
		cmocka_unit_test(interposer__a_static_program_that_becomes_another_leaves_the_log_incomplete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
