/* llama-runner: forks commands for the daemon (see worker/runner.h). Single-threaded; does nothing but wait for its socket and one command. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "worker/program.h"
#include "worker/runner_protocol.h"
#include "worker/trace.h"

struct state {
	bool namespaces;
	bool rooted;
	long long orphans_since; /* rooted, without being a subreaper: our own start, in the kernel's ticks; else -1 */
	const char *interposer;
	const char *place; /* root of the sandbox, or directory for temporaries */
	int null_fd;
	int tmp_fd; /* directory of the temporaries */
};

/* --- The socket --------------------------------------------------------------------------------------------------- */

/* 1 = done, 0 = the daemon is gone. */
static int send_answer(const struct runner_answer *answer)
{
	const char *at = (const char *)answer;
	for (size_t left = sizeof(*answer); left > 0;) {
		ssize_t n = send(RUNNER_SOCKET, at, left, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		at += n;
		left -= (size_t)n;
	}
	return 1;
}

static int receive(void *bytes, size_t size)
{
	for (char *at = bytes; size > 0;) {
		ssize_t n = recv(RUNNER_SOCKET, at, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		at += n;
		size -= (size_t)n;
	}
	return 1;
}

/* A request's head and the descriptors that come with it; those that don't come are -1. */
static int receive_request(struct runner_request *ret, int fds[RUNNER_DESCRIPTORS])
{
	for (int i = 0; i < RUNNER_DESCRIPTORS; i++)
		fds[i] = -1;
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * RUNNER_DESCRIPTORS)];
	} control;
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n;
	do
		n = recvmsg(RUNNER_SOCKET, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
	return receive((char *)ret + n, sizeof(*ret) - (size_t)n);
}

/* --- Entering the sandbox ----------------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "cannot write %s", path);
	return 0;
}

/* A user namespace makes the others possible without privileges. Ours is the only id in it. */
static int enter_namespaces(struct error *err)
{
	char uid_map[64], gid_map[64];
	snprintf(uid_map, sizeof(uid_map), "%u %u 1\n", geteuid(), geteuid());
	snprintf(gid_map, sizeof(gid_map), "%u %u 1\n", getegid(), getegid());
	int others = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	if (unshare(CLONE_NEWUSER | others) < 0)
		return error_set(err, errno, "the system allows no user namespace");
	if (write_file("/proc/self/setgroups", "deny\n", err) < 0 ||
		write_file("/proc/self/uid_map", uid_map, err) < 0 ||
		write_file("/proc/self/gid_map", gid_map, err) < 0)
		return -1;
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct error *err)
{
	/* A previous runner's, or in the way: what stands there is replaced, never followed. */
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	if (file_remove_tree(AT_FDCWD, path, err) < 0)
		return -1;
	if (mkdir(path, mode) < 0)
		return error_set(err, errno, "cannot make directory %s", path);
	return 0;
}

static int mount_at(const char *source, const char *target, const char *type, unsigned long flags, const char *data,
	struct error *err)
{
	if (mount(source, target, type, flags, data) < 0)
		return error_set(err, errno, "cannot mount %s on %s of the sandbox", source, target);
	return 0;
}

static int copy_interposer(const char *from, const char *to, struct error *err)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return error_set(err, errno, "cannot open %s", from);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (out < 0)
		return error_set(err, errno, "cannot create %s in the sandbox", to);
	return file_copy_fd(in, out, err);
}

static int make_devices(struct error *err)
{
	static const char *const nodes[] = { "null", "zero", "full", "random", "urandom" };
	static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" } };
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		char from[32], to[32];
		snprintf(from, sizeof(from), "/dev/%s", nodes[i]);
		snprintf(to, sizeof(to), "dev/%s", nodes[i]);
		int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0)
			return error_set(err, errno, "cannot create %s in the sandbox", to);
		close(fd);
		if (mount_at(from, to, NULL, MS_BIND, NULL, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			return error_set(err, errno, "cannot make %s in the sandbox", links[i][1]);
	return 0;
}

/* As init of the new PID namespace: make `root` the root. Jobs live on what the sync put there; the mounts go with us. */
static int enter_root(struct state *state, struct error *err)
{
	if (mount_at("none", "/", NULL, MS_REC | MS_PRIVATE, NULL, err) < 0 ||
		mount_at(state->place, state->place, NULL, MS_BIND | MS_REC, NULL, err) < 0)
		return -1;
	if (chdir(state->place) < 0)
		return error_set(err, errno, "cannot enter %s", state->place);
	if (make_dir("proc", 0755, err) < 0 || make_dir("dev", 0755, err) < 0 || make_dir(".llama", 0755, err) < 0)
		return -1;
	/* A container that hides parts of /proc doesn't allow a fresh one; the outer one, whose processes are out of reach anyway, will do.
	 * Read-only, because root's jobs own the kernel's settings in it, with or without capabilities. */
	unsigned long proc_flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
	if (mount("proc", "proc", "proc", proc_flags, NULL) < 0 &&
		(mount_at("/proc", "proc", NULL, MS_BIND | MS_REC, NULL, err) < 0 ||
			mount_at("proc", "proc", NULL, MS_REMOUNT | MS_BIND | proc_flags, NULL, err) < 0))
		return -1;
	if (mount_at("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=0755,size=64k", err) < 0 || make_devices(err) < 0 ||
		mount_at("tmpfs", ".llama", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755", err) < 0 ||
		copy_interposer(state->interposer, ".llama/interpose.so", err) < 0 ||
		make_dir(".llama/tmp", 0700, err) < 0)
		return -1;
	/* Onto itself, then the old root, now on top of it, is let go of. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set(err, errno, "cannot change the root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_set(err, errno, "cannot leave the old root");
	if (chdir("/") < 0)
		return error_set(err, errno, "cannot enter the new root");
	return 0;
}

/* For good, for us and all that we start: the bounding set is empty, so that not even root's exec brings one back. */
static int drop_capabilities(struct error *err)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return error_set(err, errno, "cannot drop capability %d", cap);
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &head, none) < 0)
		return error_set(err, errno, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "cannot set no_new_privs");
	/* Jobs have our uid; they shall not reach into us and answer for others. Their exec undoes it for them. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return error_set(err, errno, "cannot become undumpable");
	return 0;
}

/* --- Commands ----------------------------------------------------------------------------------------------------- */

/* What /proc says of a process that lives. */
static bool read_process(const char *name, int *parent, long long *started)
{
	char path[280], text[1024];
	snprintf(path, sizeof(path), "/proc/%s/stat", name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *rest = strrchr(text, ')'); /* a name may hold anything */
	char status;
	return rest &&
	       sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lld", &status,
		       parent, started) == 3 &&
	       status != 'Z';
}

/* Kill all that the command left or still is, except for its zombies. How many were found; in namespaces 0. */
static int kill_descendants(const struct state *state)
{
	if (state->namespaces) {
		kill(-1, SIGKILL); /* everybody in the PID namespace but us, its init */
		return 0;
	}
	/* Children only: theirs become ours when they die, since we are a subreaper. If we are none, all that came after us: in a function there is
	 * nobody but us and our parent. */
	int found = 0;
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		int pid = atoi(entry->d_name), parent;
		long long started;
		if (pid <= 0 || pid == getpid() || pid == getppid() || !read_process(entry->d_name, &parent, &started))
			continue;
		if (parent == getpid() || (state->orphans_since >= 0 && started >= state->orphans_since))
			found += kill(pid, SIGKILL) == 0;
	}
	return found;
}

/* Wait until no descendant is left. */
static void reap_descendants(const struct state *state)
{
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);
		if (pid < 0 && errno == ECHILD) {
			/* Orphans are not ours to wait for. */
			if (state->orphans_since < 0 || kill_descendants(state) == 0)
				return;
			poll(NULL, 0, 1);
			continue;
		}
		if (pid != 0)
			continue;
		kill_descendants(state);
		waitpid(-1, NULL, __WALL);
	}
}

static void empty_tmp(const struct state *state)
{
	int fd = openat(state->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct error ignored; /* the next command's temporaries have names of their own */
	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)file_remove_tree(state->tmp_fd, entry->d_name, &ignored);
}

/* What a new process needs; it shares our memory until it execs, and reports failures by writing into it. */
struct launch {
	const struct runner_request *request;
	const int *fds;
	int null_fd;
	const char *cwd;
	char **argv, **env;
	const char *failed; /* step */
	int code;
};

static __attribute__((no_sanitize("address"))) int launch_failed(struct launch *launch, const char *step)
{
	launch->code = errno;
	launch->failed = step;
	syscall(SYS_exit_group, 127);
	return 127;
}

/* Runs on a stack of its own while we stand still. Without the sanitizer, which knows nothing of that stack. */
static __attribute__((no_sanitize("address"))) int launch_command(void *ctx)
{
	struct launch *launch = ctx;
	int trace_fd = (int)launch->request->trace_fd;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (dup2(launch->null_fd, 0) < 0 || dup2(launch->fds[0], 1) < 0 || dup2(launch->fds[1], 2) < 0)
		return launch_failed(launch, "cannot set up the output of");
	if (launch->fds[2] == trace_fd ? fcntl(trace_fd, F_SETFD, 0) < 0 : dup2(launch->fds[2], trace_fd) < 0)
		return launch_failed(launch, "cannot set up the look-up log of");
	umask(launch->request->umask);
	if (chdir(launch->cwd) < 0)
		return launch_failed(launch, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(launch->argv[0], launch->argv, launch->env);
	return launch_failed(launch, "cannot execute");
}

static int64_t timeval_us(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

/* Wait for the command, for a KILL, or for the daemon's end. false: the daemon is gone. */
static bool await_end(const struct state *state, int pidfd)
{
	struct pollfd polls[2] = { { .fd = pidfd, .events = POLLIN }, { .fd = RUNNER_SOCKET, .events = POLLIN } };
	for (;;) {
		if (poll(polls, 2, -1) < 0)
			continue; /* EINTR */
		if (polls[0].revents)
			return true;
		if (!polls[1].revents)
			continue;
		struct runner_request request;
		int fds[RUNNER_DESCRIPTORS];
		if (!receive_request(&request, fds))
			return false;
		if (request.op == RUNNER_KILL)
			kill_descendants(state);
	}
}

static bool split_strings(
	char *strings, size_t size, const char **cwd, char **argv, size_t n_argv, char **env, size_t n_env)
{
	char *at = strings, *end = strings + size;
	for (size_t i = 0; i < 1 + n_argv + n_env; i++) {
		char *nul = memchr(at, '\0', (size_t)(end - at));
		if (!nul)
			return false;
		if (i == 0)
			*cwd = at;
		else if (i <= n_argv)
			argv[i - 1] = at;
		else
			env[i - 1 - n_argv] = at;
		at = nul + 1;
	}
	return at == end;
}

/* In place: the names that the command's outputs get, appended to `ret` as the look-up log's table has them before the
 * command can write there. Nothing for a log without one. */
static void read_redirects(int trace_fd, struct buf *ret)
{
	struct trace_header header;
	if (pread(trace_fd, &header, sizeof(header), 0) != sizeof(header) || header.n_redirects == 0 ||
		header.records <= header.redirects || header.records > TRACE_BYTES)
		return;
	size_t n = header.records - header.redirects;
	if (pread(trace_fd, buf_reserve(ret, n), n, header.redirects) == (ssize_t)n)
		ret->len = n;
}

/* Nobody but the daemon knows of them, and it is gone. */
static void remove_temporaries(const struct buf *redirects)
{
	const char *at = buf_str(redirects), *end = at + redirects->len;
	for (size_t i = 0; at < end && *at; i++) {
		if (i % 2 == 1) /* target, temporary, target, … */
			unlink(at);
		at += strnlen(at, (size_t)(end - at)) + 1;
	}
}

/* A command that nobody can observe, but that becomes one that can be, would pass for that one: it is counted apart. */
static void examine_program(const char *path, int trace_fd)
{
	const uint32_t executed = 2;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && program_kind(fd) == PROGRAM_STATIC)
		/* A log that can't be written to is no log, as its reader finds. */
		(void)!pwrite(trace_fd, &executed, sizeof(executed), offsetof(struct trace_header, executed));
}

/* false: the daemon is gone, or talks nonsense. */
static bool run(const struct state *state, const struct runner_request *request, const int *fds, struct buf *redirects)
{
	_cleanup_free_ char *strings = malloc((size_t)request->size + 1);
	if (!strings || request->n_argv == 0 || request->n_argv > request->size || request->n_env > request->size ||
		fds[2] < 0)
		return false;
	_cleanup_free_ char **argv = calloc((size_t)request->n_argv + 1, sizeof(*argv));
	_cleanup_free_ char **env = calloc((size_t)request->n_env + 1, sizeof(*env));
	struct launch launch = { .request = request, .fds = fds, .null_fd = state->null_fd, .argv = argv, .env = env };
	if (!argv || !env || !receive(strings, request->size) ||
		!split_strings(strings, request->size, &launch.cwd, argv, request->n_argv, env, request->n_env))
		return false;

	read_redirects(fds[2], redirects);
	examine_program(argv[0], fds[2]);
	struct runner_answer answer = { 0 };
	static char stack[64 * 1024] __attribute__((aligned(64)));
	int pidfd = -1;
	int64_t start_ns = clock_monotonic_ns();
	pid_t pid = clone(
		launch_command, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch, &pidfd);
	if (pid < 0) {
		answer.code = errno;
		snprintf(answer.step, sizeof(answer.step), "cannot fork");
		return send_answer(&answer);
	}
	for (int i = 0; i < RUNNER_DESCRIPTORS; i++)
		close(fds[i]);
	bool attached = launch.code != 0 || await_end(state, pidfd);
	close(pidfd);
	if (!attached)
		kill_descendants(state);
	struct rusage usage = { 0 };
	int status = 0;
	while (wait4(pid, &status, __WALL, &usage) < 0 && errno == EINTR)
		;
	answer.wall_us = (clock_monotonic_ns() - start_ns) / 1000;
	reap_descendants(state);
	empty_tmp(state);
	if (!attached)
		return false;
	if (launch.code) {
		answer.code = launch.code;
		if (launch.failed)
			snprintf(answer.step, sizeof(answer.step), "%s %s", launch.failed, argv[0]);
		else
			snprintf(answer.step, sizeof(answer.step), "cannot enter directory %s", launch.cwd);
	} else {
		answer.status = status;
		answer.user_us = timeval_us(usage.ru_utime);
		answer.system_us = timeval_us(usage.ru_stime);
		answer.max_rss_kb = usage.ru_maxrss;
	}
	return send_answer(&answer);
}

static void serve(const struct state *state)
{
	_cleanup_buf_ struct buf redirects = { 0 }; /* of the last command */
	for (;;) {
		struct runner_request request;
		int fds[RUNNER_DESCRIPTORS];
		if (!receive_request(&request, fds))
			break;
		if (request.op != RUNNER_RUN)
			continue;
		buf_reset(&redirects);
		if (!run(state, &request, fds, &redirects))
			break;
	}
	/* Also when it was answered: a daemon being killed takes answers that nobody will read. What has a client has been
	 * renamed, or that client compiles for itself. */
	remove_temporaries(&redirects);
}

/* --- Start ---------------------------------------------------------------------------------------------------------- */

/* What commands inherit from us: default signals, the limit on open files. */
static int set_inherited(const char *nofile, struct error *err)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	for (int s = 1; s < NSIG; s++)
		sigaction(s, &standard, NULL); /* those that can't be set are default */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	struct rlimit limit;
	rlim_t soft = strtoul(nofile, NULL, 10);
	if (soft > 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return error_set(err, errno, "cannot set the limit of open files");
	}
	return 0;
}

/* Functions have no subreapers. Root would kill other people's processes: it never gets here but by mistake. */
static int prepare_orphans(struct state *state, struct error *err)
{
	int code = errno, parent;
	if (!state->rooted || geteuid() == 0)
		return error_set(err, code, "cannot become a subreaper");
	return read_process("self", &parent, &state->orphans_since) ? 0
								   : error_set(err, 0, "cannot read /proc/self/stat");
}

static int prepare(struct state *state, struct error *err)
{
	if (state->namespaces && (enter_root(state, err) < 0 || drop_capabilities(err) < 0))
		return -1;
	if (!state->namespaces && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 && prepare_orphans(state, err) < 0)
		return -1;
	/* Jobs have our uid. Where that is forbidden: we know nothing that they don't. */
	if (state->rooted)
		(void)prctl(PR_SET_DUMPABLE, 0);
	const char *tmp = state->namespaces ? RUNNER_TMPDIR : state->place;
	state->tmp_fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->tmp_fd < 0)
		return error_set(err, errno, "cannot open %s", tmp);
	state->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (state->null_fd < 0)
		return error_set(err, errno, "cannot open /dev/null%s", state->namespaces ? " of the sandbox" : "");
	char exe[64];
	if (state->namespaces && readlink("/proc/self/exe", exe, sizeof(exe)) < 0)
		return error_set(err, errno, "cannot use /proc of the sandbox");
	return 0;
}

static int answer_failure(const struct error *err)
{
	struct runner_answer answer = { .code = err->code ? err->code : EPERM };
	snprintf(answer.step, sizeof(answer.step), "%s", err->text);
	send_answer(&answer);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 6 || atoi(argv[1]) != RUNNER_PROTOCOL) {
		fprintf(stderr, "llama-runner: is started by the llama daemon of the same version\n");
		return 2;
	}
	struct state state = {
		.namespaces = strcmp(argv[2], "namespaces") == 0,
		.rooted = strcmp(argv[2], "rooted") == 0,
		.orphans_since = -1,
		.interposer = argv[3],
		.place = argv[4],
	};
	struct error err;
	if (fcntl(RUNNER_SOCKET, F_SETFD, FD_CLOEXEC) < 0) {
		fprintf(stderr, "llama-runner: descriptor %d is no socket\n", RUNNER_SOCKET);
		return 2;
	}
	close_range(RUNNER_SOCKET + 1, ~0u, 0);
	umask(0);
	if (set_inherited(argv[5], &err) < 0 || (state.namespaces && enter_namespaces(&err) < 0))
		return answer_failure(&err);
	if (state.namespaces) {
		/* The first child is init of the new PID namespace; this process only stands for it towards the daemon. */
		pid_t pid = fork();
		if (pid < 0) {
			error_set(&err, errno, "cannot fork into the PID namespace");
			return answer_failure(&err);
		}
		if (pid > 0) {
			close(RUNNER_SOCKET);
			waitpid(pid, NULL, 0);
			_exit(0);
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	struct runner_answer proof = { 0 };
	if (prepare(&state, &err) < 0)
		return answer_failure(&err);
	if (send_answer(&proof))
		serve(&state);
	_exit(0);
}
