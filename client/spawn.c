#include "client/spawn.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"

enum {
	START_MS = 2000,
	FIRST_PAUSE_MS = 2,
	LAST_PAUSE_MS = 50,
	CONNECT_MS = 1000,
	FAILURE_KEPT_S = 60,
};

static int find_llama(char ret[PATH_MAX], struct error *err)
{
	static const char name[] = "llama";
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - sizeof(name));
	if (n < 0)
		return error_set(err, errno, "cannot tell where llamacc lies");
	ret[n] = '\0';
	strcpy((char *)path_basename(ret), name);
	if (access(ret, X_OK) < 0)
		return error_set(err, errno, "cannot run %s", ret);
	return 0;
}

/* A grandchild, so that the compiler which this process may become has no child that it doesn't know. It must hold
 * nothing of the build: not its pipes, whose readers wait for the end, nor make's job server. */
static int start(const char *llama, struct error *err)
{
	pid_t child = fork();
	if (child < 0)
		return error_set(err, errno, "cannot start %s", llama);
	if (child == 0) {
		if (fork() != 0)
			_exit(0);
		setsid();
		int null = open("/dev/null", O_RDWR);
		if (null < 0 || chdir("/") < 0)
			_exit(1);
		for (int fd = 0; fd <= 2; fd++)
			if (fd != null && dup2(null, fd) < 0)
				_exit(1);
		close_range(3, ~0U, 0);
		execl(llama, "llama", "daemon", (char *)NULL);
		_exit(127);
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int wait_for_daemon(const struct endpoint *endpoint, struct error *err)
{
	int64_t deadline = clock_monotonic_ms() + START_MS;
	for (int pause_ms = FIRST_PAUSE_MS;; pause_ms = pause_ms * 2 < LAST_PAUSE_MS ? pause_ms * 2 : LAST_PAUSE_MS) {
		int fd = endpoint_connect(endpoint, CONNECT_MS, err);
		if (fd >= 0 || (err->code != ENOENT && err->code != ECONNREFUSED) || clock_monotonic_ms() >= deadline)
			return fd;
		nanosleep(&(struct timespec){ 0, pause_ms * 1000000 }, NULL);
	}
}

/* Whether a start failed lately; `now_s` is real time, as the file's. */
static bool failed_lately(const struct stat *st, int64_t now_s)
{
	return st->st_size > 0 && now_s >= st->st_mtime && now_s - st->st_mtime < FAILURE_KEPT_S;
}

int spawn_daemon(const struct endpoint *endpoint, struct error *err)
{
	char llama[PATH_MAX];
	if (find_llama(llama, err) < 0 || endpoint_make_directory(endpoint, err) < 0)
		return -1;
	_cleanup_close_ int turn = endpoint_above_stdio(open(endpoint->start, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	struct stat st;
	if (turn < 0 || fstat(turn, &st) < 0)
		return error_set(err, errno, "cannot open %s", endpoint->start);
	if (failed_lately(&st, clock_realtime_ns() / 1000000000))
		return error_set(
			err, 0, "no daemon came up less than a minute ago; `llama daemon --foreground` says why");
	if (flock(turn, LOCK_EX | LOCK_NB) < 0)
		return wait_for_daemon(endpoint, err);
	/* One that had the turn before us may just have succeeded. */
	int fd = endpoint_connect(endpoint, CONNECT_MS, err);
	if (fd < 0 && start(llama, err) == 0) {
		fd = wait_for_daemon(endpoint, err);
		if (fd < 0)
			error_set(err, 0, "no daemon came up; `llama daemon --foreground` says why");
	}
	if (fd < 0 && pwrite(turn, "failed\n", 7, 0) < 0)
		return error_wrap(err, "cannot write %s", endpoint->start);
	if (fd >= 0 && st.st_size > 0 && ftruncate(turn, 0) < 0)
		error_set(err, errno, "cannot write %s", endpoint->start); /* costs a later client its start, no more */
	return fd;
}
