/* Functions that run nothing: jobs of llama's own protocol (wire/job.proto) are answered from results that were recorded
 * before (exec/recording.h), after the time that a function would have taken. So a thousand functions can be had on a small
 * machine, to see what everything around them costs.
 *
 * A job that was not recorded is answered by another's recording, as recordings_choose has it, if it makes more than one
 * output: a unit with its dependency file is one of a build. What makes one alone may be a toolchain's probe, whose bytes
 * its asker holds against the compiler's own: that is to be run.
 *
 * The time: what the recorded command took of a processor, the worker's overhead, and a GET for each pack that the
 * environment hasn't fetched yet when the input root is another than its last (but none for objects that stand alone, of
 * which jobs don't tell); by settings (cloud.h). Of what is fetched only the time is modelled. What a worker would
 * put into the bucket is put there. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct cloud;
struct recorded;
struct recorded_worker; /* what an environment remembers */

struct recorded *recorded_open(struct cloud *cloud, const char *directory, struct error *err);
void recorded_close(struct recorded *recorded); /* NULL is allowed */

struct recorded_worker *recorded_worker_new(void);
void recorded_worker_free(struct recorded_worker *worker); /* NULL is allowed */

enum { RECORDED_NOT = 1 };

/* Append the response to the request `payload`; `ret_us`: how long it takes. One at a time for each worker.
 * RECORDED_NOT: nothing stands for that job, or it is none: to be run. */
int recorded_answer(struct recorded *recorded, struct recorded_worker *worker, struct slice payload, struct buf *ret,
	int64_t *ret_us);
