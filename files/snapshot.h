/* A snapshot: the part of the file system that jobs need, as one growing Merkle tree rooted at `/`, mirrored exactly:
 * every symlink that a path leads through is a symlink in the tree, every directory walked through exists, files carry
 * content and mtime.
 *
 * How it works. A path is walked as the kernel walks it, one component at a time, with the file view's lstat answers:
 * what is met on the way is set in the tree under its physical path (the one without symlinks and `..`), what is absent
 * is removed from it. So after snapshot_add() the tree answers for that path as home did. Permissions of directories
 * are not mirrored; what this user can't read is refused.
 *
 * Before a dispatch every path that the job needs is added again (cheap: the file view answers), and what else vanished
 * or changed leaves by snapshot_refresh(). */
#pragma once

#include "base/error.h"
#include "files/home.h"
#include "files/view.h"
#include "store/tree.h"

struct snapshot;

/* `view` and `home` are borrowed; `home` (NULL allowed) learns where each file's content can be read. */
struct snapshot *snapshot_new(struct view *view, struct store *home);
void snapshot_free(struct snapshot *snapshot);

enum snapshot_outcome {
	SNAPSHOT_SPECIAL = 1, /* the path is (or leads into) something that can't be mirrored: /proc, /dev, /sys,
			       * /.llama, a device, FIFO or socket, what can't be read, more than 40 symlinks */
	SNAPSHOT_HARD_LINKED, /* it is a file that is in the tree under another physical path already: a copy would be
				 another inode */
};

/* Mirror what is at `path` (absolute, may contain `..`): file, directory (itself, not its content), symlink chain, or
 * absence (its parents that exist are mirrored, the name itself is removed). On a positive outcome what was met on the
 * way stays in the tree. */
int snapshot_add(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err);
/* The same for a file of a toolchain: nobody compares the inodes of these, so hard links and bind mounts are accepted,
 * and from then on by snapshot_add() too. */
int snapshot_add_toolchain(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err);
/* The same for a directory whose names were read: all names enter, as empty directories, symlinks, or real files (hard
 * links too: who opens one adds it by its path), and no other name stays. Too long a directory is SNAPSHOT_SPECIAL. */
int snapshot_add_listing(struct snapshot *snapshot, uint64_t since, const char *path, struct error *err);

/* A file that stands over the tree, for one job, and not in it. */
struct snapshot_apart {
	const char *path; /* physical, in the arena; NULL: there is none */
	struct digest digest;
	int64_t mtime_ns;
	bool executable;
};
/* Mirror the way to the file `path`, and give the file itself to `ret`: thousands of sources, each read by one job, would change the
 * tree for all. What is in the tree anyway, is no file, or has several names is added as snapshot_add() does, and `ret` has no path. */
int snapshot_add_apart(struct snapshot *snapshot, uint64_t since, const char *path, struct arena *arena, struct snapshot_apart *ret,
	struct error *err);

/* Take `path` out of the tree, if it is there as it stands (no symlink is followed): for tests of what a wrong
 * prediction does. */
void snapshot_forget(struct snapshot *snapshot, const char *path);

/* Look at everything in the tree again, one lstat each: what vanished at home leaves, what changed is replaced (or
 * leaves, if it can't be mirrored any more). */
int snapshot_refresh(struct snapshot *snapshot, uint64_t since, struct error *err);

/* Begin anew, with an empty tree. */
void snapshot_clear(struct snapshot *snapshot);

/* The tree, to commit and look into. */
struct tree *snapshot_tree(struct snapshot *snapshot);
