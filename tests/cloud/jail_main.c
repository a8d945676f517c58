/* llama-cloud-jail ROOT TMP_MB MEMORY_MB CA_FILE: an execution environment as Lambda's is for the processes in it
 * (see jail.h). The first process sets up the namespaces and waits; the second is init of the new PID namespace,
 * starts the entry point when told to, and takes everything with it when it ends. Init ends when the cloud's side of
 * the socket closes. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "tests/cloud/jail.h"
#include "tests/cloud/jail_protocol.h"

enum { SAMPLE_MS = 50 }; /* between two looks at the memory in use */

struct state {
	const char *root, *ca_file;
	int64_t tmp_mb, memory_mb;
	int signals; /* signalfd of SIGCHLD */
	pid_t entry; /* 0: none runs */
	uint32_t generation;
	bool frozen, out_of_memory;
	int64_t memory_bytes; /* most seen since the entry point started */
};

/* --- Entering ----------------------------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "cannot write %s", path);
	return 0;
}

/* From outside, where root may map the id to a real one that owns nothing. Anybody else has but his own to give. */
static int map_ids(pid_t init, struct error *err)
{
	char path[64], text[64];
	bool root = geteuid() == 0;
	if (!root) {
		snprintf(path, sizeof(path), "/proc/%d/setgroups", init);
		if (write_file(path, "deny\n", err) < 0)
			return -1;
	}
	snprintf(path, sizeof(path), "/proc/%d/uid_map", init);
	snprintf(text, sizeof(text), "%d %u 1\n", JAIL_UID, root ? JAIL_UID : geteuid());
	if (write_file(path, text, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/gid_map", init);
	snprintf(text, sizeof(text), "%d %u 1\n", JAIL_GID, root ? JAIL_GID : getegid());
	return write_file(path, text, err);
}

static int mount_at(const char *source, const char *target, const char *type, unsigned long flags, const char *data,
	struct error *err)
{
	if (mount(source, target, type, flags, data) < 0)
		return error_set(err, errno, "cannot mount %s on %s of the jail", source, target);
	return 0;
}

/* Bind, then make it read-only; flags that the outer mount has are locked and must be said again. */
static int bind_read_only(const char *source, const char *target, unsigned long flags, struct error *err)
{
	struct statvfs st;
	if (mount_at(source, target, NULL, MS_BIND, NULL, err) < 0)
		return -1;
	if (statvfs(target, &st) < 0)
		return error_set(err, errno, "cannot stat %s", target);
	static const unsigned long locked[][2] = { { ST_NOSUID, MS_NOSUID }, { ST_NODEV, MS_NODEV },
		{ ST_NOEXEC, MS_NOEXEC }, { ST_NOATIME, MS_NOATIME }, { ST_NODIRATIME, MS_NODIRATIME },
		{ ST_RELATIME, MS_RELATIME } };
	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++)
		if (st.f_flag & locked[i][0])
			flags |= locked[i][1];
	return mount_at(source, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL, err);
}

static int make_devices(struct error *err)
{
	static const char *const nodes[] = { "null", "zero", "full", "random", "urandom" };
	if (mount_at("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k", err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		char from[32], to[32];
		snprintf(from, sizeof(from), "/dev/%s", nodes[i]);
		snprintf(to, sizeof(to), "dev/%s", nodes[i]);
		_cleanup_close_ int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0)
			return error_set(err, errno, "cannot create %s of the jail", to);
		if (mount_at(from, to, NULL, MS_BIND, NULL, err) < 0)
			return -1;
	}
	return mount_at("tmpfs", "dev", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL, err);
}

/* Still as who we were outside, because the way to the root and the certificates may be open to nobody else. Makes
 * nothing: new files need an id of ours. */
static int bind_root(struct state *state, struct error *err)
{
	if (mount_at("none", "/", NULL, MS_REC | MS_PRIVATE, NULL, err) < 0 ||
		bind_read_only(state->root, state->root, MS_NOSUID | MS_NODEV, err) < 0)
		return -1;
	if (chdir(state->root) < 0)
		return error_set(err, errno, "cannot enter %s", state->root);
	return *state->ca_file ? bind_read_only(state->ca_file, &JAIL_CA_FILE[1], MS_NOSUID | MS_NODEV | MS_NOEXEC, err)
			       : 0;
}

static int become_user(bool root, struct error *err)
{
	if (root && setgroups(0, NULL) < 0)
		return error_set(err, errno, "cannot drop the groups");
	if (setresgid(JAIL_GID, JAIL_GID, JAIL_GID) < 0 || setresuid(JAIL_UID, JAIL_UID, JAIL_UID) < 0)
		return error_set(err, errno, "cannot become user %d", JAIL_UID);
	/* After the ids, whose change resets it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_set(err, errno, "cannot follow the parent");
	return 0;
}

static int enter_root(struct state *state, struct error *err)
{
	char options[96];
	snprintf(options, sizeof(options), "mode=0700,uid=%d,gid=%d,size=%lldm", JAIL_UID, JAIL_GID,
		(long long)state->tmp_mb);
	if (mount_at("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, options, err) < 0 || make_devices(err) < 0 ||
		mount_at("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL, err) < 0)
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

static int enter(struct state *state, bool root, struct error *err)
{
	static const char name[] = "169"; /* the host's name is no business of the function's */
	if (sethostname(name, sizeof(name) - 1) < 0)
		return error_set(err, errno, "cannot set the host name");
	if (bind_root(state, err) < 0 || become_user(root, err) < 0)
		return -1;
	return enter_root(state, err);
}

/* --- The entry point's limits ------------------------------------------------------------------------------------- */

static int forbid(scmp_filter_ctx filter, struct error *err)
{
	static const int forbidden[] = {
		SCMP_SYS(chroot),
		SCMP_SYS(ptrace),
		SCMP_SYS(unshare),
		SCMP_SYS(setns),
		SCMP_SYS(mount),
		SCMP_SYS(umount2),
		SCMP_SYS(pivot_root),
		SCMP_SYS(open_tree),
		SCMP_SYS(move_mount),
		SCMP_SYS(fsopen),
		SCMP_SYS(fsconfig),
		SCMP_SYS(fsmount),
		SCMP_SYS(fspick),
		SCMP_SYS(mount_setattr),
		SCMP_SYS(seccomp),
		SCMP_SYS(fallocate),
		SCMP_SYS(process_vm_readv),
		SCMP_SYS(process_vm_writev),
		SCMP_SYS(bpf),
		SCMP_SYS(keyctl),
		SCMP_SYS(add_key),
		SCMP_SYS(request_key),
		SCMP_SYS(perf_event_open),
		SCMP_SYS(userfaultfd),
		SCMP_SYS(kcmp),
		SCMP_SYS(pidfd_getfd),
	};
	static const unsigned forbidden_prctl[] = { PR_SET_SECCOMP, PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS };
	int failed = 0;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]) && failed == 0; i++)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	for (size_t i = 0; i < sizeof(forbidden_prctl) / sizeof(forbidden_prctl[0]) && failed == 0; i++)
		failed = seccomp_rule_add(
			filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1, SCMP_A0_32(SCMP_CMP_EQ, forbidden_prctl[i]));
	if (failed == 0)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	/* Its flags lie in memory, out of the filter's sight; C libraries then use clone. */
	if (failed == 0)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (failed == 0)
		failed = seccomp_load(filter);
	return failed == 0 ? 0 : error_set(err, -failed, "cannot install the system call filter");
}

static int limit(struct error *err)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t value;
	} limits[] = { { RLIMIT_NOFILE, 1024 }, { RLIMIT_NPROC, 1024 }, { RLIMIT_CORE, 0 } };
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (setrlimit(limits[i].resource, &(struct rlimit){ limits[i].value, limits[i].value }) < 0)
			return error_set(err, errno, "cannot set a limit");
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return error_set(err, errno, "cannot drop capability %d", cap);
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	if (syscall(SYS_capset, &head, none) < 0)
		return error_set(err, errno, "cannot drop the capabilities");
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return error_set(err, ENOMEM, "cannot make the system call filter");
	int done = forbid(filter, err);
	seccomp_release(filter);
	return done;
}

/* In the child: never returns, unless with the reason. Lambda wants a real file under an absolute path. */
static int run(const char *directory, char **args, char **env, struct error *err)
{
	struct stat st;
	if (args[0][0] != '/')
		return error_set(err, EINVAL, "entrypoint %s is not absolute", args[0]);
	if (lstat(args[0], &st) < 0)
		return error_set(err, errno, "fork/exec %s", args[0]);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "entrypoint %s is a symbolic link or no file", args[0]);
	if (chdir(directory) < 0)
		return error_set(err, errno, "chdir %s", directory);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() < 0)
		return error_set(err, errno, "cannot make a session");
	if (limit(err) < 0)
		return -1;
	execve(args[0], args, env);
	return error_set(err, errno, "fork/exec %s", args[0]);
}

static void describe(struct jail_answer *answer, const struct error *err)
{
	answer->failed = err->code ? err->code : EIO;
	snprintf(answer->text, sizeof(answer->text), "%s", err->text);
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

/* Strings of a request into an array that ends in NULL; false when there are fewer. */
static bool take_strings(char **at, const char *end, uint32_t n, char **ret)
{
	for (uint32_t i = 0; i < n; i++) {
		char *zero = memchr(*at, '\0', (size_t)(end - *at));
		if (!zero)
			return false;
		ret[i] = *at;
		*at = zero + 1;
	}
	ret[n] = NULL;
	return true;
}

static int start(
	struct state *state, const struct jail_request *request, char *strings, const char *end, struct error *err)
{
	char *directory[2], *args[256], *env[512];
	if (state->entry)
		return error_set(err, EBUSY, "the entry point runs already");
	if (request->n_args < 1 || request->n_args > 255 || request->n_env > 511 ||
		!take_strings(&strings, end, 1, directory) || !take_strings(&strings, end, request->n_args, args) ||
		!take_strings(&strings, end, request->n_env, env))
		return error_set(err, EPROTO, "malformed request");
	int report[2];
	if (pipe2(report, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe");
	_cleanup_close_ int reports = report[0];
	pid_t pid = fork();
	if (pid == 0) {
		struct error failure;
		run(directory[0], args, env, &failure);
		if (write(report[1], &failure, sizeof(failure)) < 0)
			_exit(126);
		_exit(127);
	}
	int saved = errno;
	close(report[1]);
	if (pid < 0)
		return error_set(err, saved, "cannot fork");
	struct error failure;
	if (read(reports, &failure, sizeof(failure)) == sizeof(failure)) {
		waitpid(pid, NULL, 0);
		*err = failure;
		return JAIL_INVALID;
	}
	state->entry = pid;
	state->generation = request->generation;
	state->frozen = state->out_of_memory = false;
	state->memory_bytes = 0;
	return 0;
}

/* What the processes have to themselves; pages of files are the system's to give away. */
static int64_t memory_in_use(void)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	int64_t pages = 0;
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		char path[288];
		snprintf(path, sizeof(path), "/proc/%s/statm", entry->d_name);
		long long size, resident, shared;
		_cleanup_fclose_ FILE *file = fopen(path, "re");
		if (file && fscanf(file, "%lld %lld %lld", &size, &resident, &shared) == 3)
			pages += resident - shared;
	}
	return pages * sysconf(_SC_PAGESIZE);
}

/* Everything but us, however often it forks meanwhile. */
static void kill_all(void)
{
	do
		kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) >= 0 || errno == EINTR);
}

static void tell_end(struct state *state, int status)
{
	struct jail_event event = { .generation = state->generation,
		.status = status,
		.out_of_memory = state->out_of_memory,
		.memory_bytes = state->memory_bytes };
	state->entry = 0;
	if (send(JAIL_EVENTS, &event, sizeof(event), MSG_NOSIGNAL) < 0)
		_exit(0);
}

/* The entry point's status, or the one that killing it gives it; everything else is gone afterwards. */
static void end_entry(struct state *state)
{
	kill(state->entry, SIGKILL);
	int status = SIGKILL;
	while (waitpid(state->entry, &status, 0) < 0 && errno == EINTR)
		;
	kill_all();
	tell_end(state, status);
}

static void reap(struct state *state)
{
	struct signalfd_siginfo info;
	while (read(state->signals, &info, sizeof(info)) > 0)
		;
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == state->entry) {
			kill_all();
			tell_end(state, status);
			return;
		}
}

static void sample_memory(struct state *state)
{
	int64_t bytes = memory_in_use();
	if (bytes > state->memory_bytes)
		state->memory_bytes = bytes;
}

/* 0, or -1; JAIL_START's entry point may be invalid (1). */
static int obey(
	struct state *state, const struct jail_request *request, char *strings, const char *end, struct error *err)
{
	switch ((enum jail_verb)request->verb) {
	case JAIL_START:
		return start(state, request, strings, end, err);
	case JAIL_FREEZE:
		sample_memory(state);
		kill(-1, SIGSTOP);
		state->frozen = true;
		return 0;
	case JAIL_THAW:
		kill(-1, SIGCONT);
		state->frozen = false;
		return 0;
	case JAIL_KILL:
		if (state->entry)
			end_entry(state);
		return 0;
	}
	return error_set(err, EPROTO, "unknown request");
}

static void watch_memory(struct state *state)
{
	sample_memory(state);
	if (state->memory_mb > 0 && state->memory_bytes > state->memory_mb << 20) {
		state->out_of_memory = true;
		end_entry(state);
	}
}

/* 0: go on; -1: the cloud is gone. */
static int serve(struct state *state)
{
	static char packet[JAIL_REQUEST_BYTES];
	ssize_t n = recv(JAIL_REQUESTS, packet, sizeof(packet), 0);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < (ssize_t)sizeof(struct jail_request))
		return -1;
	struct error err = { 0 };
	int done = obey(
		state, (const struct jail_request *)packet, packet + sizeof(struct jail_request), packet + n, &err);
	struct jail_answer answer = { .invalid = done > 0, .memory_bytes = state->memory_bytes };
	if (done != 0)
		describe(&answer, &err);
	return send(JAIL_REQUESTS, &answer, sizeof(answer), MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void loop(struct state *state)
{
	int64_t next_sample = 0;
	for (;;) {
		struct pollfd fds[] = { { .fd = JAIL_REQUESTS, .events = POLLIN },
			{ .fd = state->signals, .events = POLLIN } };
		bool sampling = state->entry && !state->frozen;
		if (poll(fds, 2, sampling ? SAMPLE_MS : -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			reap(state);
		if (fds[0].revents && serve(state) < 0)
			return;
		int64_t now = clock_monotonic_ms();
		if (state->entry && !state->frozen && now >= next_sample) {
			watch_memory(state);
			next_sample = now + SAMPLE_MS;
		}
	}
}

static int be_init(struct state *state, int go, bool root)
{
	char byte;
	struct error err = { 0 };
	struct jail_answer answer = { 0 };
	if (read(go, &byte, 1) != 1)
		return 1; /* the parent has said why */
	close(go);
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	state->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	int entered = enter(state, root, &err);
	if (entered < 0)
		describe(&answer, &err);
	if (send(JAIL_REQUESTS, &answer, sizeof(answer), MSG_NOSIGNAL) < 0 || entered < 0)
		return 1;
	loop(state);
	return 0;
}

static int refuse(const struct error *err)
{
	struct jail_answer answer = { 0 };
	describe(&answer, err);
	send(JAIL_REQUESTS, &answer, sizeof(answer), MSG_NOSIGNAL);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	struct state state = {
		.root = argv[1], .tmp_mb = atoll(argv[2]), .memory_mb = atoll(argv[3]), .ca_file = argv[4]
	};
	struct error err = { 0 };
	close_range(JAIL_EVENTS + 1, ~0U, 0);
	fcntl(JAIL_REQUESTS, F_SETFD, FD_CLOEXEC);
	fcntl(JAIL_EVENTS, F_SETFD, FD_CLOEXEC);
	int go[2];
	if (pipe2(go, O_CLOEXEC) < 0) {
		error_set(&err, errno, "cannot make a pipe");
		return refuse(&err);
	}
	bool root = geteuid() == 0;
	/* No namespace of the network: the Runtime API and the bucket are on the host's loopback. */
	long init = syscall(SYS_clone,
		CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL,
		NULL);
	if (init == 0) {
		close(go[1]);
		return be_init(&state, go[0], root);
	}
	if (init < 0) {
		error_set(&err, errno, "the system allows no user namespace");
		return refuse(&err);
	}
	close(go[0]);
	if (map_ids((pid_t)init, &err) < 0)
		return refuse(&err); /* init sees the pipe close */
	if (write(go[1], "", 1) != 1)
		return 1;
	/* Who waits for the end of the sockets waits for init. */
	close(JAIL_REQUESTS);
	close(JAIL_EVENTS);
	while (waitpid((pid_t)init, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}
