#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "runtime/tmp_links.h"

static struct fixture {
	char dir[64];
	struct arena arena;
	const char *root;
} f;

static int set_up(void **state)
{
	f = (struct fixture){ .dir = "/tmp/llama-test-XXXXXX" };
	if (!mkdtemp(f.dir))
		return -1;
	f.root = arena_printf(&f.arena, "%s/r", f.dir);
	return 0;
}

static int tear_down(void **state)
{
	struct error err;
	arena_deinit(&f.arena);
	return file_remove_tree(AT_FDCWD, f.dir, &err);
}

/* What the tree has beside the root. */
static const char *inside(const char *name)
{
	return arena_printf(&f.arena, "%s%s/%s", f.root, f.dir, name);
}

static void make(const char *path)
{
	struct error err;
	assert_int_equal(file_make_dirs(path, 0755, &err), 0);
}

static void update(int outcome)
{
	struct error err;
	if (tmp_links_update(f.root, &err) != outcome)
		fail_msg("%s", outcome == 0 ? err.text : "it went well");
}

static bool linked(const char *name)
{
	char text[4096];
	const char *expected = inside(name);
	ssize_t n = readlink(arena_printf(&f.arena, "%s/%s", f.dir, name), text, sizeof(text));
	return n == (ssize_t)strlen(expected) && memcmp(text, expected, (size_t)n) == 0;
}

static void tmp_links__come_and_go_with_the_tree(void **state)
{
	make(f.root);
	update(0);
	make(inside("one"));
	make(inside("two/three"));
	assert_int_equal(symlink("/nowhere", inside("four")), 0);
	update(0);
	assert_true(linked("one") && linked("two") && linked("four"));
	assert_int_equal(rmdir(inside("one")), 0);
	assert_int_equal(unlink(inside("four")), 0);
	make(inside("five"));
	update(0);
	assert_true(!linked("one") && linked("two") && !linked("four") && linked("five"));
	struct error err;
	assert_int_equal(file_remove_tree(AT_FDCWD, f.root, &err), 0);
	make(f.root);
	update(0);
	assert_true(!linked("two") && !linked("five"));
}

static void tmp_links__touch_nothing_that_is_not_theirs(void **state)
{
	make(f.root);
	make(arena_printf(&f.arena, "%s/.llama", f.dir));
	make(arena_printf(&f.arena, "%s/other", f.dir));
	assert_int_equal(symlink("/elsewhere", arena_printf(&f.arena, "%s/link", f.dir)), 0);
	update(0);
	assert_int_equal(access(arena_printf(&f.arena, "%s/other", f.dir), F_OK), 0);
	make(inside("link"));
	update(-1);
	assert_int_equal(rmdir(inside("link")), 0);
	update(0);
	assert_false(linked("link"));
}

static void tmp_links__our_own_names_can_not_be_mirrored(void **state)
{
	make(inside(".llama"));
	update(-1);
	assert_int_equal(rmdir(inside(".llama")), 0);
	make(inside("r"));
	update(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tmp_links__come_and_go_with_the_tree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tmp_links__touch_nothing_that_is_not_theirs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tmp_links__our_own_names_can_not_be_mirrored, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
