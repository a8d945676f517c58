/* A blob store that serves files from where they are at home: by the path each digest was last seen at, verified while
 * it is read. A file that changed is a miss. Thread-safe. It takes no blobs: store_put() fails. */
#pragma once

#include "store/store.h"

struct store *home_store_new(void);

/* `path` is absolute and is no symlink. */
void home_store_remember(struct store *home, const struct digest *digest, const char *path);
