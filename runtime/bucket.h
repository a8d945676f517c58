/* The bucket as the worker needs it: many objects at a time, and nothing else to do until they are there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Outcomes, in the requests: 0, positive, or -1 with `err`. */
enum bucket_outcome { BUCKET_ABSENT = 1 };

struct bucket_get {
	char key[128];
	uint64_t offset, length; /* length 0: all of it */
	int outcome;
	struct buf body; /* owned */
	struct error err;
};

struct bucket_put {
	char key[128]; /* of its content: what stands there already is as good */
	struct slice body;
	int outcome; /* 0 or -1 */
	struct error err;
};

struct bucket_counters {
	uint64_t gets, puts, bytes_in, bytes_out;
};

struct bucket;

struct bucket_ops {
	/* Blocking; all at once, each to its end. */
	void (*get)(struct bucket *bucket, struct bucket_get *gets, size_t n);
	void (*put)(struct bucket *bucket, struct bucket_put *puts, size_t n);
	struct bucket_counters (*counters)(struct bucket *bucket); /* since it was made */
	void (*free)(struct bucket *bucket);
};

struct bucket {
	const struct bucket_ops *ops;
};

static inline void bucket_free(struct bucket *bucket) /* NULL is allowed */
{
	if (bucket)
		bucket->ops->free(bucket);
}

/* In S3 or a store that speaks its language. */
struct bucket_place {
	const char *name, *prefix, *region;
	const char *endpoint; /* "": AWS's own */
};

/* `secrets`: credentials, and what else AWS's tools take from an environment; borrowed for the bucket's life. NULL: `err` says why not. */
struct bucket *bucket_s3_new(const struct bucket_place *place, char *const *secrets, struct error *err);
