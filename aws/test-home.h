/* For tests: a home with a directory .aws, whose files are what a test writes; after <cmocka.h>. */
#pragma once

#include <fcntl.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/file.h"

static char home[] = "/tmp/llama-test-home-XXXXXX";

static int make_home(void **state)
{
	struct error err;
	(void)state;
	assert_non_null(mkdtemp(home));
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	return file_make_dirs(arena_printf(&arena, "%s/.aws", home), 0700, &err);
}

static int remove_home(void **state)
{
	struct error err;
	(void)state;
	return file_remove_tree(AT_FDCWD, home, &err);
}

static void write_file(const char *name, const char *text)
{
	struct error err;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_int_equal(file_replace(arena_printf(&arena, "%s/.aws/%s", home, name), slice_str(text), 0600, &err), 0);
}
