/* What the image has at its root besides the runtime: symlinks into the tree that a job is mirrored in, so that every absolute path of home
 * resolves there too: /usr -> /tmp/r/usr. A broad fixed list, the same in every image, and the other names at the root of the machine
 * that built it. Compiled into the daemon as well, which asks before it sends a job. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

/* Where the runtime keeps the mirrored tree: the only place a function may write to is /tmp. */
#define IMAGE_TREE "/tmp/r"

struct image_links {
	const char *const *paths; /* absolute, sorted, without doubles; each is a symlink to IMAGE_TREE plus itself */
	size_t n;
};

/* The fixed list. */
extern const struct image_links image_links_fixed;

/* The fixed list and the names in the directory `root` ("/") that it lacks: not what the system itself mounts or the image uses (proc, sys, dev, run,
 * tmp, llama), no hidden names, none longer than IMAGE_LINK_NAME_BYTES. In `arena`, or borrowed from the fixed list. */
enum { IMAGE_LINK_NAME_BYTES = 92 };
int image_links_read(const char *root, struct arena *arena, struct image_links *ret, struct error *err);

/* Whether what is at home under `path` (absolute, squeezed) can be had under the same name in an image with these links: it is one of them, or below one,
 * or below /tmp (where the runtime links what its tree has) but not the runtime's own there, or /dev/null, or one of the image's own directories ("/", /etc, …). */
bool image_links_mirror(const struct image_links *links, const char *path);
