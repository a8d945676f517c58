/* Lambda's Invoke. */
#pragma once

#include "aws/call.h"

/* How an invocation ended. Lambda has many ways to fail; what they mean for the job is decided here, in one table with its sources. */
enum lambda_outcome {
	LAMBDA_OK,
	LAMBDA_THROTTLED,   /* 429: flow control; `retry_after_ms`, `reason` */
	LAMBDA_TRANSIENT,   /* 5xx, a cut connection, a function that is being updated: again, later */
	LAMBDA_CRASHED,     /* the function ended (out of memory, killed): 200 with X-Amz-Function-Error; `reason` its errorType */
	LAMBDA_TIMED_OUT,   /* the function's own limit */
	LAMBDA_TOO_LARGE,   /* 413, or a response over the limit */
	LAMBDA_DENIED,      /* 401, 403: credentials or permission; never retried */
	LAMBDA_BROKEN,      /* 404, 400, configuration: retrying is useless; `err` says what to do */
};

struct lambda_result {
	enum lambda_outcome outcome;
	const char *reason;      /* Lambda's own word for it: of 429 the limit ("ConcurrentInvocationLimitExceeded"), of function errors their type; or "" */
	int64_t retry_after_ms;  /* 0: it didn't say */
	struct slice payload;    /* of LAMBDA_OK, and of function errors */
	int64_t bytes_sent, bytes_received;
	/* From the log tail's REPORT line, where it was asked for; else zero. */
	int64_t billed_ms, memory_mb, init_ms;
};

/* One attempt, over HTTP/2: the caller has the window and the retries. Exactly once, from the loop. `err` is set unless LAMBDA_OK. */
typedef void lambda_done_fn(void *ctx, const struct lambda_result *result, const struct error *err);
struct lambda_op;
struct lambda_op *lambda_invoke(struct aws *aws, const char *function, struct slice payload, bool log_tail, int64_t timeout_ms, lambda_done_fn *fn, void *ctx);
void lambda_cancel(struct lambda_op *op); /* the callback will not run; before aws_free; NULL is allowed */

/* For tests and fuzzing. What an answer of Invoke means, `reason` is Lambda's word for it. */
enum lambda_outcome lambda_judge(int status, const char *code, const char *function_error, struct slice payload, struct arena *arena,
	const char **reason);
/* Fill the figures from a log's tail, as plain text. */
void lambda_read_report(struct slice log, struct lambda_result *ret);
