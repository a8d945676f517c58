/* Lambda's control plane (2015-03-31): functions from images. Strings of answers are in the arena that the caller gives, never NULL: "" where the answer has none.
 * A refusal is told as aws_refused has it. */
#pragma once

#include "aws/session.h"

enum function_outcome {
	FUNCTION_ABSENT = 1,
	FUNCTION_EXISTS,
	FUNCTION_ROLE_NOT_READY, /* IAM's role is too fresh for Lambda: again in a second; it takes a quarter of a minute */
};

enum { FUNCTION_LEAST_MB = 128, FUNCTION_MOST_MB = 10240 }; /* of memory, in any account */

struct function {
	const char *arn;
	const char *state;		/* "Pending", "Active", "Inactive" (unused for weeks), "Failed" */
	const char *state_reason, *state_reason_code;
	const char *update_status;	/* of the last: "InProgress", "Successful", "Failed" */
	const char *update_reason, *update_reason_code;
	const char *image_uri;		/* as it was given; "" : not made from an image */
	const char *image_digest;	/* that it was resolved to: "sha256:…" */
	const char *role;		/* its ARN */
	const char *architecture;	/* "x86_64", "arm64" */
	unsigned memory_mb, timeout_s, storage_mb;
	struct aws_pair *environment, *tags;
	size_t n_environment, n_tags;
};

int function_get(struct aws_session *session, const char *name, struct arena *arena, struct function *ret, struct error *err); /* 0, FUNCTION_ABSENT, -1 */
const char *function_tag(const struct function *function, const char *key); /* NULL: it has none of that name */

struct function_settings { /* of an update: NULL and 0 leave a setting as it is */
	const char *image_uri, *role, *architecture; /* creation only; an update of the role takes `role` too */
	unsigned memory_mb, timeout_s, storage_mb;
	const struct aws_pair *environment; /* all of it */
	size_t n_environment;
	const struct aws_pair *tags;        /* creation only */
	size_t n_tags;
};

/* -1 ERANGE: the account allows less memory, and the text says how much; ENOENT (of an update): there is no such function; EBUSY: an update of it is under way.
 * An image that isn't there, or that Lambda may not read, is told with what to do. */
int function_create(struct aws_session *session, const char *name, const struct function_settings *settings, struct error *err); /* 0, FUNCTION_ROLE_NOT_READY, FUNCTION_EXISTS, -1 */
int function_update_code(struct aws_session *session, const char *name, const char *image_uri, const char *architecture, struct error *err); /* 0, -1 */
int function_update_configuration(struct aws_session *session, const char *name, const struct function_settings *settings, struct error *err); /* 0, FUNCTION_ROLE_NOT_READY, -1 */
int function_delete(struct aws_session *session, const char *name, struct error *err);	/* 0, FUNCTION_ABSENT, -1 */

/* Until the function is active and its last update successful: it looks once a second. `tick` (NULL: none) is told what it is in between; false gives up (ECANCELED).
 * -1: it failed, AWS's words for it and what to do (EINVAL); it isn't there (ENOENT); ten minutes are over (ETIMEDOUT). */
typedef bool function_tick_fn(void *ctx, const struct function *function);
int function_wait(struct aws_session *session, const char *name, function_tick_fn *tick, void *ctx, struct error *err);

struct account_limits {
	unsigned concurrency;	/* of all functions of the region; new accounts have 10 or 50 */
	unsigned unreserved;	/* what of it isn't reserved for single functions */
	uint64_t code_bytes;
};
int account_limits(struct aws_session *session, struct account_limits *ret, struct error *err);

/* For fuzzing: answers. */
int function_read(struct slice body, struct arena *arena, struct function *ret, struct error *err);
int account_read_limits(struct slice body, struct account_limits *ret, struct error *err);
