/* The Lambda executor: a job's inputs go up (exec/uplink.h), the job travels in an invocation of the function, and its answer is verified and brought home.
 *
 * How it works. A job is
 *   ENSURING    waiting for the uplink to have all of its input root in the bucket
 *   SEALING     encoded and compressed, on a thread
 *   WAITING     for its turn in the window (exec/window.h)
 *   INVOKED     with the function
 *   PAUSED      before another attempt, which is sealed anew under an id of its own
 *   ANSWERED    its answer is there, and waits to be opened, of which only some are at a time
 *   OPENING     its answer is read and verified, on a thread, and delivered if all came with it
 *   FETCHING    what didn't fit into the answer, from the bucket
 *   DELIVERING  likewise verified and delivered, on a thread
 *   ENDING      its callback is called in the loop's next turn
 * What fails is treated by its kind. A 429 is flow control and counts as no attempt, but a job that meets nothing else for `wait_ms` fails. What may
 * pass (a 5xx, a cut connection, a damaged answer, a pack that didn't get up) is tried LAMBDA_ATTEMPTS times, with full jitter; a function that crashed
 * or ran out of time, and a worker that failed, once more. What is missing in the bucket is sent again LAMBDA_REPAIRS times, unless it is gone from
 * home (EXEC_MISSING). What is too large fails. Every failure is the caller's to compile locally. Credentials or a configuration that are refused,
 * by Lambda or by the bucket, fail at once, and all jobs with them for `down_ms`: a thousand shouldn't each find out. So do LAMBDA_STRIKES failures of
 * several attempts in a row, and then, until a job is answered again, each single one. A server that can't be reached was waited for long enough: that is
 * one without further attempts. */
#pragma once

#include "aws/lambda.h"
#include "exec/executor.h"
#include "exec/lambda_wire.h"
#include "exec/uplink.h"

enum {
	LAMBDA_ATTEMPTS = 3,
	LAMBDA_CRASHES = 2,
	LAMBDA_REPAIRS = 2,
	LAMBDA_STRIKES = 3, /* failures for good, one after the other and with no answer between them, before all jobs fail for a while */
};

/* Everything is borrowed until executor_free but the strings, which are copied. */
struct lambda_options {
	struct aws *aws;
	const char *function;
	struct uplink *uplink;
	struct s3_bucket bucket;     /* for what comes apart */
	struct lambda_place place;   /* the same bucket, as a worker finds it */
	struct store *files;         /* the overlays' contents */
	struct store *content;       /* outputs to keep go here; NULL: nothing is kept */
	unsigned width;              /* jobs under way at once, at most: the account's limit if that is known */
	unsigned start;              /* the window's size at first; 0 = 10 */
	unsigned memory_mb;          /* the function's, for the bill where neither answer nor log tail says it */
	bool log_tail;               /* ask for the log's tail: exact bills, for up to 4 KB more with each answer */
	int64_t timeout_ms;          /* for a job that was never seen; 0 = 120 s. Others get ten times what they took before */
	int64_t limit_ms;            /* the function's own; 0 = 900 s */
	int64_t wait_ms;             /* 0 = 30 s */
	int64_t down_ms;             /* 0 = 60 s */
	int64_t retry_ms;            /* the first pause before another attempt is below this; 0 = 200 ms */
};

struct executor *lambda_new(uv_loop_t *loop, const struct lambda_options *options);
/* executor_free() frees it; its handle closes with the loop's next turns. */

/* Since the start. */
struct lambda_counters {
	uint64_t requests, answers; /* invocations; those that ran a command and told how it ended */
	uint64_t billed_ms, billed_mb_ms; /* the second by 1,024,000 are GB-seconds; both as far as answers tell, else as long as it took */
	uint64_t overhead_us;       /* of the workers around the commands, as answers tell */
	uint64_t cold_starts, throttles;
	uint64_t retries, errors;   /* other attempts; jobs that failed for good */
	uint64_t bytes_out, bytes_in;
	uint64_t worker_s3_gets, worker_s3_puts, worker_s3_bytes_in, worker_s3_bytes_out; /* by the workers, as they tell */
};
struct lambda_counters lambda_counters(const struct executor *lambda);

/* Why it takes no jobs at present, and in how many ms it will again; or NULL. Valid until the loop's next turn. */
const char *lambda_down(const struct executor *lambda, int64_t *ret_ms);
/* Why the job that failed last did; "" when none has. Likewise. */
const char *lambda_trouble(const struct executor *lambda);
