#include "exec/record.h"

#include <assert.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/list.h"
#include "event/work.h"
#include "exec/recording.h"

struct record {
	struct executor executor;
	uv_loop_t *loop;
	struct executor *inner;
	char *directory; /* owned */
	unsigned under_way;
};

struct record_op {
	struct exec_op op;
	struct record *record;
	struct exec_op *inner; /* NULL once that has ended: what is left can't be cut short */
	const struct exec_job *job;
	exec_done_fn *fn;
	void *ctx;
	int outcome;
	struct exec_result result;
	struct error err;
};

static void op_end(void *ctx)
{
	struct record_op *op = ctx;
	op->record->under_way--;
	if (op->outcome < 0)
		exec_result_deinit(&op->result);
	op->fn(op->ctx, op->outcome, &op->result, &op->err);
	free(op);
}

/* On a thread. */
static void op_save(void *ctx)
{
	struct record_op *op = ctx;
	op->outcome = recording_save(op->record->directory, op->job, &op->result, &op->err);
}

static void inner_done(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct record_op *op = ctx;
	op->inner = NULL;
	op->outcome = outcome;
	op->result = *result;
	op->err = *err;
	if (outcome == 0 && result->signal == 0 && !result->timed_out && result->log.complete && result->n_strays == 0)
		work_start(op->record->loop, op_save, op_end, op);
	else
		op_end(op);
}

static struct exec_op *record_start(struct executor *executor, const struct exec_job *job, exec_done_fn *fn, void *ctx)
{
	struct record *record = container_of(executor, struct record, executor);
	struct record_op *op = calloc(1, sizeof(*op));
	if (!op)
		abort();
	*op = (struct record_op){ .op.executor = executor, .record = record, .job = job, .fn = fn, .ctx = ctx };
	record->under_way++;
	op->inner = exec_start(record->inner, job, inner_done, op);
	return &op->op;
}

static void record_cancel(struct exec_op *exec_op)
{
	struct record_op *op = container_of(exec_op, struct record_op, op);
	if (op->inner)
		exec_cancel(op->inner);
}

static unsigned record_width(const struct executor *executor)
{
	return exec_width(container_of(executor, struct record, executor)->inner);
}

static void record_free(struct executor *executor)
{
	struct record *record = container_of(executor, struct record, executor);
	assert(record->under_way == 0);
	free(record->directory);
	free(record);
}

struct executor *record_new(uv_loop_t *loop, struct executor *inner, const char *directory, struct error *err)
{
	static const struct executor_ops ops = { "record", record_start, record_cancel, record_width, record_free };
	if (file_make_dirs(directory, 0700, err) < 0)
		return NULL;
	struct record *record = calloc(1, sizeof(*record));
	if (!record || !(record->directory = strdup(directory)))
		abort();
	record->executor.ops = &ops;
	record->loop = loop;
	record->inner = inner;
	return &record->executor;
}
