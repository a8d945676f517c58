/* The way up: before a job is sent, everything below its input root must be in the bucket.
 *
 * How it works. What is known to be there is a set of blobs, each in an object: a pack, or a blob alone. A root is walked from the top; the walk stops
 * at directories that were walked before, for each of which the set of objects that hold everything below it is kept. What the walk finds new is
 * gathered for the next pack. One pack is under way at a time and all that gathers meanwhile travels in the next, so a build's many small changes cost few
 * requests; only full packs (the first time: a whole toolchain) and blobs that stand alone go side by side. Blobs are read and compressed on
 * threads. Small packs are kept at home too, because a job names all packs that hold its root, and a worker that has nothing fetches them all: when there are
 * more than UPLINK_SMALL_PACKS, the smallest are made one, without compressing anything again, as soon as nothing else wants the line, or there are twice as
 * many. As many are merged as are small beside those already taken, so that what is large isn't sent again for little.
 *
 * What is in the bucket is remembered on disk (exec/known.h) for less long than the bucket keeps it, and it is a belief: a worker that finds
 * an object missing or damaged says so, and it is sent again (uplink_forget).
 *
 * On the loop; it stays in memory within bounds (UPLINK_…, and four packs under way). */
#pragma once

#include <uv.h>

#include "aws/s3.h"
#include "base/arena.h"
#include "base/list.h"
#include "store/store.h"

enum {
	UPLINK_OBJECTS = 256,            /* known at once; beyond that the oldest are forgotten */
	UPLINK_SMALL_PACKS = 4,
	UPLINK_PARALLEL = 4,             /* objects under way */
	UPLINK_PACK_BYTES = 24 << 20,    /* of blobs, uncompressed, make a pack full: about 8 MiB of it */
	UPLINK_PACK_BLOBS = 1 << 16,     /* likewise */
	UPLINK_ASK_BYTES = 1 << 20,      /* an object from here on is asked for before it is sent: another machine's toolchain is often this one's */
	UPLINK_READ_BYTES = 96 << 20,    /* of blobs under way, unless there is only one */
	UPLINK_BLOBS = 1 << 18,          /* known at once */
	UPLINK_DIRECTORIES = 1 << 16,    /* walked ones that are remembered */
	UPLINK_DEPTH = 2048,             /* directories in directories; a path has no more */
};

struct uplink_options {
	struct s3_bucket bucket;         /* strings and client borrowed */
	const char *endpoint;            /* of the bucket; "" is AWS's own */
	struct store *directories;       /* Directory messages; read from the loop, too */
	struct store *files;             /* content of the files */
	const char *directory;           /* private, for what is remembered; made if need be */
	int64_t max_age_s;               /* what was sent longer ago is sent again; 0 = 14 days. Less than the bucket's expiry */
	void (*note)(void *ctx, const char *text); /* what went wrong and costs no job; NULL allowed */
	void *ctx;
};

struct uplink;

/* Everything in `options` but its strings for the directory and the endpoint is borrowed until uplink_free. */
struct uplink *uplink_new(uv_loop_t *loop, const struct uplink_options *options, struct error *err);

/* Send nothing more and drop what is under way, so that the loop comes to its end. All waiters have left. */
void uplink_stop(struct uplink *uplink);
/* After the loop's end, or when nothing is under way. NULL is allowed. */
void uplink_free(struct uplink *uplink);

struct uplink_set {
	uint64_t bits[UPLINK_OBJECTS / 64];
};

enum uplink_outcome { UPLINK_LATER = 1, UPLINK_MISSING };

struct uplink_waiter {
	/* From the loop, never from inside uplink_ensure, once: with what uplink_ensure returns, but not UPLINK_LATER. It may use the uplink at once. */
	void (*fn)(struct uplink_waiter *waiter, int outcome);
	/* Results. */
	struct digest missing; /* UPLINK_MISSING: home doesn't have it any more */
	struct error err;      /* -1 */
	bool refused;          /* -1: everybody would be told so: there is no such bucket, or no right to it, or no way by TLS */
	uint64_t as_of;        /* 0: for uplink_forget() */
	/* Private. */
	struct list link;
	struct digest root;
	const struct digest *extra;
	size_t n_extra;
	struct uplink_set set;
	int outcome;
};

/* Have all below `root`, and the files `extra` (borrowed as long as it waits), in the bucket. 0: it is; UPLINK_LATER: `waiter->fn` tells; UPLINK_MISSING; -1. */
int uplink_ensure(struct uplink *uplink, struct uplink_waiter *waiter, const struct digest *root, const struct digest *extra, size_t n_extra);
/* It doesn't wait any more; also after it has been told. What is being sent is sent. */
void uplink_leave(struct uplink_waiter *waiter);

/* The packs that hold what the waiter asked for, with the blobs that stand alone; in the turn of the loop in which it was told 0. In `arena`. */
struct uplink_pack {
	uint8_t hash[DIGEST_HASH_BYTES];
	int64_t size_bytes;
};
struct uplink_pack *uplink_packs(struct uplink *uplink, const struct uplink_waiter *waiter, struct arena *arena, size_t *ret_n);

/* A worker says that these blobs are not to be had, to a job that was sent after a waiter was told `as_of`. The objects they are in are forgotten (what was
 * sent anew since isn't), and written over when they are sent again. */
void uplink_forget(struct uplink *uplink, const struct digest *digests, size_t n, uint64_t as_of);
