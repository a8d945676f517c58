/* A scratch directory for the tests of files/ and cache/: it is left and removed by the teardown. Paths given to these
 * functions are relative to it; scratch_path() makes them absolute. Everything that fails ends the test. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"

struct scratch {
	char root[64];
	struct arena arena;
};

static inline int scratch_setup(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));
	strcpy(s->root, "/tmp/llama-test-XXXXXX");
	assert_non_null(mkdtemp(s->root));
	*state = s;
	return 0;
}

static inline int scratch_teardown(void **state)
{
	struct scratch *s = *state;
	struct error err;
	assert_int_equal(file_remove_tree(AT_FDCWD, s->root, &err), 0);
	arena_deinit(&s->arena);
	free(s);
	return 0;
}

static inline const char *scratch_path(struct scratch *s, const char *path)
{
	return arena_printf(&s->arena, "%s/%s", s->root, path);
}

static inline const char *scratch_write(struct scratch *s, const char *path, const char *text)
{
	const char *absolute = scratch_path(s, path);
	int fd = open(absolute, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	return absolute;
}

static inline const char *scratch_mkdir(struct scratch *s, const char *path)
{
	const char *absolute = scratch_path(s, path);
	assert_int_equal(file_make_dirs(absolute, 0755, NULL), 0);
	return absolute;
}

static inline const char *scratch_symlink(struct scratch *s, const char *target, const char *path)
{
	const char *absolute = scratch_path(s, path);
	assert_int_equal(symlink(target, absolute), 0);
	return absolute;
}

/* What the clock that stamps files says; asked beside the scratch directory, which stays as it is. */
static inline int64_t scratch_stamp(struct scratch *s)
{
	struct stat st;
	const char *path = arena_printf(&s->arena, "%s.stamp", s->root);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	assert_int_equal(unlink(path), 0);
	return st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec;
}

/* A moment (CLOCK_REALTIME in ns) that is after every stamp given to a file so far, and not after any later one. */
static inline int64_t scratch_between_stamps(struct scratch *s)
{
	int64_t before = scratch_stamp(s), now;
	while ((now = scratch_stamp(s)) <= before)
		usleep(1000);
	return now;
}

/* For view_set_clock: every file has been as it is for long. */
static inline int64_t scratch_late(void)
{
	return clock_realtime_ns() + 10000000000;
}
