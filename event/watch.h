/* A descriptor or another process, watched from the loop. */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/error.h"

struct watch;
typedef void watch_fn(void *ctx);

/* Call `fn` once, from the loop, when the process `pid` has ended (it need not be our child). `pidfd` is taken if ≥ 0 (closed at
 * the end), else one is opened. NULL: no such process any more (ESRCH), or no descriptor. */
struct watch *watch_process(uv_loop_t *loop, pid_t pid, int pidfd, watch_fn *fn, void *ctx, struct error *err);

/* Processor time that `pid` and all that descends from it have taken so far, in ticks of the clock; -1: there is no telling. */
int64_t watch_processor_time(pid_t pid);

/* Stop watching and free; `fn` will not run. Also how a watch that has fired is freed. NULL is allowed. */
void watch_free(struct watch *watch);
