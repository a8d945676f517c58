/* A decorator that records: jobs go to another executor, and what comes of them is kept (exec/recording.h) before the callback hears of it.
 * What can't be answered by a replay isn't kept: failures of the executor, signals, incomplete logs, strays. */
#pragma once

#include "exec/executor.h"

/* `inner` is borrowed. A job whose result can't be written fails, so that nobody takes a torn recording for a whole one. */
struct executor *record_new(uv_loop_t *loop, struct executor *inner, const char *directory, struct error *err);
