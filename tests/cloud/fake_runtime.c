/* A function for tests: speaks the Runtime API and does what the request's "do" says. Static, so that an image holds
 * nothing but it. It cannot parse JSON. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 7 << 20 };

static char in[1 << 16], out[LARGE + (1 << 16)];
static char id[64];
static int api = -1;

static void die(const char *what)
{
	perror(what);
	exit(9);
}

static void dial(void)
{
	const char *address = getenv("AWS_LAMBDA_RUNTIME_API"), *colon = address ? strchr(address, ':') : NULL;
	if (!colon)
		die("AWS_LAMBDA_RUNTIME_API");
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(colon + 1)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	api = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (api < 0 || connect(api, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		setsockopt(api, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) < 0)
		die("connect");
}

static void send_all(const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = send(api, bytes, n, MSG_NOSIGNAL);
		if (done <= 0)
			die("send");
		bytes += done;
		n -= (size_t)done;
	}
}

/* One answer of the API, whole, in `in`; its body. */
static char *receive(void)
{
	size_t n = 0;
	for (;;) {
		ssize_t got = recv(api, in + n, sizeof(in) - 1 - n, 0);
		if (got <= 0)
			die("recv");
		n += (size_t)got;
		in[n] = '\0';
		char *body = strstr(in, "\r\n\r\n"), *length = strcasestr(in, "content-length:");
		if (body && length && n >= (size_t)(body + 4 - in) + (size_t)atoi(length + 15))
			return body + 4;
	}
}

static void post(const char *path, const char *body, size_t n)
{
	char head[256];
	int len = snprintf(head, sizeof(head),
		"POST /2018-06-01/runtime/%s HTTP/1.1\r\nHost: api\r\nContent-Length: %zu\r\n\r\n", path, n);
	send_all(head, (size_t)len);
	send_all(body, n);
	receive();
}

static void respond(const char *kind, const char *body, size_t n)
{
	char path[128];
	snprintf(path, sizeof(path), "invocation/%s/%s", id, kind);
	post(path, body, n);
}

static int errno_of(long result)
{
	return result < 0 ? errno : 0;
}

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	int failed = errno_of(fd);
	if (fd >= 0)
		close(fd);
	return failed;
}

static size_t add(size_t n, const char *format, ...) __attribute__((format(printf, 2, 3)));

static size_t add(size_t n, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	n += (size_t)vsnprintf(out + n, sizeof(out) - n, format, args);
	va_end(args);
	return n;
}

static int clone_user(void)
{
	long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0)
		_exit(0);
	return errno_of(child);
}

static int dies(void (*in_child)(void))
{
	pid_t child = fork();
	if (child == 0) {
		errno = 0;
		in_child();
		_exit(errno);
	}
	int status;
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void trace_me(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void many_descriptors(void)
{
	while (dup(0) >= 0)
		;
}

/* What the walls say to each attempt: errno values, 0 where it works. */
static void walls(void)
{
	char root[256], status[4096] = "";
	int fd = open("/tmp/walls", O_RDWR | O_CREAT | O_CLOEXEC, 0600),
	    from = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || from < 0 || read(from, status, sizeof(status) - 1) < 0)
		die("/tmp/walls");
	struct rlimit files, processes;
	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_NPROC, &processes);
	const char *caps = strstr(status, "CapEff:");
	size_t n = add(0, "{\"uid\": %d, \"gid\": %d, \"files\": %d, \"processes\": %d, \"caps\": \"%.16s\"", getuid(),
		getgid(), (int)files.rlim_cur, (int)processes.rlim_cur, caps ? caps + 8 : "");
	n = add(n, ", \"chroot\": %d, \"ptrace\": %d, \"unshare\": %d", errno_of(chroot("/")), dies(trace_me),
		errno_of(unshare(CLONE_NEWUSER)));
	n = add(n, ", \"mount\": %d, \"umount\": %d, \"pivot\": %d", errno_of(mount("none", "/tmp", "tmpfs", 0, NULL)),
		errno_of(umount2("/tmp", 0)), errno_of(syscall(SYS_pivot_root, ".", ".")));
	n = add(n, ", \"setns\": %d, \"clone_user\": %d, \"clone3\": %d", errno_of(setns(fd, 0)), clone_user(),
		errno_of(syscall(SYS_clone3, NULL, 0)));
	n = add(n, ", \"seccomp\": %d, \"prctl_seccomp\": %d",
		errno_of(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL)),
		errno_of(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)));
	n = add(n, ", \"pdeathsig\": %d, \"no_new_privs\": %d", errno_of(prctl(PR_SET_PDEATHSIG, SIGKILL)),
		errno_of(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	n = add(n, ", \"fallocate\": %d, \"process_vm\": %d, \"bpf\": %d", errno_of(fallocate(fd, 0, 0, 1)),
		errno_of(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0)),
		errno_of(syscall(SYS_bpf, 0, NULL, 0)));
	n = add(n, ", \"keyctl\": %d, \"perf\": %d", errno_of(syscall(SYS_keyctl, 0, -3, 0)),
		errno_of(syscall(SYS_perf_event_open, NULL, 0, 0, -1, 0)));
	n = add(n, ", \"root_write\": %d, \"proc_write\": %d, \"shm\": %d, \"dev_fd\": %d, \"tty\": %d",
		open_errno("/file", O_WRONLY | O_CREAT), open_errno("/proc/self/oom_score_adj", O_WRONLY),
		open_errno("/dev/shm/x", O_WRONLY | O_CREAT), open_errno("/dev/fd/0", O_RDONLY),
		open_errno("/dev/tty", O_RDWR));
	n = add(n, ", \"init_root\": %d, \"init_environ\": %d", errno_of(readlink("/proc/1/root", root, sizeof(root))),
		open_errno("/proc/1/environ", O_RDONLY));
	n = add(n, ", \"null\": %d, \"urandom\": %d, \"memfd\": %d, \"link\": %d, \"too_many_files\": %d}",
		open_errno("/dev/null", O_RDWR), open_errno("/dev/urandom", O_RDONLY), errno_of(memfd_create("x", 0)),
		errno_of(link("/tmp/walls", "/tmp/walls2")), dies(many_descriptors));
	unlink("/tmp/walls");
	unlink("/tmp/walls2");
	close(fd);
	close(from);
	respond("response", out, n);
}

static void print_env(void)
{
	size_t n = add(0, "[");
	for (char **at = environ; *at; at++)
		n = add(n, "%s\"%s\"", at == environ ? "" : ", ", *at);
	n = add(n, "]");
	respond("response", out, n);
}

/* A child that goes on after the answer, as long as it isn't frozen. */
static void spawn(void)
{
	if (fork() == 0) {
		int fd = open("/tmp/ticks", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		while (write(fd, ".", 1) == 1)
			usleep(2000);
		_exit(0);
	}
	struct stat st = { 0 };
	while (stat("/tmp/ticks", &st) < 0 || st.st_size < 3)
		usleep(1000);
	respond("response", "true", 4);
}

/* How much goes into /tmp, in MiB. */
static void fill(void)
{
	static char block[1 << 20];
	int fd = open("/tmp/full", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), mb = 0;
	while (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
		mb++;
	int failed = errno;
	unlink("/tmp/full");
	close(fd);
	respond("response", out, add(0, "{\"mb\": %d, \"errno\": %d}", mb, failed));
}

static void allocate(void)
{
	for (;;) {
		/* Not malloc, which a compiler may do without when nobody looks at the memory. */
		char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (block == MAP_FAILED)
			exit(7);
		memset(block, 1, 1 << 20);
		usleep(1000);
	}
}

static bool asked(const char *body, const char *what)
{
	char text[64];
	snprintf(text, sizeof(text), "\"do\": \"%s\"", what);
	return strstr(body, text);
}

/* Whether something was there before, and for how many invocations this process lives. */
static void state(int n)
{
	int marked = access("/tmp/mark", F_OK) == 0;
	close(open("/tmp/mark", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	struct stat st = { 0 };
	int ticks = stat("/tmp/ticks", &st) == 0 ? (int)st.st_size : 0;
	respond("response", out, add(0, "{\"marked\": %d, \"n\": %d, \"ticks\": %d}", marked, n, ticks));
}

static void serve(int n)
{
	static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n";
	send_all(next, sizeof(next) - 1);
	char *body = receive(), *header = strcasestr(in, "lambda-runtime-aws-request-id:");
	if (!header || sscanf(header + 30, " %63[^\r]", id) != 1)
		die("no request id");
	if (asked(body, "exit"))
		exit(1);
	if (asked(body, "exit0"))
		exit(0);
	if (asked(body, "crash"))
		raise(SIGSEGV);
	if (asked(body, "hang"))
		for (;;)
			pause();
	if (asked(body, "allocate"))
		allocate();
	if (asked(body, "respond_then_exit")) {
		respond("response", "1", 1);
		exit(4);
	}
	if (asked(body, "error")) {
		static const char error[] = "{\"errorMessage\":\"it is broken\",\"errorType\":\"Function.Broken\"}";
		respond("error", error, sizeof(error) - 1);
	} else if (asked(body, "large")) {
		memset(out, 'x', LARGE);
		out[0] = out[LARGE - 1] = '"';
		respond("response", out, LARGE);
	} else if (asked(body, "walls")) {
		walls();
	} else if (asked(body, "env")) {
		print_env();
	} else if (asked(body, "spawn")) {
		spawn();
	} else if (asked(body, "fill")) {
		fill();
	} else if (asked(body, "state")) {
		state(n);
	} else if (asked(body, "sleep")) {
		usleep(300000);
		respond("response", "true", 4);
	} else {
		fprintf(stderr, "said by the function\n");
		char *copy = strdup(body);
		respond("response", copy, strlen(copy));
		free(copy);
	}
}

int main(void)
{
	const char *init = getenv("FAKE_INIT");
	dial();
	if (init && strcmp(init, "exit") == 0)
		exit(3);
	if (init && strcmp(init, "hang") == 0)
		pause();
	if (init && strcmp(init, "error") == 0) {
		static const char error[] = "{\"errorMessage\":\"no start\",\"errorType\":\"Function.NoStart\"}";
		post("init/error", error, sizeof(error) - 1);
		exit(5);
	}
	for (int n = 1;; n++)
		serve(n);
}
