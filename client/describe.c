#include "client/describe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* One call tells closed, terminal and size. */
static bool window_of(int fd, uint32_t closed, uint32_t tty, uint32_t *bits, struct winsize *window)
{
	*window = (struct winsize){ 0 };
	if (ioctl(fd, TIOCGWINSZ, window) == 0)
		*bits |= tty;
	else if (errno == EBADF)
		*bits |= closed;
	return *bits & tty;
}

static struct frame_strings environment_that_matters(struct arena *arena)
{
	size_t n = 0;
	while (environ[n])
		n++;
	struct frame_strings env = { arena_array(arena, const char *, n + 1), 0 };
	for (size_t i = 0; i < n; i++)
		if (frame_env_matters(environ[i]))
			env.v[env.n++] = environ[i];
	return env;
}

struct frame_request describe_request(const struct resolved *resolved, const char *cwd, const struct endpoint *endpoint,
	bool nested, struct arena *arena)
{
	struct frame_request request = {
		.compiler = resolved->compiler,
		.cwd = cwd,
		.argv = { resolved->argv, resolved->argc },
		.env = environment_that_matters(arena),
		.stdio = nested ? FRAME_NESTED : 0,
		.root_dev = endpoint->root_dev,
		.root_ino = endpoint->root_ino,
		.mount_ns = endpoint->mount_ns,
	};
	/* There is no way to read it alone; we are the only thread. */
	request.umask = umask(0);
	umask(request.umask);

	struct winsize window;
	if (fcntl(0, F_GETFD) < 0)
		request.stdio |= FRAME_STDIN_CLOSED;
	window_of(1, FRAME_STDOUT_CLOSED, FRAME_STDOUT_TTY, &request.stdio, &window);
	if (window_of(2, FRAME_STDERR_CLOSED, FRAME_STDERR_TTY, &request.stdio, &window)) {
		request.columns = window.ws_col;
		request.rows = window.ws_row;
	}
	return request;
}
