/* What is wanted of the bucket to bring a root from one tree to another: found before the sync begins, so that everything is fetched at once. Goes down
 * the two trees side by side, level by level: the Directory messages of a level are fetched together. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "runtime/packs.h"
#include "store/digest.h"
#include "store/store.h"
#include "worker/sync.h"

/* Directory messages, kept in memory once they were read; what isn't there comes from `packs`. Both are borrowed. */
struct directories {
	struct store store; /* for sync_tree() and the like */
	struct store *memory;
	struct packs *packs;
};

void directories_init(struct directories *directories, struct store *memory, struct packs *packs);

struct delta {
	struct digest *files; /* to be written, without doubles; in the arena */
	size_t n_files;
	int64_t file_bytes;	/* of all that will be written: doubles count */
	struct digest *missing; /* Directory messages that are not to be had */
	size_t n_missing;
};

/* For sync_tree(target, …, want). -1: the bucket can't be asked, or a message is malformed. */
int delta_make(struct directories *directories, const struct sync_target *target, const struct digest *want,
	struct arena *arena, struct delta *ret, struct error *err);
