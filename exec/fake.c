#include "exec/fake.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/list.h"
#include "event/work.h"

struct fake {
	struct executor executor;
	uv_loop_t *loop;
	unsigned width, running, started;
	struct store *content; /* borrowed; may be NULL */
	fake_script_fn *script;
	void *script_ctx;
	struct list waiting, held; /* fake_op.link */
};

struct fake_op {
	struct exec_op op;
	struct fake *fake;
	const struct exec_job *job;
	exec_done_fn *fn;
	void *ctx;
	struct list link; /* in no list: a turn of the loop is under way */
	bool running, cancelled;
	struct exec_result result;
};

static void op_turn(void *ctx);

static void nothing(void *ctx)
{
}

/* The next thing that happens to this job happens on the loop. */
static void op_wake(struct fake_op *op)
{
	list_remove(&op->link);
	work_start(op->fake->loop, nothing, op_turn, op);
}

static void op_begin(struct fake_op *op)
{
	op->running = true;
	op->fake->running++;
	op->fake->started++;
	op_wake(op);
}

static void op_end(struct fake_op *op, int outcome, const struct error *err)
{
	struct fake *fake = op->fake;
	struct fake_op *next = list_first(&fake->waiting, struct fake_op, link);
	if (op->running) {
		fake->running--;
		if (next)
			op_begin(next);
	}
	struct exec_result result = { 0 };
	if (outcome == 0 || outcome == EXEC_MISSING)
		result = op->result;
	else
		exec_result_deinit(&op->result);
	op->fn(op->ctx, outcome, &result, err);
	free(op);
}

static int keep_stream(struct store *content, struct slice bytes, struct digest *ret, struct error *err)
{
	if (bytes.len == 0)
		return 0;
	*ret = digest_of(bytes);
	return store_put(content, ret, bytes, err);
}

static int keep(const struct fake_op *op, struct exec_result *result, struct error *err)
{
	struct store *content = op->fake->content;
	for (size_t i = 0; i < op->job->n_outputs; i++) {
		struct exec_output_result *output = &result->outputs[i];
		if (!output->present)
			continue;
		_cleanup_close_ int fd = open(op->job->outputs[i].temporary, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, errno, "cannot open %s", op->job->outputs[i].temporary);
		if (store_put_fd(content, fd, &output->digest, err) < 0)
			return error_wrap(err, "%s", op->job->outputs[i].temporary);
		output->kept = true;
	}
	if (keep_stream(content, buf_slice(&result->out), &result->out_digest, err) < 0)
		return -1;
	return keep_stream(content, buf_slice(&result->err), &result->err_digest, err);
}

static void op_turn(void *ctx)
{
	struct fake_op *op = ctx;
	struct error err = { 0 };
	if (op->cancelled) {
		op_end(op, EXEC_CANCELLED, &err);
		return;
	}
	op->result.outputs = arena_array(&op->result.arena, struct exec_output_result, op->job->n_outputs + 1);
	op->result.log.complete = true;
	int outcome = op->fake->script(op->fake->script_ctx, op->job, &op->result, &err);
	if (outcome == FAKE_HOLD) {
		exec_result_deinit(&op->result);
		list_append(&op->fake->held, &op->link);
		return;
	}
	lookups_sort(&op->result.log.lookups);
	if (outcome == 0 && op->job->keep_outputs && op->fake->content)
		outcome = keep(op, &op->result, &err);
	op_end(op, outcome, &err);
}

static struct exec_op *fake_start(struct executor *executor, const struct exec_job *job, exec_done_fn *fn, void *ctx)
{
	struct fake *fake = container_of(executor, struct fake, executor);
	struct fake_op *op = calloc(1, sizeof(*op));
	if (!op)
		abort();
	*op = (struct fake_op){ .op.executor = executor, .fake = fake, .job = job, .fn = fn, .ctx = ctx };
	list_init(&op->link);
	if (fake->running < fake->width)
		op_begin(op);
	else
		list_append(&fake->waiting, &op->link);
	return &op->op;
}

static void fake_cancel(struct exec_op *exec_op)
{
	struct fake_op *op = container_of(exec_op, struct fake_op, op);
	op->cancelled = true;
	if (!list_empty(&op->link))
		op_wake(op);
}

static unsigned fake_width(const struct executor *executor)
{
	return container_of(executor, struct fake, executor)->width;
}

static void fake_free(struct executor *executor)
{
	struct fake *fake = container_of(executor, struct fake, executor);
	assert(fake->running == 0 && list_empty(&fake->waiting));
	free(fake);
}

struct executor *fake_new(uv_loop_t *loop, unsigned width, struct store *content, fake_script_fn *script, void *ctx)
{
	static const struct executor_ops ops = { "fake", fake_start, fake_cancel, fake_width, fake_free };
	struct fake *fake = calloc(1, sizeof(*fake));
	if (!fake)
		abort();
	fake->executor.ops = &ops;
	fake->loop = loop;
	fake->width = width;
	fake->content = content;
	fake->script = script;
	fake->script_ctx = ctx;
	list_init(&fake->waiting);
	list_init(&fake->held);
	return &fake->executor;
}

int fake_make_output(const struct exec_job *job, size_t i, struct slice content, mode_t mode,
	struct exec_result *result, struct error *err)
{
	assert(i < job->n_outputs);
	const char *path = job->outputs[i].temporary;
	_cleanup_close_ int fd = file_create(path, mode, job->umask, err);
	if (fd < 0)
		return -1;
	if (file_write_fd(fd, content, err) < 0)
		return error_wrap(err, "%s", path);
	result->outputs[i].present = true;
	result->outputs[i].executable = mode & ~job->umask & 0111;
	return 0;
}

void fake_look_up(struct exec_result *result, const char *path, enum lookup_kind kind)
{
	struct lookups *lookups = &result->log.lookups;
	struct lookup *v = arena_array(&result->arena, struct lookup, lookups->n + 1);
	if (lookups->n)
		memcpy(v, lookups->v, lookups->n * sizeof(*v));
	v[lookups->n] = (struct lookup){ .path = path, .kind = kind };
	*lookups = (struct lookups){ v, lookups->n + 1 };
}

void fake_release(struct executor *executor)
{
	struct fake *fake = container_of(executor, struct fake, executor);
	struct fake_op *op;
	list_for_each (op, &fake->held, struct fake_op, link)
		op_wake(op);
}

unsigned fake_running(const struct executor *executor)
{
	return container_of(executor, struct fake, executor)->running;
}

unsigned fake_started(const struct executor *executor)
{
	return container_of(executor, struct fake, executor)->started;
}
