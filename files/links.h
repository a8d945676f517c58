/* Where symlinks lead, as text: the digest of a LOOKUP_LINK, the same for the file system and for a snapshot. */
#pragma once

#include "store/digest.h"

/* The target of the symlink `path` (absolute, nothing on the way is a symlink), valid until the next call; NULL when it
 * is none. */
typedef const char *links_target_fn(void *ctx, const char *path);

/* Digest of "<target of path, if it is a symlink>\0<path without symlinks and ..>"; zero when no symlink is met. A loop
 * gives the digest of where it was given up. */
struct digest links_digest(const char *path, links_target_fn *target, void *ctx);
