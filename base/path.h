/* Paths as text. Nothing here looks at the file system: `..` is never folded, because behind a symlink `a/..` is not `.`. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

/* Last component, "" after a trailing slash; points into `path`. */
const char *path_basename(const char *path);

/* Everything before the last component, without trailing slashes: "/" for "/x", "." for "x"; in `arena`. */
const char *path_dirname(struct arena *arena, const char *path);

/* `path` if it is absolute, else `dir`/`path`; in `arena` or `path` itself. `dir` must be absolute. */
const char *path_absolute(struct arena *arena, const char *dir, const char *path);

/* An absolute path with double slashes, `/./` and a trailing slash removed, `..` kept; in `arena`. Opens the same file as
 * `path` does, except that a trailing slash no longer demands a directory. */
const char *path_squeeze(struct arena *arena, const char *path);

/* Whether `path` is `dir` or lies below it, as text. Both absolute and squeezed. */
bool path_is_below(const char *path, const char *dir);

/* Whether a `..` component occurs. */
bool path_has_dotdot(const char *path);
