/* What a job was told by the tree it ran on: look-ups answered by a snapshot instead of the file system. */
#pragma once

#include "base/buf.h"
#include "files/lookups.h"
#include "files/snapshot.h"

/* Outcomes. SNAPSHOT_LATER: what answers has changed since `generation`, so the job may have been told something else.
 */
enum snapshot_answer_outcome { SNAPSHOT_LATER = 1 };

/* A number of questions to one tree, which must not change meanwhile. Consecutive ones in one directory walk there once. */
struct snapshot_asking {
	const struct tree *tree;
	uint64_t generation; /* tree_generation() as of the job's root */
	const struct snapshot_apart *apart; /* what stood over the tree for this job; NULL: nothing */
	/* The rest is private, zero at first. */
	struct slice directory;	       /* of the last path: borrowed */
	struct buf way;		       /* its physical path, */
	const struct tree_entry *there; /* what stands there, or NULL, */
	bool way_later;		       /* and what was met on the way */
	unsigned way_links;
	struct buf done; /* the physical path of the answer */
	bool later;
	unsigned n_links;
	struct tree_entry over; /* the entry of `apart` */
};
void snapshot_asking_deinit(struct snapshot_asking *asking);
#define _cleanup_asking_ __attribute__((cleanup(snapshot_asking_deinit)))

/* Fill kind and digest of `lookup` exactly as view_observe() would, were the tree the file system. A FILE, DIRECTORY or ABSENT look-up is one
 * question, as there. Its path must live until the next question. */
int snapshot_answer(struct snapshot_asking *asking, struct lookup *lookup);
