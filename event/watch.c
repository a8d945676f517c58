#include "event/watch.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct watch {
	uv_poll_t poll;
	int fd;
	watch_fn *fn;
	void *ctx;
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = (struct watch *)poll;
	uv_poll_stop(poll);
	watch->fn(watch->ctx);
}

static void on_closed(uv_handle_t *handle)
{
	struct watch *watch = (struct watch *)handle;
	close(watch->fd);
	free(watch);
}

struct watch *watch_process(uv_loop_t *loop, pid_t pid, int pidfd, watch_fn *fn, void *ctx, struct error *err)
{
	if (pidfd < 0)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		error_set(err, errno, "cannot watch process %d", (int)pid);
		return NULL;
	}
	struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		abort();
	watch->fd = pidfd;
	watch->fn = fn;
	watch->ctx = ctx;
	int status = uv_poll_init(loop, &watch->poll, pidfd);
	if (status < 0) {
		error_set(err, -status, "cannot watch process %d", (int)pid);
		close(pidfd);
		free(watch);
		return NULL;
	}
	status = uv_poll_start(&watch->poll, UV_READABLE, on_ready);
	assert(status == 0);
	return watch;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, on_closed);
}
