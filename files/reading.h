/* One reading of a file: its content's digest, and what tells later whether that is the content still. On any thread. */
#pragma once

#include <sys/stat.h>

#include "base/buf.h"
#include "files/view.h"

struct reading {
	struct view_info info; /* of what was opened; ABSENT: nothing was */
	int64_t begun_ns;      /* before the first byte was read; CLOCK_REALTIME */
	struct digest digest;
};

/* Read the regular file `path`. 0; VIEW_NOT_A_FILE, or -1: it can't be read or changed meanwhile; `ret->info` is filled all the same.
 * `text` (NULL allowed) is emptied, and gets the content if that is shorter than VIEW_LARGE_BYTES. */
int reading_make(const char *path, int64_t (*now_ns)(void), struct buf *text, struct reading *ret, struct error *err);

struct view_info reading_info(const struct stat *st);
