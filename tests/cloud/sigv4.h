/* The judge of signatures: AWS Signature Version 4 checked as AWS does, by code that shares nothing with aws/sign.c but
 * the specification (docs.aws.amazon.com: "Signature Version 4 signing process", "Authenticating Requests (AWS
 * Signature Version 4)" of S3).
 *
 * Stricter than S3 in one thing only: every x-amz-* header must be signed, for every service. */
#pragma once

#include <stdint.h>

#include "tests/cloud/server.h"

struct sigv4_key {
	const char *access_key, *secret_key;
	const char *session_token; /* NULL: a permanent key, which must be used without one */
	int64_t expires_s;         /* by the cloud's clock; 0: never */
	const char *identity;      /* whose it is: an ARN behind "arn:aws:" */
};

struct sigv4_keys {
	const struct sigv4_key *keys;
	size_t n;
};

struct sigv4_refusal {
	int status;
	const char *code;
	const char *message; /* in the request's arena */
};

/* The name of the service in the scope of the request's signature, unchecked, in its arena; NULL: it has none, or a
 * malformed one. */
const char *sigv4_service(const struct cloud_request *request);

/* 0: signed by one of `keys` for `region`, now, with this body; service, region and access_key are filled. A body in
 * aws-chunked encoding is replaced by what it encodes (each chunk's signature checked), and its trailing headers are
 * among the headers. SIGV4_REFUSED: `ret` says why, in the codes of the service; the service is filled if the request
 * says any. */
enum { SIGV4_REFUSED = 1 };
int sigv4_check(const struct sigv4_keys *keys, const char *region, int64_t now_s, struct cloud_request *request,
	struct sigv4_refusal *ret);
