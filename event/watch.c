#include "event/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

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

static int64_t own_time(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	_cleanup_buf_ struct buf stat = { 0 };
	if (file_read(path, 4096, &stat, NULL) < 0)
		return -1;
	const char *rest = strrchr(buf_str(&stat), ')'); /* a name may hold anything */
	long long user, system, user_reaped, system_reaped;
	if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld", &user, &system, &user_reaped,
			     &system_reaped) != 4)
		return -1;
	return user + system + user_reaped + system_reaped;
}

int64_t watch_processor_time(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	_cleanup_buf_ struct buf children = { 0 };
	int64_t total = own_time(pid);
	if (total < 0 || file_read(path, 1 << 20, &children, NULL) < 0)
		return -1;
	const char *at = buf_str(&children);
	for (char *end; total >= 0; at = end) {
		long child = strtol(at, &end, 10);
		if (end == at)
			break;
		int64_t time = watch_processor_time((pid_t)child);
		total = time < 0 ? -1 : total + time;
	}
	return total;
}
