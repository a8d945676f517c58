#include "worker/runner.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "worker/runner_protocol.h"
#include "worker/trace.h"

enum {
	OUTPUT_LIMIT_BYTES = 64 << 20, /* of stdout and stderr together */
	START_TIMEOUT_MS = 20000,
	END_TIMEOUT_MS = 10000,
	TRACE_FD = 100, /* above what programs use by number */
};

struct runner {
	pid_t pid;
	int pidfd;
	int socket;
	char *preload, *tmpdir; /* as the commands see them */
	char *root;		/* rooted; else NULL */
	uint32_t trace_fd;
	pthread_mutex_t lock; /* of `running` and of what is written to the socket */
	bool running;
};

/* --- The socket --------------------------------------------------------------------------------------------------- */

static int send_all(struct runner *runner, struct slice bytes, struct error *err)
{
	while (bytes.len > 0) {
		ssize_t n = send(runner->socket, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "cannot talk to llama-runner");
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
	return 0;
}

/* The head goes with the descriptors in one piece: it is far smaller than any socket buffer, and the runner reads all that we write. */
static int send_request(struct runner *runner, const struct runner_request *request, const int fds[RUNNER_DESCRIPTORS],
	struct error *err)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * RUNNER_DESCRIPTORS)];
	} control = { 0 };
	struct iovec iov = { (void *)request, sizeof(*request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int) * RUNNER_DESCRIPTORS);
	memcpy(CMSG_DATA(head), fds, sizeof(int) * RUNNER_DESCRIPTORS);
	ssize_t n;
	do
		n = sendmsg(runner->socket, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*request))
		return error_set(err, n < 0 ? errno : EIO, "cannot talk to llama-runner");
	return 0;
}

static int receive_answer(struct runner *runner, struct runner_answer *ret, struct error *err)
{
	char *at = (char *)ret;
	for (size_t left = sizeof(*ret); left > 0;) {
		ssize_t n = recv(runner->socket, at, left, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(
				err, n < 0 ? errno : 0, n < 0 ? "cannot talk to llama-runner" : "llama-runner died");
		at += n;
		left -= (size_t)n;
	}
	ret->step[sizeof(ret->step) - 1] = '\0';
	return 0;
}

/* --- Life ----------------------------------------------------------------------------------------------------------- */

/* Wait for the runner's end, not for ever. */
static void end_process(struct runner *runner)
{
	struct pollfd end = { .fd = runner->pidfd, .events = POLLIN };
	int64_t deadline_ms = clock_monotonic_ms() + END_TIMEOUT_MS;
	for (int64_t left; runner->pidfd >= 0 && (left = deadline_ms - clock_monotonic_ms()) > 0;)
		if (poll(&end, 1, (int)left) > 0)
			break;
	kill(runner->pid, SIGKILL); /* a zombie, if all went well */
	while (waitpid(runner->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void runner_free(struct runner *runner)
{
	if (!runner)
		return;
	cleanup_close(&runner->socket); /* which ends it, and its command */
	if (runner->pid > 0)
		end_process(runner);
	cleanup_close(&runner->pidfd);
	pthread_mutex_destroy(&runner->lock);
	free(runner->preload);
	free(runner->tmpdir);
	free(runner->root);
	free(runner);
}

static void cleanup_runner(struct runner **runner)
{
	runner_free(*runner);
}

/* The environment, without what is the daemon's alone: a command can read that of its runner. */
static char **own_environment(struct arena *arena)
{
	size_t n = 0;
	while (environ[n])
		n++;
	char **ret = arena_array(arena, char *, n + 1);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "AWS_", 4) != 0)
			ret[kept++] = environ[i];
	return ret;
}

static int spawn(struct runner *runner, const struct runner_options *options, int socket, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char version[16], nofile[16];
	snprintf(version, sizeof(version), "%d", RUNNER_PROTOCOL);
	snprintf(nofile, sizeof(nofile), "%u", options->nofile);
	static const char *const modes[] = {
		[RUNNER_INPLACE] = "inplace", [RUNNER_NAMESPACES] = "namespaces", [RUNNER_ROOTED] = "rooted"
	};
	bool namespaces = options->mode == RUNNER_NAMESPACES;
	const char *argv[] = { options->program, version, modes[options->mode], options->interposer,
		namespaces ? options->root : options->tmpdir, nofile, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, socket, RUNNER_SOCKET);
	int code = posix_spawn(&runner->pid, options->program, &actions, NULL, (char **)argv, own_environment(&arena));
	posix_spawn_file_actions_destroy(&actions);
	if (code != 0) {
		runner->pid = 0;
		return error_set(err, code, "cannot start %s", options->program);
	}
	runner->pidfd = (int)syscall(SYS_pidfd_open, runner->pid, 0);
	if (runner->pidfd < 0 && options->mode != RUNNER_ROOTED)
		return error_set(err, errno, "cannot watch llama-runner");
	return 0;
}

struct runner *runner_new(const struct runner_options *options, struct error *err)
{
	bool namespaces = options->mode == RUNNER_NAMESPACES;
	__attribute__((cleanup(cleanup_runner))) struct runner *runner = calloc(1, sizeof(*runner));
	if (!runner)
		abort();
	pthread_mutex_init(&runner->lock, NULL);
	runner->pidfd = runner->socket = -1;
	runner->preload = strdup(namespaces ? RUNNER_INTERPOSER : options->interposer);
	runner->tmpdir = strdup(namespaces ? RUNNER_TMPDIR : options->tmpdir);
	runner->root = options->mode == RUNNER_ROOTED ? strdup(options->root) : NULL;
	runner->trace_fd = options->nofile > 0 && options->nofile <= TRACE_FD ? options->nofile - 1 : TRACE_FD;
	/* LD_PRELOAD takes spaces and colons for separators, the loader expands dollars: there is no quoting. */
	if (strpbrk(runner->preload, " :$"))
		return error_set(err, EINVAL, "%s: a space, colon or dollar in this path can't be preloaded",
			       runner->preload),
		       NULL;
	if (!namespaces && access(options->interposer, R_OK) < 0)
		return error_set(err, errno, "cannot read %s", options->interposer), NULL;

	int sockets[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return error_set(err, errno, "cannot make a socket for llama-runner"), NULL;
	runner->socket = sockets[0];
	_cleanup_close_ int theirs = sockets[1];
	/* A socket that has the number already must lose its close-on-exec flag all the same; that takes another number. */
	if (theirs == RUNNER_SOCKET) {
		theirs = fcntl(theirs, F_DUPFD_CLOEXEC, RUNNER_SOCKET + 1);
		close(RUNNER_SOCKET);
		if (theirs < 0)
			return error_set(err, errno, "cannot make a socket for llama-runner"), NULL;
	}
	if (spawn(runner, options, theirs, err) < 0)
		return NULL;
	close(theirs);
	theirs = -1;

	struct pollfd ready = { .fd = runner->socket, .events = POLLIN };
	struct runner_answer proof;
	if (poll(&ready, 1, START_TIMEOUT_MS) == 0)
		return error_set(err, ETIMEDOUT, "%s doesn't come up", options->program), NULL;
	if (receive_answer(runner, &proof, err) < 0)
		return NULL;
	if (proof.code != 0) {
		error_set(err, 0, "%s", proof.step);
		if (err)
			err->code = proof.code;
		return NULL;
	}
	return return_ptr(runner);
}

/* --- A command's surroundings ----------------------------------------------------------------------------------- */

void run_result_deinit(struct run_result *result)
{
	if (!result)
		return;
	buf_deinit(&result->out);
	buf_deinit(&result->err);
	if (result->trace)
		munmap(result->trace, result->trace_bytes);
	result->trace = NULL;
}

/* Memory for the log: a descriptor, or -1. Sealed: a command that cut it off would kill us with SIGBUS when we read it. */
static int make_memory(const struct runner *runner, struct error *err)
{
	_cleanup_close_ int fd = memfd_create("llama-trace", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && ftruncate(fd, TRACE_BYTES) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return take_fd(fd);
	if (!runner->root)
		return error_set(err, errno, "cannot make a look-up log");
	/* A file without a name; check_memory() takes the seal's place. */
	_cleanup_buf_ struct buf path = { 0 };
	buf_printf(&path, "%s/trace-XXXXXX", runner->tmpdir);
	_cleanup_close_ int file = mkostemp(path.ptr, O_CLOEXEC);
	if (file < 0 || unlink(path.ptr) < 0 || ftruncate(file, TRACE_BYTES) < 0)
		return error_set(err, errno, "cannot make a look-up log in %s", runner->tmpdir);
	return take_fd(file);
}

/* After the command, of which nobody is left. */
static int check_memory(int fd, struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot examine a look-up log");
	return st.st_size == TRACE_BYTES ? 0 : error_set(err, 0, "the command has cut off its look-up log");
}

/* A fresh log with the redirect table; its descriptor, mapped in `ret`. */
static int make_trace(
	const struct runner *runner, const struct run_command *command, struct run_result *ret, struct error *err)
{
	_cleanup_close_ int fd = make_memory(runner, err);
	if (fd < 0)
		return -1;
	void *mapping = mmap(NULL, TRACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED)
		return error_set(err, errno, "cannot map a look-up log");
	ret->trace = mapping;
	ret->trace_bytes = TRACE_BYTES;
	struct trace_header *header = mapping;
	uint32_t at = sizeof(*header);
	*header = (struct trace_header){ .magic = TRACE_MAGIC, .size = TRACE_BYTES, .executed = 1, .redirects = at };
	for (size_t i = 0; i < command->n_redirects; i++) {
		const char *strings[2] = { command->redirects[i].target, command->redirects[i].temporary };
		for (int s = 0; s < 2; s++) {
			size_t n = strlen(strings[s]) + 1;
			if (n > TRACE_BYTES / 2 - at)
				return error_set(err, E2BIG, "too many outputs");
			memcpy((char *)mapping + at, strings[s], n);
			at += (uint32_t)n;
		}
	}
	header->n_redirects = (uint32_t)command->n_redirects;
	header->records = header->used = (at + 3) & ~3u;
	return take_fd(fd);
}

/* A terminal for the command's stderr: what it writes comes out at `master` unchanged. Its slave, or -1. */
static int make_tty(const struct run_command *command, int *master, struct error *err)
{
	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0 || grantpt(*master) < 0 || unlockpt(*master) < 0)
		return error_set(err, errno, "cannot make a pseudo-terminal");
	_cleanup_close_ int slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios modes;
	struct winsize size = { .ws_col = (unsigned short)command->columns, .ws_row = (unsigned short)command->rows };
	if (slave < 0 || tcgetattr(slave, &modes) < 0)
		return error_set(err, errno, "cannot open a pseudo-terminal");
	modes.c_oflag &= ~(tcflag_t)OPOST;
	if (tcsetattr(slave, TCSANOW, &modes) < 0 || ioctl(slave, TIOCSWINSZ, &size) < 0)
		return error_set(err, errno, "cannot set up a pseudo-terminal");
	return take_fd(slave);
}

/* As make_tty, where there may be no terminals: a pipe that the interposer says is one. */
static int make_tty_look(const struct run_command *command, int pipe, struct trace_header *header, struct error *err)
{
	struct stat st;
	if (fstat(pipe, &st) < 0)
		return error_set(err, errno, "cannot examine a pipe");
	header->columns = command->columns;
	header->rows = command->rows;
	header->terminal_dev = st.st_dev;
	header->terminal_ino = st.st_ino;
	return 0;
}

static bool is_ours(const char *variable)
{
	return slice_has_prefix(slice_str(variable), "LD_PRELOAD=") ||
	       slice_has_prefix(slice_str(variable), "TMPDIR=") ||
	       slice_has_prefix(slice_str(variable), TRACE_VARIABLE "=");
}

/* The request's strings; fills in the counts and the size. */
static int write_strings(struct runner *runner, const struct run_command *command, struct runner_request *request,
	struct buf *ret, struct error *err)
{
	buf_printf(ret, "%s%s%c", runner->root ? runner->root : "", command->cwd, 0);
	for (const char *const *p = command->argv; *p; p++, request->n_argv++)
		buf_append(ret, *p, strlen(*p) + 1);
	for (const char *const *p = command->env; *p; p++) {
		if (is_ours(*p))
			continue;
		buf_append(ret, *p, strlen(*p) + 1);
		request->n_env++;
	}
	buf_printf(ret, "LD_PRELOAD=%s%cTMPDIR=%s%c" TRACE_VARIABLE "=%u%s%s%c", runner->preload, 0, runner->tmpdir, 0,
		runner->trace_fd, runner->root ? ":" : "", runner->root ? runner->root : "", 0);
	request->n_env += 3;
	/* The kernel takes 6 MiB at the very most (three quarters of the stack's limit, at most 8 MiB). */
	if (ret->len > 32 << 20)
		return error_set(err, E2BIG, "cannot execute %s", command->argv[0]);
	request->size = (uint32_t)ret->len;
	return 0;
}

/* --- Running -------------------------------------------------------------------------------------------------------- */

void runner_kill(struct runner *runner)
{
	struct runner_request request = { .op = RUNNER_KILL };
	pthread_mutex_lock(&runner->lock);
	/* That it can't be sent means that the runner is dead, and its command with it. */
	if (runner->running)
		(void)send_all(runner, slice_of(&request, sizeof(request)), NULL);
	pthread_mutex_unlock(&runner->lock);
}

/* Hand the command over. Afterwards runner_kill() reaches it. */
static int start_command(
	struct runner *runner, const struct run_command *command, const int fds[RUNNER_DESCRIPTORS], struct error *err)
{
	_cleanup_buf_ struct buf strings = { 0 };
	struct runner_request request = { .op = RUNNER_RUN, .umask = command->umask, .trace_fd = runner->trace_fd };
	if (write_strings(runner, command, &request, &strings, err) < 0)
		return -1;
	pthread_mutex_lock(&runner->lock);
	int result = send_request(runner, &request, fds, err);
	if (result == 0)
		result = send_all(runner, buf_slice(&strings), err);
	runner->running = result == 0;
	pthread_mutex_unlock(&runner->lock);
	/* Cancelled earlier: its kill found nothing running. Later: it finds the command. */
	if (result == 0 && command->cancelled && atomic_load(command->cancelled))
		runner_kill(runner);
	return result;
}

/* Read what is there. 0 = go on, 1 = end. */
static int read_some(int fd, struct buf *to, struct error *err)
{
	char *at = buf_reserve(to, 64 * 1024);
	*at = '\0';
	ssize_t n = read(fd, at, 64 * 1024);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n == 0 || (n < 0 && errno == EIO)) /* EIO: nobody has the terminal open any more */
		return 1;
	if (n < 0)
		return error_set(err, errno, "cannot read the output of a command");
	at[n] = '\0';
	to->len += (size_t)n;
	return 0;
}

/* Collect output until both streams have ended and the answer is there. */
static int collect(struct runner *runner, const struct run_command *command, int streams[2], struct run_result *ret,
	struct runner_answer *answer, struct error *err)
{
	int64_t deadline_ms = command->timeout_ms > 0 ? clock_monotonic_ms() + command->timeout_ms : 0;
	struct buf *outputs[2] = { &ret->out, &ret->err };
	struct pollfd polls[3] = { { streams[0], POLLIN, 0 }, { streams[1], POLLIN, 0 },
		{ runner->socket, POLLIN, 0 } };
	while (polls[0].fd >= 0 || polls[1].fd >= 0 || polls[2].fd >= 0) {
		int wait_ms = -1;
		if (deadline_ms > 0) {
			int64_t left = deadline_ms - clock_monotonic_ms();
			wait_ms = left <= 0 ? 0 : left < INT32_MAX ? (int)left : INT32_MAX;
		}
		int n = poll(polls, 3, wait_ms);
		if (n < 0 && errno != EINTR)
			return error_set(err, errno, "cannot wait for a command");
		if (n < 0)
			continue;
		if (n == 0) {
			ret->timed_out = true;
			deadline_ms = 0;
			runner_kill(runner);
			continue;
		}
		for (int i = 0; i < 2; i++) {
			if (polls[i].fd < 0 || !polls[i].revents)
				continue;
			int end = read_some(polls[i].fd, outputs[i], err);
			if (end < 0)
				return -1;
			if (end)
				polls[i].fd = -1;
			if (ret->out.len + ret->err.len > OUTPUT_LIMIT_BYTES)
				return error_set(err, EFBIG, "output of %s exceeds %d MiB", command->argv[0],
					OUTPUT_LIMIT_BYTES >> 20);
		}
		if (polls[2].fd >= 0 && polls[2].revents) {
			if (receive_answer(runner, answer, err) < 0)
				return -1;
			polls[2].fd = -1;
		}
	}
	return 0;
}

int runner_run(struct runner *runner, const struct run_command *command, struct run_result *ret, struct error *err)
{
	*ret = (struct run_result){ 0 };
	int out[2], errors[2] = { -1, -1 };
	_cleanup_close_ int trace = make_trace(runner, command, ret, err);
	if (trace < 0)
		return -1;
	if (pipe2(out, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe");
	_cleanup_close_ int out_read = out[0], out_write = out[1];
	bool pty = command->tty && !runner->root;
	if (!pty && pipe2(errors, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe");
	_cleanup_close_ int err_read = errors[0], err_write = errors[1];
	if (pty && (err_write = make_tty(command, &err_read, err)) < 0)
		return -1;
	if (command->tty && !pty && make_tty_look(command, err_write, ret->trace, err) < 0)
		return -1;

	int theirs[RUNNER_DESCRIPTORS] = { out_write, err_write, trace };
	if (start_command(runner, command, theirs, err) < 0)
		return -1;
	/* Ours must go, or the streams never end. */
	close(take_fd(out_write));
	close(take_fd(err_write));
	int streams[2] = { out_read, err_read };
	struct runner_answer answer = { 0 };
	int result = collect(runner, command, streams, ret, &answer, err);
	pthread_mutex_lock(&runner->lock);
	runner->running = false;
	pthread_mutex_unlock(&runner->lock);
	if (result < 0 || check_memory(trace, err) < 0)
		return -1;
	if (answer.code != 0)
		return error_set(err, answer.code, "%s", answer.step);
	ret->exit_code = WIFEXITED(answer.status) ? WEXITSTATUS(answer.status) : -1;
	ret->signal = WIFSIGNALED(answer.status) ? WTERMSIG(answer.status) : 0;
	ret->user_us = answer.user_us;
	ret->system_us = answer.system_us;
	ret->wall_us = answer.wall_us;
	ret->max_rss_kb = answer.max_rss_kb;
	return 0;
}
