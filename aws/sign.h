/* AWS Signature Version 4 (docs.aws.amazon.com: "Create a signed AWS API request"): headers in, headers out; no I/O.
 *
 * Paths and queries are given as they are meant, not encoded; what is signed and what must be sent are made together, here, so that
 * they can't differ. S3 has rules of its own: its path is encoded once and never normalised, everybody else's is normalised, and encoded twice in
 * the signature. */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

/* Secrets: never logged, never part of an error's text. */
struct aws_keys {
	const char *access_key, *secret_key;
	const char *session_token; /* NULL: none */
	int64_t expires_ms;        /* CLOCK_REALTIME; 0: never */
	const char *source;        /* where they come from, for people: "environment", "profile dev" */
};

struct aws_pair {
	const char *name, *value; /* a NULL value is an empty one */
};

struct sign_request {
	const char *service, *region; /* "s3", "us-east-1" */
	const char *method;           /* "GET" */
	const char *host;             /* with its port, unless that is the scheme's own: as in the Host header */
	const char *path;             /* "/bucket/key with spaces"; "" is "/" */
	const struct aws_pair *query; /* in any order, doubles allowed */
	size_t n_query;
	const struct aws_pair *headers; /* those to be signed and sent, any case; without host, x-amz-date and the like */
	size_t n_headers;
	struct slice body;
	bool unsigned_payload;        /* UNSIGNED-PAYLOAD: S3 over https only */
	int64_t now_s;                /* seconds since 1970, of the server's clock as far as we know it */
};

struct signed_request {
	const char *target;            /* "/bucket/key%20with%20spaces?a=b": what goes into the request line */
	const struct aws_pair *headers; /* all that must be sent but Host: the given ones, X-Amz-Date, Authorization, … */
	size_t n_headers;
};

/* In `arena`. Cannot fail. */
void sign(const struct sign_request *request, const struct aws_keys *keys, struct arena *arena, struct signed_request *ret);

/* The same as part of the query ("presigned"), valid for `seconds`. */
void sign_query(const struct sign_request *request, const struct aws_keys *keys, unsigned seconds, struct arena *arena, struct signed_request *ret);
