#include "daemon/daemon.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/key.h"
#include "daemon/cloud.h"
#include "daemon/daemon_internal.h"
#include "daemon/journal.h"
#include "daemon/ledger.h"
#include "daemon/misses.h"
#include "daemon/request.h"
#include "daemon/searches.h"
#include "daemon/server.h"
#include "daemon/share.h"
#include "daemon/toolchains.h"
#include "files/reading.h"
#include "event/work.h"
#include "exec/lane.h"
#include "exec/record.h"
#include "exec/replay.h"
#include "files/home.h"
#include "store/store_disk.h"
#include "store/store_memory.h"

enum { TICK_MS = 1000, SAVE_EVERY_TICKS = 60 };

/* In a turn of its own: what ended last may have been a job in a function. */
static void stop_cloud(uv_handle_t *tick)
{
	cloud_stop(container_of((uv_timer_t *)tick, struct daemon, tick)->cloud);
}

static void stop_loop_when_done(struct daemon *daemon)
{
	if (!daemon->leaving || daemon->n_requests > 0)
		return;
	if (daemon->share)
		share_flush(daemon->share);
	if (daemon->n_requests == 0 && !uv_is_closing((uv_handle_t *)&daemon->tick)) {
		uv_close((uv_handle_t *)&daemon->tick, stop_cloud);
		uv_close((uv_handle_t *)&daemon->turn, NULL);
	}
	/* With the server closed as well, the loop has nothing left and returns. */
}

void daemon_leave(struct daemon *daemon)
{
	if (daemon->leaving)
		return;
	daemon->leaving = true;
	server_close(daemon->server);
	stop_loop_when_done(daemon);
}

void daemon_request_ended(struct daemon *daemon)
{
	assert(daemon->n_requests > 0);
	daemon->n_requests--;
	daemon->last_active_ms = clock_monotonic_ms();
	stop_loop_when_done(daemon);
}

static void save_stats(struct daemon *daemon)
{
	struct error err;
	cloud_count(daemon->cloud);
	if (stats_save(daemon->stats, &err) < 0)
		journal_note(daemon->log, "stats", err.text);
}

/* Which files the runner and the interposer are. */
static void identify_programs(const struct daemon_options *options, struct view_identity ret[2])
{
	const char *paths[2] = { options->runner, options->interposer };
	for (int i = 0; i < 2; i++) {
		struct stat st;
		ret[i] = stat(paths[i], &st) == 0 ? reading_info(&st).identity : (struct view_identity){ 0 };
	}
}

/* By an upgrade, say. What is there now may not understand us, nor do we what it does. */
static bool programs_changed(const struct daemon *daemon)
{
	struct view_identity now[2];
	identify_programs(daemon->options, now);
	return !view_identity_equal(&now[0], &daemon->programs[0]) || !view_identity_equal(&now[1], &daemon->programs[1]);
}

static void on_tick(uv_timer_t *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, tick);
	static unsigned ticks;
	*daemon->heartbeat = clock_monotonic_ms();
	requests_review(daemon);
	if (daemon->share)
		share_tick(daemon->share);
	if (++ticks % SAVE_EVERY_TICKS == 0)
		save_stats(daemon);
	int64_t idle_ms = clock_monotonic_ms() - daemon->last_active_ms;
	if (daemon->n_requests == 0 && daemon->config->idle_timeout_ms > 0 && idle_ms >= daemon->config->idle_timeout_ms)
		daemon_leave(daemon);
	/* A socket that somebody removed, or another daemon's in its place, can't be reached any more: make room. */
	if (access(daemon->options->endpoint.socket, F_OK) < 0 || programs_changed(daemon))
		daemon_leave(daemon);
}

/* Take a lock file; DAEMON_ALREADY_RUNNING when another process has it. */
static int take_lock(const char *path, int *fd_ret, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(err, errno, "cannot open lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return DAEMON_ALREADY_RUNNING;
		return error_set(err, errno, "cannot lock %s", path);
	}
	*fd_ret = take_fd(fd);
	return 0;
}

static int map_heartbeat(struct daemon *daemon, struct error *err)
{
	const char *path = daemon->options->endpoint.heartbeat;
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(int64_t)) < 0)
		return error_set(err, errno, "cannot make heartbeat file %s", path);
	void *at = mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_set(err, errno, "cannot map heartbeat file %s", path);
	daemon->heartbeat = at;
	*daemon->heartbeat = clock_monotonic_ms();
	return 0;
}

static int open_state(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	if (file_make_dirs(config->cache_dir, 0700, err) < 0)
		return error_wrap(err, "cannot use cache_dir (set cache_dir or LLAMA_CACHE_DIR)");
	daemon->cache_dir = realpath(config->cache_dir, NULL);
	if (!daemon->cache_dir)
		return error_set(err, errno, "cannot resolve cache_dir %s", config->cache_dir);
	/* Who could write to it could have us deliver any object. What we make in it is 0700. */
	if (file_check_own_dir(daemon->cache_dir, err) < 0)
		return error_wrap(err, "cannot use cache_dir (set cache_dir or LLAMA_CACHE_DIR)");
	_cleanup_buf_ struct buf path = { 0 };
	buf_printf(&path, "%s/lock", daemon->cache_dir);
	int outcome = take_lock(path.ptr, &daemon->state_lock_fd, err);
	if (outcome == DAEMON_ALREADY_RUNNING)
		return error_set(err, 0, "cache_dir %s is in use by another daemon; give this one its own (LLAMA_CACHE_DIR)",
			daemon->cache_dir);
	if (outcome < 0)
		return -1;
	file_remove_tree(AT_FDCWD, (buf_reset(&path), buf_printf(&path, "%s/observe", daemon->cache_dir), path.ptr), NULL);

	static const enum cache_mode modes[] = {
		[CONFIG_CACHE_READWRITE] = CACHE_READWRITE,
		[CONFIG_CACHE_READONLY] = CACHE_READONLY,
		[CONFIG_CACHE_OFF] = CACHE_OFF,
	};
	daemon->cache = cache_open(daemon->cache_dir, modes[config->cache], err);
	if (!daemon->cache)
		return -1;
	cache_arm_sigbus(daemon->cache);
	buf_reset(&path);
	buf_printf(&path, "%s/content", daemon->cache_dir);
	daemon->content = store_disk_new(path.ptr, (int64_t)config->cache_size_bytes, err);
	if (!daemon->content)
		return -1;
	buf_reset(&path);
	buf_printf(&path, "%s/temporaries", daemon->cache_dir);
	daemon->ledger = ledger_open(path.ptr, err);
	if (!daemon->ledger)
		return -1;
	buf_reset(&path);
	buf_printf(&path, "%s/stats.json", daemon->cache_dir);
	daemon->stats = stats_new(path.ptr);
	return 0;
}

static struct executor *open_lanes(struct daemon *daemon, enum runner_mode mode, const char *name, struct error *err)
{
	_cleanup_buf_ struct buf directory = { 0 };
	buf_printf(&directory, "%s/%s", daemon->cache_dir, name);
	struct lane_options options = {
		.mode = mode,
		.width = daemon->config->jobs,
		.directory = directory.ptr,
		.runner = daemon->options->runner,
		.interposer = daemon->options->interposer,
		.nofile = daemon->options->nofile,
		.content = daemon->content,
		.directories = daemon->directories,
		.files = daemon->files,
	};
	return lanes_new(&daemon->loop, &options, err);
}

/* What the dev_ options put in the sandbox's place. */
static int open_stand_in(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	if (!config->dev_record && !config->dev_replay)
		return 0;
	struct engine *sandbox = &daemon->sandbox;
	if (!sandbox->executor)
		return error_set(err, 0, "dev_record and dev_replay need the sandbox: %s", sandbox->why);
	struct replay_options options = {
		.directory = config->dev_replay,
		.width = config->dev_replay_width,
		.latency_ms = config->dev_replay_latency_ms,
		.content = daemon->content,
		.directories = daemon->directories,
	};
	sandbox->stand_in = config->dev_replay ? replay_new(&daemon->loop, &options, err) :
		record_new(&daemon->loop, sandbox->executor, config->dev_record, err);
	if (config->dev_replay)
		sandbox->slots = &daemon->remote_slots;
	return sandbox->stand_in ? 0 : -1;
}

/* Without it everything is compiled on this machine. */
static void open_cloud(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct engine *lambda = &daemon->lambda;
	struct error err;
	if (!config->bucket || !config->function)
		snprintf(lambda->why, sizeof(lambda->why), "set function and bucket in the configuration");
	if (!config->bucket)
		return;
	daemon->cloud = cloud_open(daemon, &err);
	if (!daemon->cloud) {
		snprintf(lambda->why, sizeof(lambda->why), "%s", err.text);
		journal_note(daemon->log, "cloud", err.text);
	}
}

static int open_engines(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	daemon->sandbox = (struct engine){ .name = "sandbox", .executed = offsetof(struct stats_counters, executed_sandbox), .slots = &daemon->slots };
	daemon->lambda = (struct engine){ .name = "lambda", .executed = offsetof(struct stats_counters, executed_lambda), .slots = &daemon->remote_slots };
	open_cloud(daemon);
	daemon->home = open_lanes(daemon, RUNNER_INPLACE, "inplace", err);
	if (!daemon->home)
		return -1;
	if (config->sandbox == CONFIG_SANDBOX_INPLACE) {
		snprintf(daemon->sandbox.why, sizeof(daemon->sandbox.why), "sandbox = inplace is configured");
		return open_stand_in(daemon, err);
	}
	struct error why;
	daemon->sandbox.executor = open_lanes(daemon, RUNNER_NAMESPACES, "sandbox", &why);
	if (!daemon->sandbox.executor) {
		snprintf(daemon->sandbox.why, sizeof(daemon->sandbox.why), "%s", why.text);
		journal_note(daemon->log, "sandbox", why.text);
	}
	return open_stand_in(daemon, err);
}

static void on_signal(uv_signal_t *handle, int number)
{
	daemon_leave(handle->data);
}

/* The view's memory: notes beside the results. */
static struct digest note_of(const struct view_identity *identity)
{
	struct key *key = key_new("content 1");
	key_add_bytes(key, "identity", slice_of(identity, sizeof(*identity)));
	return key_end(key);
}

static int recall_content(void *ctx, const struct view_identity *identity, struct digest *ret)
{
	struct daemon *daemon = ctx;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct digest key = note_of(identity);
	struct slice value;
	if (cache_note_get(daemon->cache, &key, &arena, &value, NULL) != 0 || value.len != sizeof(*ret))
		return -1;
	memcpy(ret, value.ptr, sizeof(*ret));
	return 0;
}

static void remember_content(void *ctx, const struct view_identity *identity, const struct digest *digest)
{
	struct daemon *daemon = ctx;
	struct digest key = note_of(identity);
	struct error err;
	if (cache_note_put(daemon->cache, &key, slice_of(digest, sizeof(*digest)), &err) < 0)
		journal_note(daemon->log, "cache", err.text);
}

static void on_turn(uv_check_t *handle)
{
	struct daemon *daemon = container_of(handle, struct daemon, turn);
	requests_begin(daemon);
	view_rest(daemon->view);
}

static int daemon_open(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	const struct endpoint *endpoint = &daemon->options->endpoint;
	identify_programs(daemon->options, daemon->programs);
	if (endpoint_make_directory(endpoint, err) < 0)
		return -1;
	int outcome = take_lock(endpoint->lock, &daemon->lock_fd, err);
	if (outcome != 0)
		return outcome;
	if (config->log) {
		daemon->log = fopen(config->log, "ae");
		if (!daemon->log)
			return error_set(err, errno, "cannot open log %s (option log)", config->log);
	}
	if (map_heartbeat(daemon, err) < 0 || open_state(daemon, err) < 0)
		return -1;
	daemon->view = view_new();
	view_set_memory(daemon->view, &(struct view_memory){ recall_content, remember_content, daemon });
	view_set_racy(daemon->view, config->dev_racy_ms);
	daemon->hashing = hashing_new(&daemon->loop, daemon->view);
	daemon->directories = store_memory_new();
	daemon->files = home_store_new();
	daemon->snapshot = snapshot_new(daemon->view, daemon->files);
	daemon->skeletons = skeletons_new(daemon->view);
	daemon->closures = closures_new(daemon->view, daemon->skeletons);
	daemon->searches = searches_new(daemon);
	daemon->misses = misses_new();
	daemon->toolchains = toolchains_new(daemon);
	slots_init(&daemon->slots, config->jobs);
	slots_init(&daemon->remote_slots, config->dev_replay_width);
	if (open_engines(daemon, err) < 0)
		return -1;
	list_init(&daemon->arrivals);
	list_init(&daemon->locals);
	uv_check_init(&daemon->loop, &daemon->turn);
	uv_check_start(&daemon->turn, on_turn);
	uv_unref((uv_handle_t *)&daemon->turn);
	uv_timer_init(&daemon->loop, &daemon->tick);
	uv_timer_start(&daemon->tick, on_tick, TICK_MS, TICK_MS);
	/* Last: from now on clients come. */
	daemon->server = server_new(daemon, err);
	return daemon->server ? 0 : -1;
}

static void daemon_close(struct daemon *daemon)
{
	if (daemon->stats)
		save_stats(daemon);
	executor_free(daemon->sandbox.stand_in);
	executor_free(daemon->sandbox.executor);
	executor_free(daemon->home);
	server_free(daemon->server);
	cloud_close(daemon->cloud);
	misses_free(daemon->misses);
	toolchains_free(daemon->toolchains);
	searches_free(daemon->searches);
	closures_free(daemon->closures);
	skeletons_free(daemon->skeletons);
	snapshot_free(daemon->snapshot);
	hashing_free(daemon->hashing);
	view_free(daemon->view);
	ledger_free(daemon->ledger);
	cache_close(daemon->cache);
	store_free(daemon->files);
	store_free(daemon->directories);
	store_free(daemon->content);
	stats_free(daemon->stats);
	if (daemon->heartbeat)
		munmap((void *)daemon->heartbeat, sizeof(int64_t));
	if (daemon->log)
		fclose(daemon->log);
	free(daemon->cache_dir);
	if (daemon->state_lock_fd >= 0)
		close(daemon->state_lock_fd);
	if (daemon->lock_fd >= 0)
		close(daemon->lock_fd);
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

int daemon_run(const struct daemon_options *options, struct error *err)
{
	struct daemon daemon = {
		.options = options,
		.config = options->config,
		.lock_fd = -1,
		.state_lock_fd = -1,
		.started_ms = clock_monotonic_ms(),
		.last_active_ms = clock_monotonic_ms(),
	};
	signal(SIGPIPE, SIG_IGN);
	/* A thread for each job of either engine, and some for what is short. */
	work_set_threads(2 * options->config->jobs + 4);
	uv_loop_init(&daemon.loop);
	uv_signal_t signals[2];
	static const int numbers[] = { SIGTERM, SIGINT };
	int outcome = daemon_open(&daemon, err);
	if (outcome == 0) {
		for (size_t i = 0; i < 2; i++) {
			uv_signal_init(&daemon.loop, &signals[i]);
			signals[i].data = &daemon;
			uv_signal_start(&signals[i], on_signal, numbers[i]);
			uv_unref((uv_handle_t *)&signals[i]);
		}
		uv_run(&daemon.loop, UV_RUN_DEFAULT);
		for (size_t i = 0; i < 2; i++)
			uv_close((uv_handle_t *)&signals[i], NULL);
		uv_run(&daemon.loop, UV_RUN_DEFAULT);
	}
	daemon_close(&daemon);
	if (outcome == 0) {
		slots_deinit(&daemon.slots);
		slots_deinit(&daemon.remote_slots);
	} else {
		/* A start that failed leaves what it had opened. */
		uv_walk(&daemon.loop, close_handle, NULL);
		uv_run(&daemon.loop, UV_RUN_DEFAULT);
	}
	int busy = uv_loop_close(&daemon.loop);
	assert(busy == 0);
	return outcome;
}
