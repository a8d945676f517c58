/* A fake executor: what comes of a job is written in a script, a function of the test. For tests of what stands above executors.
 *
 * It keeps the contract of exec/executor.h: answers come from the loop, never from inside exec_start; no more jobs run at once than the
 * width; a cancelled job ends with EXEC_CANCELLED. Nothing is executed. */
#pragma once

#include "exec/executor.h"
#include "store/store.h"

/* Positive outcomes of a script beside those of enum exec_outcome. FAKE_HOLD: the job runs until fake_release or its cancellation. */
enum fake_outcome { FAKE_HOLD = 100 };

/* What comes of `job`, called once when its turn has come (and again after fake_release): fill `ret`, whose outputs are all absent so
 * far and whose arena is there for the rest, and return 0; or EXEC_MISSING, FAKE_HOLD, or -1 with `err`. */
typedef int fake_script_fn(void *ctx, const struct exec_job *job, struct exec_result *ret, struct error *err);

/* `content` keeps the outputs and messages of jobs with keep_outputs; NULL: nothing is kept. */
struct executor *fake_new(uv_loop_t *loop, unsigned width, struct store *content, fake_script_fn *script, void *ctx);

/* For scripts: the command makes output `i` under its temporary name; the job's umask applies to `mode`. 0 or -1. */
int fake_make_output(const struct exec_job *job, size_t i, struct slice content, mode_t mode,
	struct exec_result *result, struct error *err);

/* For scripts: the command looked `path` up, and nothing has digested it yet. `path` must live as long as the result. */
void fake_look_up(struct exec_result *result, const char *path, enum lookup_kind kind);

/* Ask the script again about every job that it holds. */
void fake_release(struct executor *fake);

unsigned fake_running(const struct executor *fake); /* held ones included */
unsigned fake_started(const struct executor *fake); /* all jobs whose turn ever came */
