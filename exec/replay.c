#include "exec/replay.h"

#include <assert.h>
#include <stdlib.h>

#include "base/list.h"
#include "event/work.h"
#include "exec/recording.h"

/* Answers that came at once are read one after the other, as from a net: each is large while nobody has looked at it yet. */
enum { ANSWERS_AT_ONCE = 16 };

struct replay {
	struct executor executor;
	uv_loop_t *loop;
	struct replay_options options; /* `directory` is not used any more */
	struct recordings *recordings;
	unsigned running, under_way;
	struct list waiting; /* replay_op.link */
	unsigned answering;   /* with a thread, or with a result that is not delivered yet */
	struct list answers;  /* replay_op.link: their time has come, ANSWERED */
};

enum replay_state {
	REPLAY_WAITING,  /* for its turn: in replay.waiting */
	REPLAY_RUNNING,  /* the timer runs */
	REPLAY_ANSWERED, /* a thread writes the answer, or wrote it: too late to cancel */
};

struct replay_op {
	struct exec_op op;
	struct replay *replay;
	const struct exec_job *job;
	exec_done_fn *fn;
	void *ctx;
	enum replay_state state;
	bool cancelled;
	struct list link;
	uv_timer_t timer;
	const struct recording *recording; /* NULL: `err` says why there is no answer */
	bool exact;
	/* Filled by the thread. */
	int outcome;
	struct exec_result result;
	struct error err;
};

static void op_freed(uv_handle_t *timer)
{
	free(container_of((uv_timer_t *)timer, struct replay_op, timer));
}

static void op_begin(struct replay_op *op);

static void op_end(void *ctx)
{
	struct replay_op *op = ctx;
	struct replay *replay = op->replay;
	replay->under_way--;
	replay->running--;
	struct replay_op *next = list_first(&replay->waiting, struct replay_op, link);
	if (next && replay->running < replay->options.width) {
		list_remove(&next->link);
		op_begin(next);
	}
	if (op->outcome != 0)
		exec_result_deinit(&op->result);
	op->fn(op->ctx, op->outcome, &op->result, &op->err);
	uv_close((uv_handle_t *)&op->timer, op_freed);
}

/* On a thread. */
static void op_load(void *ctx)
{
	struct replay_op *op = ctx;
	const struct replay *replay = op->replay;
	op->outcome = recording_load(replay->recordings, op->recording, op->exact, op->job, replay->options.content, &op->result, &op->err);
}

static void answered(void *ctx)
{
	struct replay_op *op = ctx;
	struct replay *replay = op->replay;
	op_end(op);
	struct replay_op *next = list_first(&replay->answers, struct replay_op, link);
	if (next) {
		list_remove(&next->link);
		work_start(replay->loop, op_load, answered, next);
	} else {
		replay->answering--;
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct replay_op *op = container_of(timer, struct replay_op, timer);
	if (op->cancelled || !op->recording) {
		op->outcome = op->cancelled ? EXEC_CANCELLED : -1;
		op_end(op);
		return;
	}
	struct replay *replay = op->replay;
	op->state = REPLAY_ANSWERED;
	if (replay->answering == ANSWERS_AT_ONCE) {
		list_append(&replay->answers, &op->link);
		return;
	}
	replay->answering++;
	work_start(replay->loop, op_load, answered, op);
}

static void op_begin(struct replay_op *op)
{
	struct replay *replay = op->replay;
	op->state = REPLAY_RUNNING;
	replay->running++;
	struct store *directories = replay->options.directories;
	if (directories && store_contains(directories, &op->job->root) != 0)
		error_set(&op->err, 0, "the input root is not in the store");
	else if (!(op->recording = recordings_choose(replay->recordings, op->job, &op->exact)))
		error_set(&op->err, 0, "no recording has %zu outputs", op->job->n_outputs);
	uv_timer_start(&op->timer, on_timer, op->cancelled ? 0 : replay->options.latency_ms, 0);
}

static struct exec_op *replay_start(struct executor *executor, const struct exec_job *job, exec_done_fn *fn, void *ctx)
{
	struct replay *replay = container_of(executor, struct replay, executor);
	struct replay_op *op = calloc(1, sizeof(*op));
	if (!op)
		abort();
	*op = (struct replay_op){ .op.executor = executor, .replay = replay, .job = job, .fn = fn, .ctx = ctx };
	list_init(&op->link);
	uv_timer_init(replay->loop, &op->timer);
	replay->under_way++;
	if (replay->running < replay->options.width)
		op_begin(op);
	else
		list_append(&replay->waiting, &op->link);
	return &op->op;
}

static void replay_cancel(struct exec_op *exec_op)
{
	struct replay_op *op = container_of(exec_op, struct replay_op, op);
	op->cancelled = true;
	switch (op->state) {
	case REPLAY_WAITING:
		list_remove(&op->link);
		op_begin(op); /* beyond the width, for one turn of the loop */
		break;
	case REPLAY_RUNNING:
		uv_timer_start(&op->timer, on_timer, 0, 0);
		break;
	case REPLAY_ANSWERED:
		break;
	}
}

static unsigned replay_width(const struct executor *executor)
{
	return container_of(executor, struct replay, executor)->options.width;
}

static void replay_free(struct executor *executor)
{
	struct replay *replay = container_of(executor, struct replay, executor);
	assert(replay->under_way == 0);
	recordings_close(replay->recordings);
	free(replay);
}

struct executor *replay_new(uv_loop_t *loop, const struct replay_options *options, struct error *err)
{
	static const struct executor_ops ops = { "replay", replay_start, replay_cancel, replay_width, replay_free };
	assert(options->width > 0);
	struct recordings *recordings = recordings_open(options->directory, err);
	if (!recordings)
		return NULL;
	struct replay *replay = calloc(1, sizeof(*replay));
	if (!replay)
		abort();
	replay->executor.ops = &ops;
	replay->loop = loop;
	replay->options = *options;
	replay->recordings = recordings;
	list_init(&replay->waiting);
	list_init(&replay->answers);
	return &replay->executor;
}
