/* Functions that run nothing: those jobs of llama's own protocol (wire/job.proto) whose results were recorded before
 * (exec/recording.h) are answered from the recordings, after the time that a function would have taken. So a
 * thousand functions can be had on a small machine, to see what everything around them costs.
 *
 * The time: what the recorded command took, the worker's overhead, and a GET for each pack that the environment
 * hasn't fetched yet; by settings (cloud.h). Of what is fetched only the time is modelled. What a worker would put
 * into the bucket is put there. */
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
 * RECORDED_NOT: that job wasn't recorded, or it is none: to be run. */
int recorded_answer(struct recorded *recorded, struct recorded_worker *worker, struct slice payload, struct buf *ret,
	int64_t *ret_us);
