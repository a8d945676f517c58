/* The Runtime API, by which Lambda hands invocations to the process that serves them (docs.aws.amazon.com: "Using the Lambda runtime API"). Plain
 * HTTP/1.1 over one connection, which is made anew when it was lost while the function was frozen. Blocking. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct api;

/* `endpoint` is AWS_LAMBDA_RUNTIME_API: "host:port". Nothing is connected yet. NULL: it is malformed. */
struct api *api_open(const char *endpoint, struct error *err);
void api_close(struct api *api); /* NULL is allowed */

struct invocation {
	char id[128];
	int64_t deadline_ms; /* CLOCK_REALTIME; 0: none was said */
	struct buf payload;  /* owned */
};

void invocation_deinit(struct invocation *invocation);

/* Wait for the next invocation, however long it takes: the function is frozen in here. -1: the environment is at its end, so should the process be. */
int api_next(struct api *api, struct invocation *ret, struct error *err);

/* Positive outcome: over Lambda's limit. Lambda has ended the invocation by an error of its own, Function.ResponseSizeTooLarge, and takes no other. */
enum api_outcome { API_TOO_LARGE = 1 };

int api_respond(struct api *api, const char *id, struct slice json, struct error *err);
/* End an invocation by an error; `type` is a word, `text` for people. `id` NULL: the process can't start at all. */
int api_fail(struct api *api, const char *id, const char *type, const char *text, struct error *err);
