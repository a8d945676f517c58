/* Lanes: the embedded executors' places to run. A lane has a runner process and, in the sandbox, a private root that is kept
 * equal to a snapshot. One job at a time per lane; a lane whose runner broke is made anew for the next job.
 *
 * The executor made of lanes is the same for both modes; what differs is the runner's mode and what surrounds the run:
 *   in place   run at home, outputs redirected to their temporaries by the interposer
 *   sandbox    sync the root to the job's snapshot, run in it, move the outputs out, put the root back as the snapshot says */
#pragma once

#include "exec/executor.h"
#include "store/store.h"
#include "worker/runner.h"

struct lane_options {
	enum runner_mode mode;
	unsigned width;
	const char *directory;        /* private, on a local file system: <directory>/<lane number>/… is made below it */
	const char *runner, *interposer;
	unsigned nofile;              /* soft limit of open files for the commands; 0 = our own */
	struct store *content;        /* outputs to keep go here: a store_disk; NULL: nothing is kept */
	struct store *directories;    /* sandbox: Directory messages of the snapshots */
	struct store *files;          /* sandbox: content of the input files */
};

/* Starts the first lane at once, to prove that the mode works here: NULL with `err` when it does not. */
struct executor *lanes_new(uv_loop_t *loop, const struct lane_options *options, struct error *err);
