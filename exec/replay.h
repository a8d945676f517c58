/* An executor that compiles nothing: it answers with results recorded earlier, after a given time. So what surrounds the executor can be
 * measured alone, with a thousand jobs in flight on a small machine.
 *
 * A job in flight is a timer. When that has run, a thread of the pool writes the outputs, as for a result that came over the net. A few
 * hundred recorded jobs can stand in for thousands: see recordings_choose. */
#pragma once

#include "exec/executor.h"
#include "store/store.h"

struct replay_options {
	const char *directory;     /* of the recordings */
	unsigned width;            /* jobs in flight; more wait */
	uint64_t latency_ms;       /* from a job's turn to its answer */
	struct store *content;     /* for keep_outputs; NULL: nothing is kept */
	struct store *directories; /* a job whose input root isn't here fails; NULL: not asked */
};

struct executor *replay_new(uv_loop_t *loop, const struct replay_options *options, struct error *err);
