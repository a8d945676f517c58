/* The credential chain people expect, in the order of AWS's tools: environment; assume-role (role_arn with source_profile or credential_source); web
 * identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN: GitHub Actions); SSO token cache; shared credentials file; credential_process; config file; container
 * endpoint; IMDSv2. A profile that was named passes over keys in the environment. */
#pragma once

#include "aws/config.h"
#include "aws/http.h"
#include "aws/sign.h"

struct credentials;

/* `config`, `http` borrowed. */
struct credentials *credentials_new(uv_loop_t *loop, struct http *http, const struct aws_config *config);
void credentials_free(struct credentials *credentials);

struct credentials_waiter {
	struct credentials_waiter *next;
	/* `keys` valid until the loop's next turn; NULL: none, and `err` says what was tried and what to do. From the loop, never from inside credentials_get. */
	void (*fn)(struct credentials_waiter *waiter, const struct aws_keys *keys, const struct error *err);
};

/* Keys that are good for ten more minutes: at once (returned), or NULL and `waiter->fn` later. Whoever has to wait shares one fetch. A background fetch begins
 * fifteen minutes before they expire. */
const struct aws_keys *credentials_get(struct credentials *credentials, struct credentials_waiter *waiter);
void credentials_leave(struct credentials *credentials, struct credentials_waiter *waiter);
/* A server said that these are expired: the next get fetches anew. */
void credentials_drop(struct credentials *credentials);
