/* The few calls of S3 that Llama makes; every S3-compatible store has them. Custom endpoints are addressed in path style, AWS's with the bucket in
 * the host's name. Over https bodies are sent unsigned (TLS protects them, and our keys are digests of the content); over http they are signed. */
#pragma once

#include "aws/call.h"

struct s3_bucket {
	struct aws *aws; /* borrowed */
	const char *name;
	const char *prefix; /* before every key: "" or "…/" */
};

struct s3_op;

/* Outcomes of the callbacks: 0, or positive, or -1 with `err` (what failed, on which key, what to do; EACCES: denied, ENOENT: no such bucket, EINVAL: another
 * region, ERANGE: a shorter object, EAGAIN: throttled to the end). From the loop, never from inside the call that began it. */
enum s3_outcome { S3_ABSENT = 1, S3_EXISTS };

typedef void s3_done_fn(void *ctx, int outcome, struct buf *body, const struct error *err); /* `body` may be taken; empty but for a get */

/* The object, or `length` bytes from `offset` (length 0: all there are), fewer where the object ends. S3_ABSENT. All of an object is at most 1 GiB. */
struct s3_op *s3_get(const struct s3_bucket *bucket, const char *key, uint64_t offset, uint64_t length, s3_done_fn *fn, void *ctx);
/* Put it; with `once` only if there is none (If-None-Match: *): S3_EXISTS if there is (412). Stores that ignore the condition overwrite it with the same bytes, because
 * we only do this with keys that are digests; stores that refuse it (501) are asked without from then on. From 16 MiB on in parts. `body` is borrowed until the callback. */
struct s3_op *s3_put(const struct s3_bucket *bucket, const char *key, struct slice body, bool once, s3_done_fn *fn, void *ctx);
struct s3_op *s3_head(const struct s3_bucket *bucket, const char *key, s3_done_fn *fn, void *ctx);
struct s3_op *s3_delete(const struct s3_bucket *bucket, const char *key, s3_done_fn *fn, void *ctx);

/* Keys (with the bucket's prefix taken off) that begin with `prefix`, after `after` (NULL: all) in S3's order; all pages, at most `limit` keys. */
struct s3_key {
	const char *name;
	int64_t size_bytes;
	int64_t modified_s;
};
typedef void s3_list_fn(void *ctx, int outcome, const struct s3_key *keys, size_t n, const struct error *err);
struct s3_op *s3_list(const struct s3_bucket *bucket, const char *prefix, const char *after, size_t limit, s3_list_fn *fn, void *ctx);

void s3_cancel(struct s3_op *op); /* the callback will not run; NULL is allowed. aws_free does it for all that are left */

/* Fill in where a call goes: service, host_prefix and path, in `arena`. `key` NULL: the bucket itself. For calls that aren't made here (s3_bucket.h). */
void s3_address(struct aws *aws, const char *bucket, const char *key, struct arena *arena, struct aws_call *ret);

/* Requests and bytes so far, for the statistics. */
struct s3_counters {
	uint64_t gets, puts, others, bytes_in, bytes_out;
};
struct s3_counters s3_counters(const struct aws *aws);
