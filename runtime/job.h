/* One invocation: the daemon's Job (wire/job.h) in, its Result out. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "runtime/workplace.h"

/* When it has to be over. */
struct job_times {
	int64_t received_ns; /* clock_monotonic_ns() as the invocation came */
	int64_t deadline_ms; /* CLOCK_REALTIME; 0: none */
};

/* Run the Job in `payload` and append the JSON of its Result, whatever became of it. -1: it is no Job, or another version's: there is nobody to
 * tell but Lambda. */
int job_run(struct workplace *workplace, struct slice payload, const struct job_times *times, struct buf *ret,
	struct error *err);
