/* Executors: where a command runs. One interface; in place, sandbox and fake here, later Lambda and REAPI; decorators stack.
 *
 * They know commands, input roots and outputs, not compilers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "store/digest.h"
#include "worker/lookup_log.h"

struct exec_output {
	const char *path;      /* absolute, squeezed, as the command names it */
	const char *temporary; /* absolute; where the content is wanted at home. Nothing stands there before; made only if the command made the output */
};

/* A file that only this job sees: on an engine that is far away a source travels with its job, and the input root stays as it is. */
struct exec_overlay {
	const char *path; /* absolute, physical: no symlink on the way. Its directory is in the input root */
	struct digest digest;
	int64_t mtime_ns;
	bool executable;
};

/* A job; everything is borrowed and must stay until the job's callback has run or its op was cancelled and the cancellation's
 * callback has run (see exec_cancel). */
struct exec_job {
	const char *const *argv; /* argv[0] is the absolute path that is executed; NULL-terminated */
	const char *const *env;  /* complete */
	const char *cwd;         /* absolute */
	mode_t umask;
	bool tty;                /* stderr is a terminal of this size */
	unsigned columns, rows;
	struct digest root;      /* input root: a Directory; executors that run at home don't look at it */
	const struct exec_overlay *overlays; /* only for executors that take them; they stand over what the root has there */
	size_t n_overlays;
	const struct exec_output *outputs;
	size_t n_outputs;
	bool keep_outputs;       /* put the outputs, stdout and stderr into the content store as well */
	bool share;              /* an engine far away may put them into the bucket, as one pack, for other machines: exec_result.shared */
	int64_t timeout_ms;      /* 0 = none */
};

struct exec_output_result {
	bool present;
	bool executable;
	struct digest digest; /* of the content; only with keep_outputs */
	bool kept;            /* it is in the content store */
};

struct exec_result {
	struct arena arena; /* holds what is below */
	int exit_code, signal;
	bool timed_out;
	struct buf out, err;
	struct exec_output_result *outputs; /* as many as the job has */
	struct digest out_digest, err_digest; /* with keep_outputs, of what is not empty */
	const char **strays; /* files the command left that are no outputs of the job: absolute paths */
	size_t n_strays;
	struct lookup_log log;
	struct digest missing;  /* with EXEC_MISSING */
	struct digest shared;   /* the pack in the bucket that has all outputs and messages; size 0: none */
	int64_t user_us, system_us, wall_us, max_rss_kb;
	int64_t synced_bytes;
};

void exec_result_deinit(struct exec_result *result);

/* Positive outcomes given to the callback. EXEC_MISSING: a blob of the input root was not to be had (it changed at home): bring the snapshot up to date
 * and try again. EXEC_CANCELLED: after exec_cancel. EXEC_LEAKED: an output or a message names the worker's own root; nothing was delivered. */
enum exec_outcome { EXEC_MISSING = 1, EXEC_CANCELLED, EXEC_LEAKED };

/* Runs exactly once, from the loop, never from inside exec_start. `outcome` 0, positive, or -1 with `err`: the executor could not run the job (the
 * command's own failure is outcome 0 with an exit code or a signal). `result` is the callee's to deinit, valid with outcome 0 and EXEC_MISSING, else zeroed. */
typedef void exec_done_fn(void *ctx, int outcome, struct exec_result *result, const struct error *err);

struct executor;

/* One job under way; executors embed it at the start of their own. */
struct exec_op {
	struct executor *executor;
};

struct executor_ops {
	const char *name; /* "sandbox", "inplace", …: the key under `executed` */
	struct exec_op *(*start)(struct executor *executor, const struct exec_job *job, exec_done_fn *fn, void *ctx);
	void (*cancel)(struct exec_op *op);
	unsigned (*width)(const struct executor *executor);
	void (*free)(struct executor *executor);
	bool overlays; /* a job's source needn't be in its input root */
};

struct executor {
	const struct executor_ops *ops;
};

/* Begin a job. Jobs beyond the width wait their turn. */
struct exec_op *exec_start(struct executor *executor, const struct exec_job *job, exec_done_fn *fn, void *ctx);

/* Cut the job short: its callback still runs, once, soon, with EXEC_CANCELLED (or with its real end if that came first). */
void exec_cancel(struct exec_op *op);

/* How many jobs run at once. */
unsigned exec_width(const struct executor *executor);

/* No job may be under way. NULL is allowed. */
void executor_free(struct executor *executor);
