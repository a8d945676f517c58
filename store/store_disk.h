/* Blobs as files below a directory of this user: `<dir>/<2 hex>/<62 hex>`, mode 0444.
 *
 * A blob is written under a temporary name and renamed, so a name that exists is whole. It is trusted by the stat it had
 * when it was last verified (size, mtime, ctime, inode kept in memory), else hashed again before use; a blob that does not
 * match is removed and counts as a miss. The total is kept below a limit by removing the least recently used (by
 * atime-like stamps kept in memory, seeded from mtimes at start; a hit touches the mtime at most once an hour). */
#pragma once

#include "store/store.h"

/* `limit_bytes` 0 = unlimited. Makes `dir` (0700). Counts what is there in the caller's thread. */
struct store *store_disk_new(const char *dir, int64_t limit_bytes, struct error *err);

int64_t store_disk_size(struct store *store);  /* bytes of all blobs */
int64_t store_disk_limit(struct store *store);
int store_disk_clear(struct store *store, struct error *err);

/* Take the file `path` (same file system, nobody writes it any more) as a blob: hashed, renamed into place or removed if known.
 * 0 or -1; on failure `path` is left as it was. */
int store_disk_take_file(struct store *store, const char *path, struct digest *ret, struct error *err);
