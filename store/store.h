/* Content-addressed blobs: one interface, many small back ends (memory, disk; later S3) and decorators around them.
 *
 * Blocking and thread-safe: callers are worker threads, the Lambda runtime, or the loop for memory-speed back ends. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "store/digest.h"

/* Positive outcomes; the direct caller handles them. */
enum store_outcome { STORE_MISS = 1 };

struct store;

struct store_ops {
	const char *name;
	/* Append the whole blob to `ret`; verified against `digest`. 0, STORE_MISS or -1. */
	int (*get)(struct store *store, const struct digest *digest, struct buf *ret, struct error *err);
	/* Write the blob to `fd`, a new, empty file or a stream, verified: 0, STORE_MISS (nothing was written), or -1
	 * (then `fd` may hold anything). May be NULL: get is used. */
	int (*get_fd)(struct store *store, const struct digest *digest, int fd, struct error *err);
	/* Keep these bytes, whose digest the caller computed. 0 or -1. */
	int (*put)(struct store *store, const struct digest *digest, struct slice bytes, struct error *err);
	/* Keep the content of the regular file `fd` (from its start, whatever its offset), hashing it on the way; the
	 * digest goes to `ret`. 0 or -1. May be NULL: the file is read and put. */
	int (*put_fd)(struct store *store, int fd, struct digest *ret, struct error *err);
	/* 0 or STORE_MISS; cheap, a hint. */
	int (*contains)(struct store *store, const struct digest *digest);
	void (*free)(struct store *store);
};

struct store {
	const struct store_ops *ops;
};

int store_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err);
int store_get_fd(struct store *store, const struct digest *digest, int fd, struct error *err);
int store_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err);
int store_put_fd(struct store *store, int fd, struct digest *ret, struct error *err);
int store_contains(struct store *store, const struct digest *digest);
void store_free(struct store *store); /* NULL is allowed */
