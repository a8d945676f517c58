/* Blocking work on the thread pool, and back to the loop.
 *
 * A piece of work is one complete request: the thread touches only what `ctx` owns or what is thread-safe. Threads: the pool is
 * sized once by work_set_threads before the first piece; a piece that waits for a compiler holds a thread for that long. */
#pragma once

#include <uv.h>

typedef void work_fn(void *ctx);

/* The number of threads; must be called before the first work_start and before other threads exist (it sets an environment variable that
 * libuv reads once). */
void work_set_threads(unsigned n);

/* Run `run(ctx)` on a thread, then `done(ctx)` on the loop, exactly once, never from inside this call. There is no
 * cancelling: what may take long has a way of its own to be cut short (runner_kill). `ctx` lives until `done` returns. */
void work_start(uv_loop_t *loop, work_fn *run, work_fn *done, void *ctx);
