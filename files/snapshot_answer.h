/* What a job was told by the tree it ran on: look-ups answered by a snapshot instead of the file system. */
#pragma once

#include "files/lookups.h"
#include "files/snapshot.h"

/* Outcomes. SNAPSHOT_LATER: what answers has changed since `generation`, so the job may have been told something else.
 */
enum snapshot_answer_outcome { SNAPSHOT_LATER = 1 };

/* Fill kind and digest of `lookup` exactly as view_observe() would, were the tree the file system. `generation` is
 * tree_generation() as of the job's root. A FILE, DIRECTORY or ABSENT look-up is one question, as there. */
int snapshot_answer(struct snapshot *snapshot, uint64_t generation, struct lookup *lookup);
