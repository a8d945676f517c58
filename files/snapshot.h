/* A snapshot: the part of the file system that jobs need, as one growing Merkle tree rooted at `/`, mirrored exactly: every
 * symlink that a path leads through is a symlink in the tree, every directory walked through exists, files carry content and mtime.
 *
 * snapshot_add() brings one path up to date: what vanished leaves the tree, what changed is replaced. Before a dispatch every path that the
 * job needs is added again (cheap: the file view answers). Paths into /proc, /dev, /sys and to special files are refused. */
#pragma once

#include "base/error.h"
#include "files/view.h"
#include "store/tree.h"

struct snapshot;

struct snapshot *snapshot_new(struct view *view);
void snapshot_free(struct snapshot *snapshot);

enum snapshot_outcome {
	SNAPSHOT_SPECIAL = 1, /* the path is (or leads into) something that can't be mirrored */
	SNAPSHOT_HARD_LINKED, /* its inode is in the tree under another path already */
};

/* Mirror what is at `path` (absolute, may contain `..`): file, directory (itself, not its content), symlink chain, or absence (its parents that
 * exist are mirrored, the name itself is removed). */
int snapshot_add(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err);
/* The same for a directory whose names were read: all names enter, as empty directories, symlinks, or real files. */
int snapshot_add_listing(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err);

/* The tree, to commit and look into. */
struct tree *snapshot_tree(struct snapshot *snapshot);

/* A blob store that serves the files of the snapshots from home, by the path each digest was last seen at, verified while it is read; a file that
 * changed is a miss. Thread-safe. Files larger than its limit are refused nowhere: they are copied like others. */
struct store;
struct store *home_store_new(void);
void home_store_remember(struct store *home, const struct digest *digest, const char *path);
/* snapshot_add remembers in this store; set once after snapshot_new. */
void snapshot_set_home(struct snapshot *snapshot, struct store *home);
