/* One walk to new keys: the configuration is read anew (people edit it, and tools write keys into it), planned, and the plan carried out. */
#pragma once

#include "aws/config.h"
#include "aws/http.h"
#include "aws/sign.h"

/* Milliseconds since 1970. */
typedef int64_t credential_clock_fn(void *ctx);
struct credential_clock {
	credential_clock_fn *now_ms;
	void *ctx;
};

/* Exactly once, from the loop, never from inside credential_fetch_start. `keys` valid until it returns; NULL: `err` says which source, what it said, and what
 * to do. Their expiry is by our clock, whatever the server's says. */
typedef void credential_fetch_fn(void *ctx, const struct aws_keys *keys, const struct error *err);

struct credential_fetch;

/* `http` borrowed; of `config` its environment (borrowed), and the profile and region it was loaded with. */
struct credential_fetch *credential_fetch_start(uv_loop_t *loop, struct http *http, const struct aws_config *config,
	struct credential_clock clock, credential_fetch_fn *fn, void *ctx);
void credential_fetch_cancel(struct credential_fetch *fetch); /* the callback will not run; NULL is allowed */
