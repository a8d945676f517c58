/* A command whose output is wanted, run beside the loop: bounded in time and bytes. */
#pragma once

#include <uv.h>

#include "base/error.h"
#include "base/slice.h"

struct process;

struct process_result {
	int exit_status, term_signal; /* of the command */
	struct slice out;	      /* its standard output, whole */
	struct slice err;	      /* the first KiB of its standard error */
};

/* Exactly once, from the loop, never from inside process_start. `result` NULL: it took longer than allowed, or wrote more (ETIMEDOUT, EFBIG); if it lives, it
 * and its process group have been killed. Slices are valid until the callback returns. */
typedef void process_done_fn(void *ctx, const struct process_result *result, const struct error *err);

/* `argv` and `environment` end in NULL; the command is looked up in the environment's PATH, reads /dev/null, and leads a session of its own. NULL: it could not be
 * started; `fn` will not run. */
struct process *process_start(uv_loop_t *loop, char *const *argv, char *const *environment, int64_t limit_ms,
	size_t limit_bytes, process_done_fn *fn, void *ctx, struct error *err);

/* Kills it and its process group; the callback will not run. NULL is allowed. */
void process_cancel(struct process *process);
