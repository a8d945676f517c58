/* llamacc: stands where a compiler stands. It asks the daemon for the result of one command and delivers it, or becomes
 * the real compiler: whatever goes wrong on the way, the command is run. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "client/commit.h"
#include "client/describe.h"
#include "client/exchange.h"
#include "client/local.h"
#include "client/probe.h"
#include "client/resolve.h"
#include "client/spawn.h"
#include "client/warnings.h"

enum {
	CWD_BYTES = 4096,
	CONNECT_MS = 10 * 1000, /* for room in the backlog of a daemon that isn't accepting */
};

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);
	return value && *value && strcmp(value, "0") != 0;
}

/* One line for LLAMACC_VERBOSE: what was decided. Nothing else is ever written to a build's stderr. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	if (!is_set("LLAMACC_VERBOSE"))
		return;
	va_list args;
	va_start(args, format);
	vdprintf(2, format, args);
	va_end(args);
}

/* A compiler's output reaches its reader whole, also where the reader's end is non-blocking; a reader that left, or a
 * closed descriptor, changes no exit code. */
static void write_output(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n >= 0)
			bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
		else if (errno == EAGAIN)
			poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
		else if (errno != EINTR)
			return;
	}
}

/* Each compiler has a way of its own to fail when it can't write its messages: a pipe whose reader has left, a device like
 * /dev/full. Asked before anything is committed. */
static bool can_deliver(int fd, struct slice bytes)
{
	struct pollfd poll_fd = { fd, POLLOUT, 0 };
	struct stat st;
	if (bytes.len == 0)
		return true;
	if (poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLERR))
		return false;
	return fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || isatty(fd) || st.st_rdev == makedev(1, 3) /* null */;
}

static void identify_self(struct resolve_context *context)
{
	context->self_path = "/proc/self/exe";
	if (stat(context->self_path, &context->self) == 0)
		return;
	/* Without /proc, the name that we were executed by. */
	context->self_path = (const char *)getauxval(AT_EXECFN);
	if (!context->self_path || stat(context->self_path, &context->self) < 0)
		context->self = (struct stat){ .st_size = -1 };
}

static int64_t stale_ms(void)
{
	const char *value = getenv("LLAMACC_DEV_STALE_MS");
	long long ms = value ? atoll(value) : 0;
	return ms > 0 ? ms : HEARTBEAT_STALE_MS;
}

static int connect_daemon(
	const struct endpoint *endpoint, const struct resolved *resolved, const char *cwd, struct error *err)
{
	int fd = endpoint_connect(endpoint, CONNECT_MS, err);
	if (fd >= 0 || (err->code != ENOENT && err->code != ECONNREFUSED))
		return fd;
	if (is_set("LLAMACC_LOCAL") || probe_is_likely(cwd, resolved->argv))
		return -1;
	return spawn_daemon(endpoint, err);
}

/* Deliver the command's result and exit with its status; return, with the reason, when it must be run here. */
static void compile_by_daemon(
	const struct resolved *resolved, const char *cwd, bool nested, struct arena *arena, struct error *why)
{
	struct endpoint endpoint;
	if (endpoint_init(&endpoint, getenv("LLAMA_RUNTIME_DIR"), getenv("LLAMA_PROFILE"), why) < 0)
		return;
	_cleanup_close_ int fd = connect_daemon(&endpoint, resolved, cwd, why);
	if (fd < 0)
		return;
	struct frame_request request = describe_request(resolved, cwd, &endpoint, nested, arena);
	struct heartbeat heartbeat;
	heartbeat_init(&heartbeat, endpoint.heartbeat, stale_ms());
	_cleanup_buf_ struct buf received = { 0 };
	struct answer answer;
	int result = exchange_request(fd, &request, &heartbeat, arena, &received, &answer, why);
	heartbeat_deinit(&heartbeat);
	if (result < 0)
		return;
	if (answer.type == FRAME_LOCAL) {
		error_set(why, 0, "%s", answer.local.reason);
		/* The daemon counts a core as taken while this process lives, whatever it becomes; the socket says
		 * nothing more. */
		return;
	}
	const struct frame_done *done = &answer.done;
	if (!can_deliver(1, done->out) || !can_deliver(2, done->err)) {
		error_set(why, 0, "nobody reads the messages any more");
		return;
	}
	if (commit_renames(done->renames, done->n_renames, why) < 0)
		return;
	say("llamacc: %s: done by the daemon (%s), exit status %u\n", resolved->compiler, done->decision, done->exit_code);
	write_output(1, done->out);
	write_output(2, done->err);
	exchange_committed(fd);
	_exit((int)done->exit_code);
}

int main(int argc, char **argv)
{
	struct arena arena = ARENA_INIT; /* lives until the exit or exec */
	struct error err;
	char cwd[CWD_BYTES];
	/* A directory that was removed, or lies outside our root, has no path; compilers cope, so they get it. */
	bool placed = getcwd(cwd, sizeof(cwd)) && cwd[0] == '/';
	if (!placed)
		strcpy(cwd, ".");
	bool nested = local_depth() > 0;
	struct resolve_context context = {
		.cwd = cwd,
		.path = getenv("PATH"),
		.local_cc = getenv("LLAMACC_LOCAL_CC"),
		.local_cxx = getenv("LLAMACC_LOCAL_CXX"),
		.nested = nested,
	};
	identify_self(&context);
	struct resolved resolved;
	if (resolve_compiler(&context, argc, argv, &arena, &resolved, &err) < 0) {
		dprintf(2, "llamacc: %s\n", err.text);
		_exit(127);
	}
	resolved.argc = warnings_filter(resolved.argv, resolved.argc, getenv("LLAMACC_FILTER_WARNINGS"));
	if (placed)
		compile_by_daemon(&resolved, cwd, nested, &arena, &err);
	else
		error_set(&err, 0, "the current directory has no path");
	say("llamacc: %s: run locally: %s\n", resolved.compiler, err.text);
	local_run(resolved.compiler, resolved.argv);
}
