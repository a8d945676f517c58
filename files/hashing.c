#include "files/hashing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "event/work.h"
#include "files/reading.h"

struct hashing {
	uv_loop_t *loop;
	struct view *view;
	struct map by_path;  /* path → struct task */
	struct list tasks;   /* by number */
	struct list waiters; /* by `until` */
	uint64_t n_tasks;    /* ever made: the number of the last */
	bool wanting;	     /* since hashing_begin() */
};

/* A reading under way. The thread has it but for the first four members. */
struct task {
	struct hashing *hashing;
	struct list link;
	uint64_t number;
	uint64_t arrived; /* the requests that it serves: the file was opened after that */
	int64_t (*now_ns)(void);
	struct reading reading;
	int outcome;
	char path[];
};

static void run(void *ctx)
{
	struct task *task = ctx;
	task->outcome = reading_make(task->path, task->now_ns, NULL, &task->reading, NULL);
}

/* The first waiter for whom nothing is under way any more; or NULL. */
static struct hashing_waiter *next_served(struct hashing *hashing)
{
	struct hashing_waiter *waiter = list_first(&hashing->waiters, struct hashing_waiter, link);
	const struct task *task = list_first(&hashing->tasks, struct task, link);
	return waiter && (!task || waiter->until < task->number) ? waiter : NULL;
}

static void done(void *ctx)
{
	struct task *task = ctx;
	struct hashing *hashing = task->hashing;
	view_take(hashing->view, task->arrived, task->path, task->outcome == 0 ? &task->reading : NULL);
	list_remove(&task->link);
	map_remove(&hashing->by_path, slice_str(task->path));
	free(task);
	for (struct hashing_waiter *waiter; (waiter = next_served(hashing));) {
		list_remove(&waiter->link);
		waiter->fn(waiter);
	}
}

static void read_later(void *ctx, const char *path, uint64_t arrived, int64_t (*now_ns)(void))
{
	struct hashing *hashing = ctx;
	hashing->wanting = true;
	if (map_get(&hashing->by_path, slice_str(path)))
		return;
	size_t length = strlen(path);
	struct task *task = calloc(1, sizeof(*task) + length + 1);
	if (!task)
		abort();
	task->hashing = hashing;
	task->number = ++hashing->n_tasks;
	task->arrived = arrived;
	task->now_ns = now_ns;
	memcpy(task->path, path, length);
	list_append(&hashing->tasks, &task->link);
	map_put(&hashing->by_path, slice_of(task->path, length), task);
	work_start(hashing->loop, run, done, task);
}

struct hashing *hashing_new(uv_loop_t *loop, struct view *view)
{
	struct hashing *hashing = calloc(1, sizeof(*hashing));
	if (!hashing)
		abort();
	hashing->loop = loop;
	hashing->view = view;
	list_init(&hashing->tasks);
	list_init(&hashing->waiters);
	return hashing;
}

void hashing_free(struct hashing *hashing)
{
	if (!hashing)
		return;
	assert(list_empty(&hashing->tasks) && list_empty(&hashing->waiters));
	map_deinit(&hashing->by_path);
	free(hashing);
}

void hashing_begin(struct hashing *hashing)
{
	hashing->wanting = false;
	view_set_reader(hashing->view, &(struct view_reader){ read_later, hashing });
}

bool hashing_wait(struct hashing *hashing, struct hashing_waiter *waiter)
{
	view_set_reader(hashing->view, &(struct view_reader){ 0 });
	if (!hashing->wanting)
		return false;
	waiter->until = hashing->n_tasks;
	list_append(&hashing->waiters, &waiter->link);
	return true;
}

void hashing_leave(struct hashing_waiter *waiter)
{
	list_remove(&waiter->link);
}

void hashing_begin_with(struct hashing *hashing, uint64_t since, const struct lookups *lookups)
{
	hashing_begin(hashing);
	for (size_t i = 0; i < lookups->n; i++) {
		struct digest digest;
		if (lookups->v[i].kind == LOOKUP_FILE)
			view_digest(hashing->view, since, lookups->v[i].path, &digest, NULL, NULL);
	}
}
