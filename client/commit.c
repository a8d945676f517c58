#include "client/commit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The daemon looked before it answered; the build may have moved on since. */
static int examine(const struct frame_rename *r, struct error *err)
{
	struct stat st;
	if (*r->temporary) {
		if (lstat(r->temporary, &st) < 0)
			return error_set(err, errno, "cannot find %s", r->temporary);
		if (!S_ISREG(st.st_mode))
			return error_set(err, 0, "%s is not a regular file", r->temporary);
	}
	if (lstat(r->target, &st) < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "cannot examine %s", r->target);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return error_set(err, 0, "%s is no longer a plain file", r->target);
	return 0;
}

static int commit(const struct frame_rename *r, struct error *err)
{
	if (unlink(r->target) < 0 && errno != ENOENT)
		return error_set(err, errno, "cannot replace %s", r->target);
	if (*r->temporary && rename(r->temporary, r->target) < 0)
		return error_set(err, errno, "cannot rename %s to %s", r->temporary, r->target);
	return 0;
}

int commit_renames(const struct frame_rename *renames, size_t n, struct error *err)
{
	int result = 0;
	size_t done = 0;
	for (size_t i = 0; i < n && result == 0; i++)
		result = examine(&renames[i], err);
	while (done < n && result == 0) {
		result = commit(&renames[done], err);
		if (result == 0)
			done++;
	}
	/* The daemon would remove the rest when we hang up, if it still lives. */
	for (size_t i = done; i < n; i++)
		if (*renames[i].temporary)
			unlink(renames[i].temporary);
	return result;
}
