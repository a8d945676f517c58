/* A cloud in memory, for unit tests: the calls of aws/s3.h and aws/lambda.h, with a bucket, and a function whose worker checks that everything it was sent
 * is there. Time is the loop's. */
#pragma once

#include "aws/lambda.h"
#include "aws/s3.h"
#include "base/list.h"
#include "base/map.h"
#include "wire/job.pb-c.h"

struct cloud_reply {
	enum lambda_outcome outcome;
	const char *reason;
	int64_t retry_after_ms;
	int code;              /* of the error, unless LAMBDA_OK */
	struct buf payload;
	uint64_t delay_ms;
	bool hang;             /* until it is cancelled */
};

struct cloud {
	uv_loop_t *loop;
	struct map objects;
	struct list operations; /* under way */
	uint64_t s3_delay_ms, lambda_delay_ms;
	int refuse_puts; /* an errno: nobody may */
	unsigned fail_puts, fail_gets, fail_lists, lose_puts; /* the next so many; a lost one says that all is well */
	bool hold_puts;                 /* until cloud_release_puts */
	bool hold_lists;                /* for ever */
	bool refuse_heads;
	unsigned puts, gets, lists, exists, found, overwritten, puts_under_way, most_puts; /* found: by a head */
	uint64_t largest_put;
	unsigned invocations, running, most_running;
	unsigned limit;                 /* of concurrency; 0 = none: 429 beyond it */
	/* What comes of invocation number `n` (from 0). NULL: cloud_work. */
	void (*script)(struct cloud *cloud, unsigned n, struct slice payload, struct cloud_reply *reply);
	/* Change a worker's answer before it is sent. */
	void (*tamper)(Job__Result *result, const Job__Job *job);
	unsigned apart_bytes;           /* contents larger than this go into the bucket; 0 = none */
	struct slice output;            /* what each output has; empty: its path */
	size_t n_overlays_inline, n_packs; /* of the last job that was done */
	unsigned folded;                /* jobs that came so */
	int64_t timeout_ms;
};

void cloud_init(struct cloud *cloud, uv_loop_t *loop);
void cloud_deinit(struct cloud *cloud);
struct aws *cloud_aws(struct cloud *cloud);
/* An honest worker. */
void cloud_work(struct cloud *cloud, struct slice payload, struct cloud_reply *reply);
void cloud_release_puts(struct cloud *cloud);
void cloud_cancel_all(struct cloud *cloud); /* no callback runs */
void cloud_put(struct cloud *cloud, const char *key, struct slice body);
size_t cloud_count(const struct cloud *cloud, const char *prefix);
/* Take away, or damage, every object whose key begins so. */
void cloud_lose(struct cloud *cloud, const char *prefix);
void cloud_damage(struct cloud *cloud, const char *prefix);
