#include "daemon/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/inputs.h"
#include "wire/endpoint.h"
#include "wire/frame.h"

enum { PATIENCE_MS = 60000, SETTLE_NS = 25000000, WORDS_MAX = 32, CLIENTS_MAX = 64, NAMES_MAX = 256 };

struct world {
	struct arena arena; /* lives as long as the world */
	char dir[64];	    /* holds work/, run/, cache/, config.ini and messages */
	const char *work;
	struct endpoint endpoint;
	pid_t daemon;		    /* 0: has gone */
	pid_t clients[CLIENTS_MAX]; /* not waited for yet; 0: free */
	struct buf messages, list;
	json_t *status; /* the last one asked for */
};

static struct world *current;

/* --- The daemon ------------------------------------------------------------------------------------------------ */

static void must(int outcome, const struct error *err)
{
	if (outcome < 0)
		fail_msg("%s", err->text);
}

static int run_daemon(const struct world *world, const char *config_path)
{
	struct config config;
	struct error err;
	char *const environment[] = { (char *)"HOME=/nonexistent", NULL };
	int outcome = config_load(config_path, environment, &config, &err);
	if (outcome == 0) {
		struct daemon_options options = {
			.config = &config,
			.endpoint = world->endpoint,
			.foreground = true,
			.runner = TEST_RUNNER,
			.interposer = TEST_INTERPOSER,
		};
		outcome = daemon_run(&options, &err);
	}
	if (outcome < 0)
		print_message("daemon: %s\n", err.text);
	config_deinit(&config);
	return outcome == DAEMON_ALREADY_RUNNING ? SECOND_DAEMON : outcome == 0 ? 0 : 2;
}

static int connect_daemon(const struct world *world)
{
	struct error err;
	return endpoint_connect(&world->endpoint, PATIENCE_MS, &err);
}

static void start_daemon(struct world *world, const char *settings)
{
	struct error err;
	_cleanup_buf_ struct buf path = { 0 }, text = { 0 };
	buf_printf(&path, "%s/config.ini", world->dir);
	buf_printf(&text, "jobs = 2\nsandbox = inplace\ncache_dir = %s/cache\n%s\n", world->dir, settings);
	must(file_replace(path.ptr, buf_slice(&text), 0600, &err), &err);
	world->daemon = fork();
	if (world->daemon == 0)
		exit(run_daemon(world, path.ptr)); /* exit, not _exit: leaks are looked for */
	assert_true(world->daemon > 0);
	for (int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS; clock_monotonic_ms() < end_ms; usleep(2000)) {
		_cleanup_close_ int fd = connect_daemon(world);
		if (fd >= 0)
			return;
		if (waitpid(world->daemon, NULL, WNOHANG) == world->daemon) {
			world->daemon = 0;
			fail_msg("the daemon doesn't come up");
		}
	}
	fail_msg("the daemon doesn't listen");
}

/* The exit status of a process that has to end by now, 128 + the signal that killed it, or -1: it goes on. */
static int wait_process(pid_t pid)
{
	int status;
	for (int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS; clock_monotonic_ms() < end_ms; usleep(2000))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	kill(pid, SIGABRT);
	waitpid(pid, NULL, 0);
	return -1;
}

void world_expect_departure(struct world *world)
{
	pid_t pid = world->daemon;
	world->daemon = 0;
	assert_int_equal(wait_process(pid), 0);
	assert_int_equal(access(world->endpoint.socket, F_OK), -1);
}

int world_second_daemon(struct world *world)
{
	pid_t pid = fork();
	if (pid == 0)
		exit(run_daemon(world, arena_printf(&world->arena, "%s/config.ini", world->dir)));
	assert_true(pid > 0);
	return wait_process(pid);
}

void world_stop(struct world *world)
{
	kill(world->daemon, SIGTERM);
}

static void stop_and_wait(struct world *world)
{
	if (world->daemon <= 0)
		return;
	world_stop(world);
	world_expect_departure(world);
}

struct world *world_new(const char *settings)
{
	struct error err;
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	assert_null(current);
	current = world;
	strcpy(world->dir, "/tmp/llama-test-world-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	world->work = arena_printf(&world->arena, "%s/work", world->dir);
	must(file_make_dirs(world->work, 0755, &err), &err);
	must(endpoint_init(&world->endpoint, arena_printf(&world->arena, "%s/run", world->dir), NULL, &err), &err);
	start_daemon(world, settings);
	return world;
}

int world_end(void **state)
{
	struct world *world = current;
	current = NULL;
	if (!world)
		return 0;
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (world->clients[i] <= 0)
			continue; /* the others are of a test that failed */
		kill(world->clients[i], SIGKILL);
		waitpid(world->clients[i], NULL, 0);
	}
	int failed = 0;
	if (world->daemon > 0) {
		world_stop(world);
		failed = wait_process(world->daemon);
	}
	struct error err;
	if (file_remove_tree(AT_FDCWD, world->dir, &err) < 0)
		failed = -1;
	json_decref(world->status);
	buf_deinit(&world->messages);
	buf_deinit(&world->list);
	arena_deinit(&world->arena);
	free(world);
	return failed;
}

void world_restart(struct world *world, const char *settings)
{
	stop_and_wait(world);
	start_daemon(world, settings);
}

/* --- Files ----------------------------------------------------------------------------------------------------- */

/* The clock that stamps files, which may lag far behind, must advance by more than inputs.c takes for its grain. */
void world_settle(struct world *world)
{
	const char *path = arena_printf(&world->arena, "%s/stamp", world->dir);
	int64_t start_ns = inputs_moment(path).stamp_ns;
	while (inputs_moment(path).stamp_ns < start_ns + SETTLE_NS)
		usleep(5000);
}

void world_write(struct world *world, const char *name, const char *text)
{
	struct error err;
	_cleanup_buf_ struct buf path = { 0 };
	buf_printf(&path, "%s/%s", world->work, name);
	*strrchr(path.ptr, '/') = '\0';
	must(file_make_dirs(path.ptr, 0755, &err), &err);
	path.ptr[strlen(path.ptr)] = '/';
	must(file_replace(path.ptr, slice_str(text), 0644, &err), &err);
	world_settle(world);
}

void world_remove(struct world *world, const char *name)
{
	assert_int_equal(unlink(arena_printf(&world->arena, "%s/%s", world->work, name)), 0);
	world_settle(world);
}

void world_shell(struct world *world, const char *script)
{
	if (system(arena_printf(&world->arena, "unset LANGUAGE; export LC_ALL=C; cd %s && %s", world->work, script)) !=
		0)
		fail_msg("%s: fails", script);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *world_list(struct world *world)
{
	_cleanup_closedir_ DIR *dir = opendir(world->work);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *names[NAMES_MAX];
	size_t n = 0;
	for (struct dirent *entry; (entry = readdir(dir)) && n < NAMES_MAX;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			names[n++] = arena_strdup(&arena, entry->d_name);
	qsort(names, n, sizeof(*names), compare_names);
	buf_reset(&world->list);
	for (size_t i = 0; i < n; i++)
		buf_printf(&world->list, "%s ", names[i]);
	return buf_str(&world->list);
}

void world_wait_name(struct world *world, const char *part)
{
	for (int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS; clock_monotonic_ms() < end_ms; usleep(2000))
		if (strstr(world_list(world), part))
			return;
	fail_msg("no %s among %s", part, world_list(world));
}

/* --- Clients --------------------------------------------------------------------------------------------------- */

/* Read until there is a frame. -1: the daemon hung up. */
static int receive(int fd, struct buf *in, enum frame_type *type, struct slice *payload)
{
	struct error err;
	size_t used;
	int outcome;
	while ((outcome = frame_next(buf_slice(in), type, payload, &used, &err)) == FRAME_INCOMPLETE) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		char *at = buf_reserve(in, 65536);
		if (poll(&ready, 1, PATIENCE_MS) <= 0)
			return -1;
		ssize_t n = read(fd, at, 65536);
		if (n <= 0)
			return -1;
		in->len += (size_t)n;
	}
	return outcome;
}

static const char *find_compiler(const struct world *world, struct arena *arena, const char *name)
{
	if (strchr(name, '/'))
		return path_absolute(arena, world->work, name);
	static const char *const directories[] = { "/usr/bin", "/usr/local/bin", "/bin" };
	for (size_t i = 0; i < 3; i++) {
		const char *path = arena_printf(arena, "%s/%s", directories[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return "";
}

static void say(int fd, const char *decision)
{
	dprintf(fd, "%s", decision);
}

static void commit(const struct frame_done *done)
{
	for (size_t i = 0; i < done->n_renames; i++) {
		const struct frame_rename *r = &done->renames[i];
		unlink(r->target);
		if (*r->temporary && rename(r->temporary, r->target) < 0)
			_exit(99);
	}
}

/* In the client's process: never returns. */
static void run_client(struct world *world, const char **argv, size_t argc, int answer_fd)
{
	const char *env[WORDS_MAX + 4] = { "PATH=/usr/bin:/bin", "HOME=/nonexistent", "LLAMACC_BUILD_ID=world" };
	size_t n_env = 3;
	for (; strchr(argv[0], '='); argv++, argc--)
		env[n_env++] = argv[0];
	struct arena arena = ARENA_INIT;
	struct buf frame = { 0 }, in = { 0 };
	struct error err;
	struct frame_request request = {
		.compiler = find_compiler(world, &arena, argv[0]),
		.cwd = world->work,
		.argv = { argv, argc },
		.env = { env, n_env },
		.umask = 022,
		.root_dev = world->endpoint.root_dev,
		.root_ino = world->endpoint.root_ino,
		.mount_ns = world->endpoint.mount_ns,
	};
	int fd = connect_daemon(world);
	frame_put_request(&frame, &request);
	enum frame_type type;
	struct slice payload;
	if (fd < 0 || chdir(world->work) < 0 || file_write_fd(fd, buf_slice(&frame), &err) < 0 ||
		receive(fd, &in, &type, &payload) < 0) {
		say(answer_fd, "hung up");
		_exit(98);
	}
	struct frame_done done;
	struct frame_local local;
	if (type == FRAME_DONE && frame_get_done(payload, &arena, &done, &err) == 0) {
		commit(&done);
		(void)file_write_fd(1, done.out, &err);
		(void)file_write_fd(2, done.err, &err);
		buf_reset(&frame);
		frame_put_committed(&frame);
		(void)file_write_fd(fd, buf_slice(&frame), &err);
		say(answer_fd, "done");
		_exit((int)done.exit_code);
	}
	if (type == FRAME_LOCAL && frame_get_local(payload, &arena, &local, &err) == 0) {
		say(answer_fd, arena_printf(&arena, "local:%s", local.reason));
		close(fd);
		execve(request.compiler, (char **)argv, (char **)env);
	}
	_exit(97);
}

struct client world_start(struct world *world, const char *command)
{
	const char *argv[WORDS_MAX + 1] = { NULL };
	size_t argc = 0;
	for (char *rest = arena_strdup(&world->arena, command), *word; argc < WORDS_MAX && (word = strsep(&rest, " "));)
		argv[argc++] = word;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	const char *messages = arena_printf(&world->arena, "%s/messages", world->dir);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		run_client(world, argv, argc, ends[1]);
	}
	assert_true(pid > 0);
	close(ends[1]);
	size_t i = 0;
	while (i < CLIENTS_MAX && world->clients[i])
		i++;
	assert_true(i < CLIENTS_MAX);
	world->clients[i] = pid;
	return (struct client){ pid, ends[0] };
}

static int wait_client(struct world *world, pid_t pid)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (world->clients[i] == pid)
			world->clients[i] = 0;
	return wait_process(pid);
}

struct outcome world_finish(struct world *world, struct client client)
{
	struct outcome ret = { 0 };
	struct error err;
	_cleanup_close_ int fd = client.answer_fd;
	ret.exit_code = wait_client(world, client.pid);
	ssize_t n = read(fd, ret.decision, sizeof(ret.decision) - 1);
	assert_true(n > 0);
	buf_reset(&world->messages);
	must(file_read(arena_printf(&world->arena, "%s/messages", world->dir), 1 << 20, &world->messages, &err), &err);
	return ret;
}

void world_kill(struct world *world, struct client client)
{
	kill(client.pid, SIGKILL); /* which may come too late */
	assert_true(wait_client(world, client.pid) >= 0);
	close(client.answer_fd);
}

struct outcome world_compile(struct world *world, const char *command)
{
	return world_finish(world, world_start(world, command));
}

const char *world_messages(struct world *world)
{
	return buf_str(&world->messages);
}

bool world_sends_garbage(struct world *world, const void *bytes, size_t n)
{
	struct error err;
	_cleanup_close_ int fd = connect_daemon(world);
	assert_true(fd >= 0);
	must(file_write_fd(fd, slice_of(bytes, n), &err), &err);
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;
	return poll(&ready, 1, PATIENCE_MS) == 1 && read(fd, &byte, 1) <= 0;
}

/* --- Numbers --------------------------------------------------------------------------------------------------- */

/* The daemon's answer to a control verb, as JSON; the caller's to decref. */
static json_t *ask(struct world *world, const char *verb)
{
	struct error err;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf frame = { 0 }, in = { 0 };
	_cleanup_close_ int fd = connect_daemon(world);
	assert_true(fd >= 0);
	frame_put_control(&frame, &(struct frame_control){ .verb = verb });
	must(file_write_fd(fd, buf_slice(&frame), &err), &err);
	enum frame_type type;
	struct slice payload;
	struct frame_control_reply reply;
	assert_int_equal(receive(fd, &in, &type, &payload), 0);
	assert_int_equal(type, FRAME_CONTROL_REPLY);
	must(frame_get_control_reply(payload, &arena, &reply, &err), &err);
	json_t *json = json_loadb(reply.text.ptr, reply.text.len, 0, NULL);
	assert_non_null(json);
	return json;
}

static json_t *at(json_t *json, const char *key)
{
	char copy[128];
	snprintf(copy, sizeof(copy), "%s", key);
	for (char *rest = copy, *part; (part = strsep(&rest, "."));)
		json = json_object_get(json, part);
	return json;
}

long long world_stat(struct world *world, const char *key)
{
	json_t *stats = ask(world, "stats");
	long long n = json_integer_value(at(stats, key));
	json_decref(stats);
	return n;
}

static json_t *status(struct world *world)
{
	json_decref(world->status);
	world->status = ask(world, "status");
	return world->status;
}

long long world_status(struct world *world, const char *key)
{
	return json_integer_value(at(status(world), key));
}

const char *world_status_text(struct world *world, const char *key)
{
	return json_string_value(at(status(world), key));
}

void world_wait_status(struct world *world, const char *key, long long value)
{
	for (int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS; clock_monotonic_ms() < end_ms; usleep(2000))
		if (world_status(world, key) == value)
			return;
	fail_msg("%s is %lld, not %lld", key, world_status(world, key), value);
}

void world_expect(struct world *world, const char *command, const char *key)
{
	long long before = world_stat(world, key);
	struct outcome outcome = world_compile(world, command);
	if (strcmp(outcome.decision, "done") != 0 || outcome.exit_code != 0)
		fail_msg("%s: %s, exit status %d: %s", command, outcome.decision, outcome.exit_code,
			world_messages(world));
	if (world_stat(world, key) != before + 1)
		fail_msg("%s: is not counted under %s", command, key);
}

void expect_local(struct world *world, const char *command, const char *reason)
{
	struct outcome outcome = world_compile(world, command);
	char expected[64];
	snprintf(expected, sizeof(expected), "local:%s", reason);
	assert_string_equal(outcome.decision, expected);
}
