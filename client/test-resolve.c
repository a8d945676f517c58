#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "client/resolve.h"

/* A world of small directories: `ours` is the masquerade, `bin` has compilers, and `llamacc` stands beside them. */
struct world {
	char top[64];
	struct arena arena;
	struct resolve_context context;
};

static const char *at(struct world *w, const char *name)
{
	return arena_printf(&w->arena, "%s/%s", w->top, name);
}

static void make_file(struct world *w, const char *name, const char *text, mode_t mode)
{
	assert_int_equal(file_replace(at(w, name), slice_str(text), mode, NULL), 0);
}

static void make_link(struct world *w, const char *target, const char *name)
{
	assert_int_equal(symlink(target, at(w, name)), 0);
}

/* PATH from names below the top. */
static void set_path(struct world *w, const char *a, const char *b, const char *c)
{
	w->context.path = arena_printf(&w->arena, "%s:%s:%s", at(w, a), at(w, b), at(w, c));
}

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	strcpy(w->top, "/tmp/test-resolve-XXXXXX");
	assert_non_null(mkdtemp(w->top));
	const char *directories[] = { "ours", "bin", "later", "cwd" };
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(mkdir(at(w, directories[i]), 0755), 0);
	make_file(w, "llamacc", "this program", 0755);
	make_file(w, "bin/gcc-12", "a compiler", 0755);
	make_link(w, "gcc-12", "bin/gcc");
	make_link(w, "gcc", "bin/cc");
	make_file(w, "bin/c++", "another one", 0755);
	make_file(w, "bin/clang++", "a third", 0755);
	w->context.self_path = at(w, "llamacc");
	assert_int_equal(stat(w->context.self_path, &w->context.self), 0);
	w->context.cwd = at(w, "cwd");
	set_path(w, "ours", "bin", "later");
	*state = w;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *w = *state;
	assert_int_equal(file_remove_tree(AT_FDCWD, w->top, NULL), 0);
	arena_deinit(&w->arena);
	free(w);
	return 0;
}

/* Resolve a command line of up to four words; NULL when there is no compiler. */
static struct resolved *resolve4(struct world *w, const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = { (char *)a, (char *)b, (char *)c, (char *)d, NULL };
	int argc = 0;
	while (argv[argc])
		argc++;
	struct resolved *r = arena_new(&w->arena, struct resolved);
	struct error err;
	if (resolve_compiler(&w->context, argc, argv, &w->arena, r, &err) < 0) {
		assert_memory_equal(err.text, "cannot find a compiler: ", 24);
		return NULL;
	}
	assert_ptr_equal(r->argv[0], r->compiler);
	assert_null(r->argv[r->argc]);
	return r;
}

static struct resolved *resolve(struct world *w, const char *a, const char *b, const char *c)
{
	return resolve4(w, a, b, c, NULL);
}

static void resolve__as_a_compiler_the_next_cc_is_meant(void **state)
{
	struct world *w = *state;
	struct resolved *r = resolve(w, "/somewhere/llamacc", "-c", "x.c");
	assert_int_equal(r->mode, RESOLVE_COMPILER);
	assert_string_equal(r->compiler, at(w, "bin/cc")); /* as found: not the gcc-12 that the link ends in */
	assert_int_equal(r->argc, 3);
	assert_string_equal(r->argv[2], "x.c");
	r = resolve(w, "llamac++", "-c", "x.cc");
	assert_string_equal(r->compiler, at(w, "bin/c++"));
	r = resolve(w, "llamacc", NULL, NULL);
	assert_int_equal(r->argc, 1);
	char *nothing[] = { NULL };
	assert_int_equal(resolve_compiler(&w->context, 0, nothing, &w->arena, r, NULL), 0);
	assert_string_equal(r->compiler, at(w, "bin/cc"));
}

static void resolve__variables_name_the_compiler_by_path_or_name(void **state)
{
	struct world *w = *state;
	w->context.local_cc = at(w, "bin/gcc-12");
	w->context.local_cxx = "clang++";
	assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "bin/gcc-12"));
	assert_string_equal(resolve(w, "llamac++", "-c", "x.cc")->compiler, at(w, "bin/clang++"));
	/* Only for calls as compiler. */
	assert_string_equal(resolve(w, "llamacc", "gcc", "-c")->compiler, at(w, "bin/gcc"));
	assert_string_equal(resolve(w, "gcc", "-c", "x.c")->compiler, at(w, "bin/gcc"));
	/* Ourselves are no compiler. */
	w->context.local_cc = at(w, "llamacc");
	assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "bin/cc"));
	w->context.local_cc = "/nonexistent/cc";
	assert_null(resolve(w, "llamacc", "-c", "x.c"));
	w->context.local_cc = "";
	assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "bin/cc"));
}

static void resolve__a_launched_command_is_taken_by_path_or_name(void **state)
{
	struct world *w = *state;
	struct resolved *r = resolve4(w, "llamacc", at(w, "bin/clang++"), "-c", "x.cc");
	assert_int_equal(r->mode, RESOLVE_LAUNCHER);
	assert_string_equal(r->compiler, at(w, "bin/clang++"));
	assert_int_equal(r->argc, 3);
	assert_string_equal(r->argv[1], "-c");
	assert_string_equal(resolve(w, "llamacc", "gcc-12", "x.c")->compiler, at(w, "bin/gcc-12"));
	assert_string_equal(resolve(w, "llamac++", "gcc", "x.c")->compiler, at(w, "bin/gcc"));
	make_file(w, "later/ccache", "ELF", 0755);
	r = resolve(w, "llamacc", "ccache", "gcc");
	assert_string_equal(r->compiler, at(w, "later/ccache"));
	assert_string_equal(r->argv[1], "gcc");
	/* A command that isn't called like a compiler, by path only. */
	make_file(w, "later/armclang6", "x", 0755);
	assert_int_equal(resolve(w, "llamacc", at(w, "later/armclang6"), "-c")->mode, RESOLVE_LAUNCHER);
	assert_int_equal(resolve(w, "llamacc", "armclang6", "-c")->mode, RESOLVE_COMPILER);
	assert_null(resolve(w, "llamacc", "/nonexistent/gcc", "-c"));
	assert_null(resolve(w, "llamacc", "x86_64-w64-mingw32-gcc", "-c"));
}

static void resolve__inputs_are_not_launched(void **state)
{
	struct world *w = *state;
	make_file(w, "later/x.c", "", 0755);
	make_file(w, "later/x.o", "", 0755);
	make_file(w, "later/liby.so", "", 0755);
	make_file(w, "later/plain", "", 0644);
	const char *inputs[] = { "x.c", at(w, "later/x.c"), at(w, "later/x.o"), at(w, "later/liby.so"),
		at(w, "later/plain"), at(w, "bin"), at(w, "bin/"), "-gcc", "", "@args", "main" };
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct resolved *r = resolve(w, "llamacc", inputs[i], "-c");
		assert_int_equal(r->mode, RESOLVE_COMPILER);
		assert_string_equal(r->argv[1], inputs[i]);
	}
}

static void resolve__any_other_name_is_a_masquerade(void **state)
{
	struct world *w = *state;
	make_link(w, "../llamacc", "ours/gcc");
	make_link(w, "../llamacc", "ours/x86_64-linux-gnu-gcc-12");
	make_file(w, "later/x86_64-linux-gnu-gcc-12", "", 0755);
	struct resolved *r = resolve(w, at(w, "ours/gcc"), "-c", "x.c");
	assert_int_equal(r->mode, RESOLVE_MASQUERADE);
	assert_string_equal(r->compiler, at(w, "bin/gcc"));
	assert_string_equal(
		resolve(w, "x86_64-linux-gnu-gcc-12", "-c", "x.c")->compiler, at(w, "later/x86_64-linux-gnu-gcc-12"));
	/* Its first argument is never launched. */
	r = resolve(w, "gcc", at(w, "bin/clang++"), "-v");
	assert_int_equal(r->argc, 3);
	assert_null(resolve(w, "g++", "-c", "x.cc"));
}

static void resolve__we_are_passed_over_in_every_disguise(void **state)
{
	struct world *w = *state;
	make_link(w, "../llamacc", "ours/cc");
	assert_int_equal(link(at(w, "llamacc"), at(w, "ours/gcc")), 0);
	make_file(w, "ours/c++", "this program", 0755); /* a copy */
	make_file(w, "cwd/llamacc", "this program, another version", 0755);
	make_link(w, "../cwd/llamacc", "cwd/link");
	make_link(w, "../cwd/link", "ours/clang++");
	make_file(w, "ours/gcc-12", "that program", 0755); /* of our size, but no copy */
	assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "bin/cc"));
	assert_string_equal(resolve(w, "gcc", "-c", "x.c")->compiler, at(w, "bin/gcc"));
	assert_string_equal(resolve(w, "c++", "-c", "x.c")->compiler, at(w, "bin/c++"));
	assert_string_equal(resolve(w, "clang++", "-c", "x.c")->compiler, at(w, "bin/clang++"));
	assert_string_equal(resolve(w, "gcc-12", "-c", "x.c")->compiler, at(w, "ours/gcc-12"));
	set_path(w, "ours", "ours", "ours");
	assert_null(resolve(w, "llamacc", "-c", "x.c"));
}

static void resolve__launcher_and_masquerade_count_once(void **state)
{
	struct world *w = *state;
	make_link(w, "../llamacc", "ours/gcc");
	struct resolved *r = resolve4(w, "llamacc", at(w, "ours/gcc"), "-c", "x.c");
	assert_string_equal(r->compiler, at(w, "bin/gcc"));
	assert_int_equal(r->argc, 3);
	r = resolve4(w, "llamacc", at(w, "llamacc"), "-c", "x.c");
	assert_string_equal(r->compiler, at(w, "bin/cc"));
	assert_int_equal(r->argc, 3);
	r = resolve4(w, "llamacc", "/usr/bin/llamac++", "gcc", "-c");
	assert_string_equal(r->compiler, at(w, "bin/gcc"));
	assert_int_equal(r->argc, 2);
}

static void resolve__wrappers_are_taken_as_found_unless_they_called_us(void **state)
{
	struct world *w = *state;
	make_file(w, "later/ccache", "ELF", 0755);
	make_link(w, "../later/ccache", "ours/gcc");
	make_file(w, "ours/cc", "#!/bin/sh\nexec gcc \"$@\"\n", 0755);
	make_file(w, "ours/tcc", "#!/bin/sh\n", 0755);
	assert_string_equal(resolve(w, "gcc", "-c", "x.c")->compiler, at(w, "ours/gcc"));
	assert_string_equal(resolve(w, "cc", "-c", "x.c")->compiler, at(w, "ours/cc"));
	w->context.nested = true;
	assert_string_equal(resolve(w, "gcc", "-c", "x.c")->compiler, at(w, "bin/gcc"));
	assert_string_equal(resolve(w, "cc", "-c", "x.c")->compiler, at(w, "bin/cc"));
	assert_string_equal(resolve(w, "tcc", "-c", "x.c")->compiler, at(w, "ours/tcc")); /* there is no better */
}

static void resolve__path_is_walked_as_a_shell_does(void **state)
{
	struct world *w = *state;
	make_file(w, "cwd/cc", "", 0755);
	assert_int_equal(mkdir(at(w, "cwd/sub"), 0755), 0);
	make_file(w, "cwd/sub/gcc", "", 0755);
	const char *first[] = { "", ":/nonexistent", "/nonexistent:", "/nonexistent::/x" };
	for (size_t i = 0; i < 4; i++) {
		w->context.path = first[i];
		assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "cwd/cc"));
	}
	w->context.path = "sub";
	assert_string_equal(resolve(w, "gcc", "-c", "x.c")->compiler, at(w, "cwd/sub/gcc"));
	w->context.path = at(w, "bin/");
	assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "bin/cc"));
	assert_string_equal(resolve(w, "llamacc", "./cc", "-c")->compiler, at(w, "cwd/./cc"));

	/* Directories and files that can't be executed don't count. */
	assert_int_equal(mkdir(at(w, "ours/cc"), 0755), 0);
	make_file(w, "later/cc", "", 0644);
	set_path(w, "ours", "later", "bin");
	assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "bin/cc"));
	make_link(w, "loop", "later/loop");
	assert_null(resolve(w, "loop", NULL, NULL));

	char longest[6000];
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	strcpy(longest + sizeof(longest) - 100, ":");
	strcat(longest, at(w, "bin"));
	w->context.path = longest;
	assert_string_equal(resolve(w, "llamacc", "-c", "x.c")->compiler, at(w, "bin/cc"));
}

static void resolve__compiler_names_are_told_from_others(void **state)
{
	const char *yes[] = { "gcc", "g++", "cc", "c++", "clang", "clang++", "gcc-12", "g++-4.8", "clang-14",
		"clang++-14.0.6", "x86_64-linux-gnu-gcc", "x86_64-linux-gnu-gcc-12", "arm-none-eabi-g++",
		"aarch64-linux-android21-clang++" };
	const char *no[] = { "", "gcc-", "-gcc", "gccx", "gcc-ar", "gcc-ar-12", "ld", "make", "clang-format",
		"clang-tidy-14", "12", "-12", "cpp", "x.c", "gcc12", "main" };
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(resolve_is_compiler_name(yes[i]));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(resolve_is_compiler_name(no[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define world_test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
		world_test(resolve__as_a_compiler_the_next_cc_is_meant),
		world_test(resolve__variables_name_the_compiler_by_path_or_name),
		world_test(resolve__a_launched_command_is_taken_by_path_or_name),
		world_test(resolve__inputs_are_not_launched),
		world_test(resolve__any_other_name_is_a_masquerade),
		world_test(resolve__we_are_passed_over_in_every_disguise),
		world_test(resolve__launcher_and_masquerade_count_once),
		world_test(resolve__wrappers_are_taken_as_found_unless_they_called_us),
		world_test(resolve__path_is_walked_as_a_shell_does),
		cmocka_unit_test(resolve__compiler_names_are_told_from_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
