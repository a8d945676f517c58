/* A Merkle tree of directories in the field's format (REAPI v2 Directory, FileNode, DirectoryNode, SymlinkNode), growing in
 * memory. A node knows its name and its children sorted by name; digests of clean directories are kept. Files carry their mtime
 * in node_properties, because compilers compare mtimes (`#pragma once`).
 *
 * Not thread-safe. Names come from our own file system or, decoded, from a peer: tree_parse rejects "", ".", "..", "/" and NUL
 * in names, unsorted or double entries. */
#pragma once

#include <sys/types.h>

#include "base/arena.h"
#include "store/digest.h"
#include "store/store.h"

struct tree;

enum tree_kind { TREE_FILE = 1, TREE_DIRECTORY, TREE_SYMLINK };

struct tree_entry {
	enum tree_kind kind;
	const char *name;
	struct digest digest; /* file content, or encoded Directory */
	bool executable;      /* files */
	int64_t mtime_ns;     /* files; 0 = not given */
	const char *target;   /* symlinks */
	uint64_t changed;     /* tree_generation() after the change that made the entry what it is; names in a directory don't count */
	uint64_t renamed;     /* directories: the same for the set of names in it */
};

struct tree *tree_new(void);
void tree_free(struct tree *tree);

/* Change one path ("a/b/c", relative to the root, no "." or ".."): parents are made as directories; what stands at the path is
 * replaced. A file or symlink where a parent directory is needed is replaced by a directory. No-ops when nothing changes;
 * for a file, whether anything did is returned. */
bool tree_set_file(struct tree *tree, const char *path, const struct digest *digest, bool executable, int64_t mtime_ns);
void tree_set_symlink(struct tree *tree, const char *path, const char *target);
void tree_set_directory(struct tree *tree, const char *path); /* keeps the children of a directory that exists */
void tree_remove(struct tree *tree, const char *path);        /* absent is no error */
void tree_clear(struct tree *tree);			      /* everything */

/* What stands at `path` (no symlink is followed), or NULL; valid until the next change. digest of directories is not filled. */
const struct tree_entry *tree_lookup(const struct tree *tree, const char *path);

/* Counts every change. An entry whose `changed` is not above a generation was the same then. */
uint64_t tree_generation(const struct tree *tree);

/* Counts what left the tree or became another thing. While it stays the same, all that was ever set is as it was set last. */
uint64_t tree_losses(const struct tree *tree);

/* The entries of the directory `path` ("" for the root), sorted by name; nothing when there is none. */
void tree_list(const struct tree *tree, const char *path, void (*fn)(void *ctx, const struct tree_entry *entry), void *ctx);

/* Walk every entry below the root, parents first; `path` is relative and valid during the call. */
void tree_walk(const struct tree *tree, void (*fn)(void *ctx, const char *path, const struct tree_entry *entry), void *ctx);

/* Encode what changed since the last call into `store` (Directory messages only, children first) and return the root's digest. */
int tree_commit(struct tree *tree, struct store *store, struct digest *root, struct error *err);

/* Let the next tree_commit encode everything: after the store was cleared. */
void tree_uncommit(struct tree *tree);

/* Sum of the sizes of all files. */
int64_t tree_size_bytes(const struct tree *tree);

/* Decode one Directory message: entries sorted as files, directories, symlinks; strings in `arena`. -1: malformed or unsafe. */
int tree_parse_directory(struct slice message, struct arena *arena, struct tree_entry **ret, size_t *n_ret, struct error *err);
