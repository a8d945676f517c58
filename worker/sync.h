/* A directory tree on disk that is kept equal to a Merkle tree (store/tree.h), by difference.
 *
 * How it works: a target is a directory of ours, `<slot>/root`, and beside it `<slot>/state`, one record that says
 * either "clean <digest>" — below root/ is exactly the tree of that digest — or "dirty". The record is set to dirty
 * before the first change and back to clean after the last; the same around a job, which may leave strays. So whoever
 * is killed at any moment leaves "dirty", and a dirty target is emptied and built anew. A record of another boot counts
 * as dirty, because after a power failure the disk may hold an older mixture.
 *
 * Going from tree to tree walks the two Directory messages of each directory side by side and enters only those whose
 * digests differ; equal roots cost one comparison. What the stores lack is left out, reported, and remembered as a
 * hole; the next sync fills the holes that its tree still wants, so that a repaired or changed blob never costs a tree.
 *
 * Everything goes by descriptor and single name with O_NOFOLLOW: no symlink is ever followed, the tree may contain any.
 * Things are removed before their successors are created, files are made with O_EXCL and never hard-linked: compilers
 * compare inodes. Files get mode 0444 or 0555 and the mtime the tree gives; directories 0755, so that outputs can be
 * made in them, and whatever mtime results.
 *
 * A target belongs to one thread at a time. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/digest.h"
#include "store/store.h"

enum sync_state {
	SYNC_DIRTY, /* anything may be there: the next sync begins with an empty root */
	SYNC_CLEAN, /* exactly the tree `have`; the record says so */
	SYNC_HOLED, /* the tree `have` without the paths in `holes`; the record says dirty */
};

struct sync_target {
	char *root;	  /* owned: path of the root directory */
	int root_fd;	  /* the same, open */
	int state_fd;	  /* the record; locked, so that a slot has one user */
	char boot_id[40]; /* "" when it can't be known; then no record is believed */
	/* Borrowed, NULL-terminated: names in the root that are never looked at (mount points). */
	const char *const *protected;
	enum sync_state state;
	struct digest have;
	char **holes; /* owned: paths relative to the root at which nothing is, but should be */
	size_t n_holes;
};

enum { SYNC_MISSING_LIMIT = 64 };

struct sync_report {
	size_t written;	       /* files created */
	size_t removed;	       /* entries removed; a whole subtree counts once */
	int64_t written_bytes; /* content of the files created */
	size_t n_missing;      /* of SYNC_MISSING: how many of `missing` are filled; there may be more */
	struct digest missing[SYNC_MISSING_LIMIT];
};

/* Positive outcomes. */
enum sync_outcome { SYNC_MISSING = 1, SYNC_DIFFERS };

/* Make or open the slot directory `slot` (its parent must exist) and its root. A dirty, foreign or unreadable state
 * empties the root. Fails with EBUSY when another process uses the slot. `protected` may be NULL and must outlive the
 * target. */
int sync_target_open(struct sync_target *target, const char *slot, const char *const *protected, struct error *err);
/* The same with a root that isn't `<slot>/root`; its parent must exist as well. */
int sync_target_open_at(struct sync_target *target, const char *slot, const char *root, const char *const *protected,
	struct error *err);
void sync_target_close(struct sync_target *target); /* a target whose opening failed is allowed */

/* Around a job, which changes the tree: dirty before it starts; clean when what it changed has been restored. A target
 * is only marked clean that was clean before. */
int sync_mark_dirty(struct sync_target *target, struct error *err);
int sync_mark_clean(struct sync_target *target, struct error *err);

/* The place of `path`, absolute as a command in the root named it, below the root and without symlinks in its directory ("home/u/x.o"); in
 * `arena`. The target's own path must be without symlinks. NULL: the directory is gone, or below a protected name. */
const char *sync_place(const struct sync_target *target, struct arena *arena, const char *path);

/* Make the root equal to the tree `want`; Directory messages come from `directories`, file contents from `blobs`. A
 * dirty target is emptied first. SYNC_MISSING: `report` names blobs that the stores don't have (all that were found, up
 * to the limit); the rest of the tree is in place, call again when they are there. -1: the target is dirty; if that
 * repeats, close it and open it anew. `report` is set in every case. */
int sync_tree(struct sync_target *target, struct store *directories, struct store *blobs, const struct digest *want,
	struct sync_report *report, struct error *err);

/* After a job, while marked dirty: make each of `paths` (relative to the root, no "", "." or "..") again what the tree
 * `have` says: absent, or the right file, symlink or directory with all that is in it. 0: the caller may mark it clean.
 * SYNC_MISSING as sync_tree. */
int sync_restore_job(struct sync_target *target, struct store *directories, struct store *blobs,
	const char *const *paths, size_t n_paths, struct sync_report *report, struct error *err);

/* Compare everything below the root with the tree `have`: kinds, sizes, mtimes, modes, link targets and names, not
 * contents. SYNC_DIFFERS: `err` says where. SYNC_MISSING: a Directory message is missing (`report` names it). */
int sync_check_full(
	struct sync_target *target, struct store *directories, struct sync_report *report, struct error *err);
