#include "exec/executor.h"

void exec_result_deinit(struct exec_result *result)
{
	if (!result)
		return;
	buf_deinit(&result->out);
	buf_deinit(&result->err);
	arena_deinit(&result->arena);
	*result = (struct exec_result){ 0 };
}

struct exec_op *exec_start(struct executor *executor, const struct exec_job *job, exec_done_fn *fn, void *ctx)
{
	return executor->ops->start(executor, job, fn, ctx);
}

void exec_cancel(struct exec_op *op)
{
	op->executor->ops->cancel(op);
}

unsigned exec_width(const struct executor *executor)
{
	return executor->ops->width(executor);
}

void executor_free(struct executor *executor)
{
	if (executor)
		executor->ops->free(executor);
}
