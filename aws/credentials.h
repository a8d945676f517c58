/* The credential chain people expect, in the order of AWS's tools: environment; assume-role (role_arn with source_profile or credential_source); web
 * identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN: GitHub Actions); SSO token cache (renewed while the login lasts); shared credentials file; credential_process; config file; container
 * endpoint; IMDSv2. A profile that was named passes over keys in the environment. */
#pragma once

#include "aws/config.h"
#include "aws/http.h"
#include "aws/sign.h"

struct credentials;

/* `config`, `http` borrowed. The files are read again for each fetch: whoever mends a profile, or logs in, need not start us anew. */
struct credentials *credentials_new(uv_loop_t *loop, struct http *http, const struct aws_config *config);
/* Not from inside a waiter's callback. Waiters are forgotten; the handles of a fetch close with the loop's next turns. NULL is allowed. */
void credentials_free(struct credentials *credentials);

struct credentials_waiter {
	struct credentials_waiter *next;
	/* `keys` valid until the loop's next turn; NULL: none, and `err` says what was tried and what to do. From the loop, never from inside credentials_get. */
	void (*fn)(struct credentials_waiter *waiter, const struct aws_keys *keys, const struct error *err);
};

/* Keys that are good for ten more minutes: at once (returned, valid as those of the callback), or NULL and `waiter->fn` later. Whoever has to wait shares one
 * fetch. A background fetch begins fifteen minutes before they expire. Keys of a short life count by it: a quarter and half of it are left then. Where no new keys are
 * to be had the old ones are given until they expire. */
const struct aws_keys *credentials_get(struct credentials *credentials, struct credentials_waiter *waiter);
void credentials_leave(struct credentials *credentials, struct credentials_waiter *waiter);
/* A server said that these are expired: the next get fetches anew. Nothing happens for ten seconds after a fetch: what comes then was signed before it. */
void credentials_drop(struct credentials *credentials);

/* The time by which keys expire, milliseconds since 1970: by default the machine's clock; or one that is corrected by what servers say, or a test's. */
void credentials_set_clock(struct credentials *credentials, int64_t (*now_ms)(void *ctx), void *ctx);
