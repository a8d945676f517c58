#include "cli/control.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"

enum { CONNECT_TIMEOUT_MS = 5000, ANSWER_TIMEOUT_MS = 30000, WORDS_LIMIT_BYTES = 64 * 1024 };

int control_init(struct control *control, struct error *err)
{
	if (config_load(NULL, environ, &control->config, err) < 0)
		return -1;
	return endpoint_init(&control->endpoint, control->config.runtime_dir, control->config.profile_name, err);
}

void control_deinit(struct control *control)
{
	config_deinit(&control->config);
}

static bool nobody_listens(const struct error *err)
{
	return err->code == ENOENT || err->code == ECONNREFUSED;
}

static int no_answer(int fd, const char *what, struct error *err)
{
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	return error_set(err, 0,
		"the daemon (process %d) %s; `kill %d` ends it, and the next compilation starts another", peer.pid,
		what, peer.pid);
}

static int read_reply(int fd, int timeout_ms, struct arena *arena, struct buf *bytes, struct frame_control_reply *ret,
	struct error *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	for (;;) {
		enum frame_type type;
		struct slice payload;
		size_t used;
		int outcome = frame_next(buf_slice(bytes), &type, &payload, &used, err);
		if (outcome < 0)
			return -1;
		if (outcome == 0) {
			if (type != FRAME_CONTROL_REPLY)
				return error_set(err, 0, "the daemon answered with a frame of type %d", type);
			return frame_get_control_reply(payload, arena, ret, err);
		}
		int64_t left_ms = deadline_ms - clock_monotonic_ms();
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		int ready = poll(&readable, 1, left_ms > 0 ? (int)left_ms : 0);
		if (ready < 0 && errno != EINTR)
			return error_set(err, errno, "cannot wait for the daemon");
		if (ready == 0)
			return no_answer(fd, "does not answer", err);
		if (ready < 0)
			continue;
		ssize_t n = read(fd, buf_reserve(bytes, 64 * 1024), 64 * 1024);
		if (n < 0 && errno != EINTR && errno != ECONNRESET)
			return error_set(err, errno, "cannot read from the daemon");
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return no_answer(fd, "closed the connection: it is leaving, or of another version", err);
		if (n > 0)
			bytes->len += (size_t)n;
	}
}

int control_ask(const struct control *control, const char *verb, const char *argument,
	const struct frame_request *request, int timeout_ms, struct buf *ret, struct error *err)
{
	_cleanup_close_ int fd = endpoint_connect(&control->endpoint, CONNECT_TIMEOUT_MS, err);
	if (fd < 0)
		return nobody_listens(err) ? CONTROL_NO_DAEMON : -1;
	const char *arguments[] = { argument, NULL };
	struct frame_control question = {
		.verb = verb, .args = { arguments, argument ? 1 : 0 }, .has_request = request != NULL
	};
	if (request)
		question.request = *request;
	_cleanup_buf_ struct buf bytes = { 0 };
	frame_put_control(&bytes, &question);
	for (size_t sent = 0; sent < bytes.len;) {
		ssize_t n = send(fd, bytes.ptr + sent, bytes.len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return no_answer(fd, "closed the connection: it is leaving, or of another version", err);
		sent += n > 0 ? (size_t)n : 0;
	}
	buf_reset(&bytes);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct frame_control_reply reply;
	if (read_reply(fd, timeout_ms, &arena, &bytes, &reply, err) < 0)
		return -1;
	if (reply.status != 0)
		return error_set(
			err, 0, "%.*s", (int)reply.text.len, reply.text.ptr ? reply.text.ptr : "the daemon refused");
	buf_append_slice(ret, reply.text);
	return 0;
}

int control_ask_json(
	const struct control *control, const char *verb, const char *argument, json_t **ret, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	int outcome = control_ask(control, verb, argument, NULL, ANSWER_TIMEOUT_MS, &text, err);
	if (outcome != 0)
		return outcome;
	json_error_t problem;
	json_t *object = json_loadb(buf_str(&text), text.len, 0, &problem);
	if (!json_is_object(object)) {
		json_decref(object);
		return error_set(err, 0, "cannot read the daemon's answer to `%s`: %s", verb,
			object ? "not an object" : problem.text);
	}
	*ret = object;
	return 0;
}

int control_daemon_pid(const struct control *control, pid_t *ret, struct error *err)
{
	_cleanup_close_ int fd = endpoint_connect(&control->endpoint, CONNECT_TIMEOUT_MS, err);
	if (fd < 0)
		return nobody_listens(err) ? CONTROL_NO_DAEMON : -1;
	struct ucred peer;
	socklen_t length = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return error_set(err, errno, "cannot tell the daemon's process");
	*ret = peer.pid;
	return 0;
}

/* Of "llama daemon: TEXT\n…": TEXT. */
static const char *first_words(struct buf *said)
{
	static const char prefix[] = "llama daemon: ";
	if (said->len == 0)
		return "`llama daemon` failed without a word";
	said->ptr[strcspn(said->ptr, "\n")] = '\0';
	return said->ptr + (strncmp(said->ptr, prefix, sizeof(prefix) - 1) == 0 ? sizeof(prefix) - 1 : 0);
}

int control_start_daemon(const struct control *control, struct error *err)
{
	pid_t pid;
	int outcome = control_daemon_pid(control, &pid, err);
	if (outcome != CONTROL_NO_DAEMON)
		return outcome;
	/* Not /proc/self/exe: the process would be called "exe". */
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *llama;
	if (control_find_program("llama", &arena, &llama, err) < 0)
		return -1;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		/* Our stdout may be a pipe that somebody reads to its end. */
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null >= 0)
			dup2(null, 1);
		dup2(ends[1], 2);
		execl(llama, "llama", "daemon", (char *)NULL);
		_exit(127);
	}
	int problem = errno;
	close(ends[1]);
	_cleanup_close_ int said_fd = ends[0];
	if (pid < 0)
		return error_set(err, problem, "cannot start the daemon");
	/* The daemon itself holds no end of it. */
	_cleanup_buf_ struct buf said = { 0 };
	if (file_read_fd(said_fd, WORDS_LIMIT_BYTES, &said, err) < 0)
		return error_wrap(err, "cannot hear what `llama daemon` says");
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "cannot wait for the daemon's start");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, 0, "no daemon: %s", first_words(&said));
	return 0;
}

int control_find_program(const char *name, struct arena *arena, const char **ret, struct error *err)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return error_set(err, errno, "cannot tell where this program is (/proc/self/exe)");
	self[n] = '\0';
	const char *directory = path_dirname(arena, self);
	const char *beside = arena_printf(arena, "%s/%s", directory, name);
	if (access(beside, F_OK) == 0) {
		*ret = beside;
		return 0;
	}
	const char *libexec = arena_printf(arena, "%s/libexec/llama/%s", path_dirname(arena, directory), name);
	if (access(libexec, F_OK) == 0) {
		*ret = libexec;
		return 0;
	}
	return error_set(err, 0, "%s is neither beside %s nor %s; install llama again", name, self, libexec);
}

const char *control_find_apparmor_profile(struct arena *arena)
{
	struct error err;
	const char *self;
	if (control_find_program("llama", arena, &self, &err) < 0)
		return NULL;
	const char *profile = arena_printf(arena, "%s/share/llama/apparmor/llama", path_dirname(arena, path_dirname(arena, self)));
	return access(profile, R_OK) == 0 ? profile : NULL;
}

void control_choose_environment(const char *name)
{
	if (strcmp(name, "llama") == 0)
		unsetenv("LLAMA_PROFILE");
	else
		setenv("LLAMA_PROFILE", name, 1);
}

uint64_t control_json_number(const json_t *object, const char *key)
{
	char part[64];
	for (;;) {
		size_t n = strcspn(key, ".");
		if (n >= sizeof(part))
			return 0;
		memcpy(part, key, n);
		part[n] = '\0';
		object = json_object_get(object, part);
		if (key[n] == '\0')
			return json_is_number(object) ? (uint64_t)json_number_value(object) : 0;
		key += n + 1;
	}
}

static const char *text_of(const json_t *status, const char *key)
{
	const char *text = json_string_value(json_object_get(status, key));
	return text ? text : "";
}

void control_describe_lambda(const json_t *status, struct buf *to)
{
	const char *state = text_of(status, "lambda"), *why = text_of(status, "lambda_why");
	if (strcmp(state, "ready") == 0 || strcmp(state, "untried") == 0)
		buf_printf(to, "%s: function %s and bucket %s in %s", state, text_of(status, "function"), text_of(status, "bucket"),
			text_of(status, "region"));
	else if (strcmp(state, "down") == 0)
		buf_printf(to, "down, to be tried again in %" PRIu64 " s: %s", control_json_number(status, "lambda_back_ms") / 1000 + 1, why);
	else
		buf_printf(to, "%s: %s", *state ? state : "unknown", *why ? why : "the daemon is of another version");
}
