/* Lambda's Runtime API for one environment: HTTP/1.1 on a port of its own on the loopback. The environment's side of
 * it is a small machine:
 *
 *   STARTING  a runtime process has been started and hasn't asked for work yet; init/error ends it
 *   READY     it waits in invocation/next; the environment may be frozen
 *   BUSY      it has an invocation
 *   ANSWERED  it has posted the response, or the error, and not yet asked for more
 *   ENDED     it has exited or was killed; runtime_api_start begins anew
 *
 * Thread-safe: one thread runs invocations, another may say that the process has ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum { LAMBDA_REQUEST_BYTES = 6 << 20, LAMBDA_RESPONSE_BYTES = (6 << 20) + 100 };

struct cloud;
struct runtime_api;

struct runtime_api *runtime_api_open(struct cloud *cloud, struct error *err);
void runtime_api_close(struct runtime_api *api); /* waits for its threads; NULL is allowed */

/* 127.0.0.1:PORT, for AWS_LAMBDA_RUNTIME_API; valid as long as the object. */
const char *runtime_api_address(const struct runtime_api *api);

/* A new runtime process comes: STARTING. Its generation. */
uint32_t runtime_api_start(struct runtime_api *api);
enum { RUNTIME_ANY = 0 }; /* no generation: whichever runs now */
/* The process of that generation has ended with this status of waitpid; of an older one is no news. */
void runtime_api_end(struct runtime_api *api, uint32_t generation, int status);

struct runtime_invocation {
	const char *request_id, *arn, *trace_id, *client_context; /* the last may be NULL */
	int64_t deadline_ms;					  /* since the epoch */
	struct slice payload;
};

enum runtime_answer {
	RUNTIME_RESPONSE,
	RUNTIME_ERROR,	   /* the function's own: invocation/error */
	RUNTIME_TOO_LARGE, /* the response was over the limit: refused */
	RUNTIME_NONE,
};

/* READY → BUSY. `invocation` and what it points to are borrowed until the next runtime_api_wait returns. */
void runtime_api_deliver(struct runtime_api *api, const struct runtime_invocation *invocation);

enum runtime_event { RUNTIME_READY, RUNTIME_INIT_ERROR, RUNTIME_ENDED, RUNTIME_LATE };

/* Wait until the runtime asks for work (from STARTING, or after an invocation was delivered), ends, reports
 * init/error, or the monotonic clock shows `until_ms`. */
enum runtime_event runtime_api_wait(struct runtime_api *api, int64_t until_ms);

/* What the runtime has posted for the invocation, or for init/error: `ret` gets the bytes (of a response that was
 * too large: none), `size` how many it sent. */
enum runtime_answer runtime_api_take_answer(struct runtime_api *api, struct buf *ret, int64_t *ret_size);

/* Of the last process that ended. */
int runtime_api_status(struct runtime_api *api);
