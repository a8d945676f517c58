#include "event/work.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct work {
	uv_work_t request;
	work_fn *run, *done;
	void *ctx;
};

void work_set_threads(unsigned n)
{
	char text[16];
	snprintf(text, sizeof(text), "%u", n);
	setenv("UV_THREADPOOL_SIZE", text, 1);
}

static void on_thread(uv_work_t *request)
{
	struct work *work = (struct work *)request;
	work->run(work->ctx);
}

static void on_loop(uv_work_t *request, int status)
{
	struct work *work = (struct work *)request;
	assert(status == 0); /* never cancelled */
	work_fn *done = work->done;
	void *ctx = work->ctx;
	free(work);
	done(ctx);
}

void work_start(uv_loop_t *loop, work_fn *run, work_fn *done, void *ctx)
{
	struct work *work = malloc(sizeof(*work));
	if (!work)
		abort();
	*work = (struct work){ .run = run, .done = done, .ctx = ctx };
	int status = uv_queue_work(loop, &work->request, on_thread, on_loop);
	assert(status == 0);
}
