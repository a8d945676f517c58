/* One call of an AWS service: endpoint, credentials, signature, retries. Every attempt is signed anew.
 *
 * Retried here: no connection, a cut one (the calls we make can be repeated), 500, 502, 503, 504, throttling by name or 429 (unless `raw`), an expired
 * token, each with an exponential pause with full jitter, `Retry-After` heeded. Beyond the number of attempts, and at once, 403 and 400 of an expired
 * token or a skewed clock, once each: the credentials are fetched anew, the clock corrected by the Date header. What comes back is the last answer. */
#pragma once

#include "aws/config.h"
#include "aws/credentials.h"
#include "aws/http.h"

struct aws;

/* A client: what all calls share. `config` is borrowed. Credentials are fetched when first needed and refreshed before they expire; calls wait for them. */
struct aws *aws_new(uv_loop_t *loop, const struct aws_config *config, struct error *err);
void aws_free(struct aws *aws); /* calls under way are cancelled; not from inside a callback; NULL is allowed. Its handles close with the loop's next turns */
const struct aws_config *aws_config(const struct aws *aws);
struct credentials *aws_credentials(const struct aws *aws);

struct aws_call {
	const char *service;        /* "s3", "lambda", "ecr", "cloudformation", "sts", "iam", "logs": endpoint and signing name */
	const char *host_prefix;    /* "bucket." or NULL: before the service's own host */
	const char *method, *path;  /* path as meant, not encoded */
	const struct aws_pair *query;
	size_t n_query;
	const struct aws_pair *headers;
	size_t n_headers;
	struct slice body;          /* borrowed until the callback */
	bool http2;
	bool raw;                   /* 429 and 503 are given to the caller at once: it has flow control of its own */
	unsigned attempts;          /* 0 = 4 */
	int64_t timeout_ms;         /* of one attempt; 0 = 60 s; -1 = none but for standing still */
	size_t response_limit;      /* 0 = 64 MiB */
};

struct aws_answer {
	int status;
	struct http_response *response; /* headers and body, which may be taken */
	const char *code;    /* of an error answer: "NoSuchKey", "TooManyRequestsException"; from the header, JSON or XML; else "" */
	const char *message; /* its text, fit to print; else "" */
	unsigned attempts;
	int64_t retry_after_ms; /* what the Retry-After header says; 0: nothing */
};

/* Exactly once, from the loop, never from inside aws_start. `answer` NULL: no credentials (EACCES), no region or endpoint (EINVAL), or no answer at all (the
 * codes of http.h), and `err` says why and what to do. An error answer is an answer, a redirection too. All of `answer` is valid until the callback
 * returns. */
typedef void aws_done_fn(void *ctx, struct aws_answer *answer, const struct error *err);

struct aws_op;
struct aws_op *aws_start(struct aws *aws, const struct aws_call *call, aws_done_fn *fn, void *ctx); /* copies everything but the body */
void aws_cancel(struct aws_op *op); /* the callback will not run; NULL is allowed */
int64_t aws_now_s(const struct aws *aws); /* by the server's clock, as far as it is known */

/* What belongs to others than `aws`, and should end with it: called by aws_free. `name` is a static string; one object per name. */
typedef void aws_free_fn(void *object);
void *aws_attached(const struct aws *aws, const char *name); /* NULL: none */
void aws_attach(struct aws *aws, const char *name, void *object, aws_free_fn *fn);

/* For tests: the machine's clock in seconds, and how long to pause, up to `most_ms`. NULL: as usual. */
struct aws_hooks {
	int64_t (*now_s)(void *ctx);
	int64_t (*pause_ms)(void *ctx, int64_t most_ms);
	void *ctx;
};
void aws_set_hooks(struct aws *aws, const struct aws_hooks *hooks);
const struct aws_hooks *aws_hooks(const struct aws *aws); /* none set: its functions are NULL */
