#include "tests/cloud/jail.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "tests/cloud/jail_protocol.h"

enum {
	ANSWER_TIMEOUT_MS = 20000
}; /* of the jail program: it does nothing that takes long, but the machine may be busy */

struct jail {
	pid_t pid;
	int requests, events;
	_Atomic int64_t memory_bytes;
	pthread_mutex_t lock; /* a request and its answer */
};

static int find_program(char *ret, size_t size, struct error *err)
{
	const char *named = getenv("LLAMA_CLOUD_JAIL");
	if (named) {
		snprintf(ret, size, "%s", named);
		return 0;
	}
	ssize_t n = readlink("/proc/self/exe", ret, size - 1);
	if (n < 0)
		return error_set(err, errno, "cannot read /proc/self/exe");
	ret[n] = '\0';
	char *slash = strrchr(ret, '/');
	snprintf(slash + 1, size - (size_t)(slash + 1 - ret), "llama-cloud-jail");
	return 0;
}

static int spawn(const struct jail_options *options, int requests, int events, pid_t *ret, struct error *err)
{
	char program[4096], tmp[32], memory[32];
	if (find_program(program, sizeof(program), err) < 0)
		return -1;
	snprintf(tmp, sizeof(tmp), "%lld", (long long)options->tmp_mb);
	snprintf(memory, sizeof(memory), "%lld", (long long)options->memory_mb);
	char *args[] = { program, (char *)options->root, tmp, memory, (char *)options->ca_file, NULL };
	char *none[] = { NULL };
	/* Above what they become, so that no dup2 hits one that is still needed. */
	_cleanup_close_ int high_requests = fcntl(requests, F_DUPFD_CLOEXEC, 10);
	_cleanup_close_ int high_events = fcntl(events, F_DUPFD_CLOEXEC, 10);
	_cleanup_close_ int high_log = fcntl(options->log_fd, F_DUPFD_CLOEXEC, 10);
	if (high_requests < 0 || high_events < 0 || high_log < 0)
		return error_set(err, errno, "cannot start %s", program);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t empty, all;
	sigemptyset(&empty);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, high_log, 1);
	posix_spawn_file_actions_adddup2(&actions, high_log, 2);
	posix_spawn_file_actions_adddup2(&actions, high_requests, JAIL_REQUESTS);
	posix_spawn_file_actions_adddup2(&actions, high_events, JAIL_EVENTS);
	posix_spawnattr_setsigmask(&attributes, &empty);
	posix_spawnattr_setsigdefault(&attributes, &all);
	/* Out of the terminal's reach: Ctrl-C is for the cloud, which then takes down its jails. */
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	int failed = posix_spawn(ret, program, &actions, &attributes, args, none);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return failed == 0 ? 0 : error_set(err, failed, "cannot start %s", program);
}

static int receive_answer(struct jail *jail, struct jail_answer *ret, struct error *err)
{
	struct pollfd fd = { .fd = jail->requests, .events = POLLIN };
	int ready;
	do
		ready = poll(&fd, 1, ANSWER_TIMEOUT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return error_set(err, ready < 0 ? errno : ETIMEDOUT, "the jail doesn't answer");
	if (recv(jail->requests, ret, sizeof(*ret), 0) != sizeof(*ret))
		return error_set(err, 0, "the jail is gone");
	jail->memory_bytes = ret->memory_bytes;
	if (!ret->failed)
		return 0;
	if (err) {
		err->code = ret->failed;
		snprintf(err->text, sizeof(err->text), "%.*s", (int)sizeof(ret->text), ret->text);
	}
	return ret->invalid ? JAIL_INVALID : -1;
}

static int ask(struct jail *jail, struct slice packet, struct error *err)
{
	struct jail_answer answer;
	pthread_mutex_lock(&jail->lock);
	int done = send(jail->requests, packet.ptr, packet.len, MSG_NOSIGNAL) == (ssize_t)packet.len
			   ? receive_answer(jail, &answer, err)
			   : error_set(err, errno, "the jail is gone");
	pthread_mutex_unlock(&jail->lock);
	return done;
}

static int ask_verb(struct jail *jail, enum jail_verb verb, struct error *err)
{
	struct jail_request request = { .verb = verb };
	return ask(jail, slice_of(&request, sizeof(request)), err);
}

struct jail *jail_open(const struct jail_options *options, struct error *err)
{
	int requests[2], events[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, requests) < 0) {
		error_set(err, errno, "cannot make a socket");
		return NULL;
	}
	_cleanup_close_ int our_requests = requests[0], their_requests = requests[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, events) < 0) {
		error_set(err, errno, "cannot make a socket");
		return NULL;
	}
	_cleanup_close_ int our_events = events[0], their_events = events[1];
	pid_t pid;
	if (spawn(options, their_requests, their_events, &pid, err) < 0)
		return NULL;
	close(take_fd(their_requests));
	close(take_fd(their_events));
	struct jail *jail = calloc(1, sizeof(*jail));
	if (!jail)
		abort();
	*jail = (struct jail){ .pid = pid, .requests = take_fd(our_requests), .events = take_fd(our_events) };
	pthread_mutex_init(&jail->lock, NULL);
	struct jail_answer answer;
	if (receive_answer(jail, &answer, err) == 0)
		return jail;
	jail_close(jail);
	return NULL;
}

void jail_close(struct jail *jail)
{
	if (!jail)
		return;
	/* Init ends when the sockets close, and the outer process when the whole namespace has. */
	close(jail->requests);
	close(jail->events);
	_cleanup_close_ int process = pidfd_open(jail->pid, 0);
	struct pollfd ended = { .fd = process, .events = POLLIN };
	if (process < 0 || poll(&ended, 1, ANSWER_TIMEOUT_MS) != 1)
		kill(jail->pid, SIGKILL);
	while (waitpid(jail->pid, NULL, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_destroy(&jail->lock);
	free(jail);
}

static uint32_t add_strings(struct buf *packet, const char *const *strings)
{
	uint32_t n = 0;
	for (; strings[n]; n++)
		buf_append(packet, strings[n], strlen(strings[n]) + 1);
	return n;
}

int jail_start(struct jail *jail, uint32_t generation, const struct jail_program *program, struct error *err)
{
	_cleanup_buf_ struct buf packet = { 0 };
	struct jail_request request = { .verb = JAIL_START, .generation = generation };
	buf_append(&packet, &request, sizeof(request));
	buf_append(&packet, program->directory, strlen(program->directory) + 1);
	request.n_args = add_strings(&packet, program->args);
	request.n_env = add_strings(&packet, program->env);
	memcpy(packet.ptr, &request, sizeof(request));
	if (packet.len > JAIL_REQUEST_BYTES)
		return error_set(err, E2BIG, "the entry point's arguments and environment are too long");
	return ask(jail, buf_slice(&packet), err);
}

int jail_freeze(struct jail *jail, struct error *err)
{
	return ask_verb(jail, JAIL_FREEZE, err);
}

int jail_thaw(struct jail *jail, struct error *err)
{
	return ask_verb(jail, JAIL_THAW, err);
}

int jail_kill(struct jail *jail, struct error *err)
{
	return ask_verb(jail, JAIL_KILL, err);
}

int64_t jail_memory(const struct jail *jail)
{
	return jail->memory_bytes;
}

pid_t jail_pid(const struct jail *jail)
{
	return jail->pid;
}

int jail_fd(const struct jail *jail)
{
	return jail->events;
}

int jail_wait(struct jail *jail, struct jail_end *ret)
{
	struct jail_event event;
	ssize_t n;
	do
		n = recv(jail->events, &event, sizeof(event), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(event))
		return 0;
	*ret = (struct jail_end){ event.generation, event.status, event.out_of_memory != 0, event.memory_bytes };
	return 1;
}
