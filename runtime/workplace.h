/* Where the jobs of one function's environment run: the mirrored tree, the runner beside it, and what is known of the bucket. One job at a time.
 *
 * Below `root` stands what the last job's input root says, and nothing else: a job's overlays and what it wrote are taken away after it. Beside it, in
 * TRACE_FOREIGN_PRIVATE, are the sync's state, the temporaries of commands, and what overlays stand in for. Whatever goes wrong leaves the tree
 * marked; it is then built anew. */
#pragma once

#include "runtime/bucket.h"
#include "runtime/packs.h"
#include "runtime/delta.h"
#include "worker/runner.h"
#include "worker/sync.h"

struct workplace_options {
	const char
		*root; /* IMAGE_TREE; elsewhere in tests. Absolute, squeezed, without symlinks; its directory exists */
	const char *runner, *interposer; /* paths of llama-runner and llama-interpose.so */
	char *const *secrets;		 /* see bucket_s3_new */
	/* bucket_s3_new, or a test's own. */
	struct bucket *(*open_bucket)(const struct bucket_place *place, char *const *secrets, struct error *err);
	unsigned memory_mb;        /* that the function has; for the bill */
	int64_t directories_limit; /* bytes of Directory messages kept in memory; 0 = 128 MiB */
};

struct workplace {
	struct workplace_options options; /* strings borrowed */
	char *private_dir;		  /* owned */
	int private_fd;			  /* -1: not open yet */
	struct sync_target target;
	struct runner *runner; /* NULL: before the first job, and after a failure */
	struct packs *packs;
	struct store *memory; /* Directory messages */
	struct directories directories;
	struct bucket *bucket;		/* NULL, or that of `place` */
	char *place;			/* owned: what the bucket was opened with, as one text */
	struct bucket_counters counted; /* when the job at hand began */
	bool used;			/* a job has been here */
	struct digest dictionary;       /* the last one that was read; size_bytes 0: none was */
	struct buf dictionary_bytes;
};

void workplace_init(struct workplace *workplace, const struct workplace_options *options);
void workplace_deinit(struct workplace *workplace);

/* Have a bucket, a tree and a runner. */
int workplace_open(struct workplace *workplace, const struct bucket_place *place, struct error *err);

enum workplace_outcome { WORKPLACE_MISSING = 1 };

/* What a job needs beneath it. */
struct workplace_inputs {
	struct digest root;
	const struct pack_name *packs;
	size_t n_packs;
	const struct digest *apart; /* blobs beside the tree, for workplace_read */
	size_t n_apart;
};

/* Bring the tree up to date, and have the other blobs here. WORKPLACE_MISSING: `missing` (in `arena`) names what the bucket lacks. */
int workplace_sync(struct workplace *workplace, const struct workplace_inputs *inputs, struct arena *arena,
	int64_t *synced_bytes, struct digest **missing, size_t *n_missing, struct error *err);

/* Append one of the blobs that are here until workplace_cover. */
int workplace_read(struct workplace *workplace, const struct digest *digest, struct buf *ret, struct error *err);

/* A dictionary out of the bucket, fetched if it isn't the last one; borrowed until the next call. WORKPLACE_MISSING: it is not to be had. */
int workplace_dictionary(
	struct workplace *workplace, const struct digest *digest, struct slice *ret, struct error *err);

struct overlay {
	const char *path; /* absolute, physical */
	struct slice contents;
	int64_t mtime_ns;
	bool executable;
	/* Filled by workplace_cover: whether it stands there, and where what it stands in for is kept, in the private directory (NULL: nothing). */
	bool covers;
	const char *saved;
};

/* Put the overlays where they belong. The tree is marked from here on, until workplace_restore, which is called in any case. */
int workplace_cover(
	struct workplace *workplace, struct overlay *overlays, size_t n, struct arena *arena, struct error *err);

/* After the job: take the overlays away and restore `changed` (places as of sync_place), or with NULL all of the tree by what it looks like. A tree that
 * can't be restored stays marked. */
void workplace_restore(struct workplace *workplace, const struct overlay *overlays, size_t n,
	const char *const *changed, size_t n_changed);

/* The runner is broken; the next workplace_open starts another. */
void workplace_drop_runner(struct workplace *workplace);

/* Since workplace_open. */
struct bucket_counters workplace_counters(struct workplace *workplace);
