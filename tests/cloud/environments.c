#include "tests/cloud/environments.h"

#include <assert.h>
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/jail.h"
#include "tests/cloud/recorded.h"
#include "tests/cloud/runtime_api.h"

enum {
	LOG_TAIL_BYTES = 4096,
	BURST_WINDOW_MS = 10000,
	REQUESTS_PER_ENVIRONMENT_S = 10, /* of synchronous invocations, on average */
	REAP_MS = 500,			 /* between two looks for idle environments */
};

struct environment {
	struct list link; /* in the pool's idle or busy */
	struct environments *pool;
	struct revision *revision; /* a reference */
	int64_t id;

	/* Of the thread that runs an invocation; the watcher and acts use jail and api, which stay from open to
	 * close. */
	struct jail *jail;
	struct runtime_api *api;
	struct recorded_worker *worker; /* in the place of both, where nothing is run */
	bool ready;			/* the runtime waits for work, frozen */
	bool has_ca;			/* JAIL_CA_FILE is one */
	bool broken;			/* good for nothing any more */

	pthread_t watcher;
	int stop;	   /* eventfd: ends the watcher */
	int log_in;	   /* what the processes write; does not block */
	_Atomic bool gone; /* the jail has ended, whoever ended it */
	pthread_mutex_t log_lock;
	struct buf log; /* not yet taken */
	char log_stream[48];

	/* Under the pool's lock. */
	int64_t idle_since_ms;
	int64_t n_invocations, n_starts, memory_bytes;
	const char *state; /* for those who look: "starting", "busy", "idle" */
	bool retired;	   /* to be ended after this invocation */
};

struct burst {
	struct list link;
	char *function;
	int64_t window_ms; /* its start */
	int64_t n;
};

struct environments {
	struct cloud *cloud;
	const char *ca_file;
	const char *const *keys;
	struct recorded *recorded; /* NULL: functions run */
	pthread_mutex_t lock;	   /* everything below */
	pthread_cond_t changed;
	struct list idle; /* longest unused first */
	struct list busy;
	struct list bursts;
	int64_t n_busy, next_id;
	int64_t n_background;		/* environments being closed, invocations that nobody waits for */
	int64_t second_ms, n_in_second; /* invocations in the second that began then */
	bool stopping;
	pthread_t reaper;
};

/* --- Revisions ---------------------------------------------------------------------------------------------------- */

struct revision *revision_new(void)
{
	struct revision *revision = calloc(1, sizeof(*revision));
	if (!revision)
		abort();
	revision->references = 1;
	return revision;
}

struct revision *revision_ref(struct revision *revision)
{
	revision->references++;
	return revision;
}

void revision_unref(struct revision *revision)
{
	if (!revision || --revision->references > 0)
		return;
	struct arena arena = revision->arena;
	arena_deinit(&arena);
	free(revision);
}

/* --- One environment ---------------------------------------------------------------------------------------------- */

/* Everything that the processes have written until now. */
static void read_log(struct environment *e)
{
	char bytes[4096];
	ssize_t n;
	pthread_mutex_lock(&e->log_lock);
	while ((n = read(e->log_in, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		if (e->log.len > 16 * LOG_TAIL_BYTES) {
			memmove(e->log.ptr, e->log.ptr + e->log.len - LOG_TAIL_BYTES, LOG_TAIL_BYTES);
			e->log.len = LOG_TAIL_BYTES;
		}
		buf_append(&e->log, bytes, (size_t)n);
	}
	pthread_mutex_unlock(&e->log_lock);
}

static void *watch(void *ctx)
{
	struct environment *e = ctx;
	struct pollfd fds[] = { { .fd = e->stop, .events = POLLIN }, { .fd = e->log_in, .events = POLLIN },
		{ .fd = jail_fd(e->jail), .events = POLLIN } };
	for (;;) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents & POLLIN)
			read_log(e);
		else if (fds[1].revents)
			fds[1].fd = -1; /* nothing more can come */
		if (!fds[2].revents)
			continue;
		struct jail_end end;
		if (jail_wait(e->jail, &end)) {
			runtime_api_end(e->api, end.generation, end.status);
		} else {
			fds[2].fd = -1;
			e->gone = true;
			runtime_api_end(e->api, RUNTIME_ANY, SIGKILL);
		}
	}
}

static void environment_close(struct environment *e)
{
	if (!e)
		return;
	if (e->stop >= 0) {
		if (write(e->stop, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
			abort();
		pthread_join(e->watcher, NULL);
		close(e->stop);
	}
	jail_close(e->jail);
	runtime_api_close(e->api);
	recorded_worker_free(e->worker);
	if (e->log_in >= 0)
		close(e->log_in);
	buf_deinit(&e->log);
	pthread_mutex_destroy(&e->log_lock);
	revision_unref(e->revision);
	free(e);
}

/* A jail with nothing in it yet, and its Runtime API. */
static int environment_open(struct environment *e, struct error *err)
{
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe");
	e->log_in = pipes[0];
	_cleanup_close_ int log_out = pipes[1];
	if (fcntl(e->log_in, F_SETFL, O_NONBLOCK) < 0)
		return error_set(err, errno, "cannot set up a pipe");
	/* Written when the front starts, if it serves TLS at all. */
	const char *ca_file = access(e->pool->ca_file, R_OK) == 0 ? e->pool->ca_file : "";
	struct jail_options options = { .root = e->revision->root,
		.tmp_mb = e->revision->tmp_mb,
		.memory_mb = e->revision->memory_mb,
		.ca_file = ca_file,
		.log_fd = log_out };
	struct jail *jail = jail_open(&options, err);
	if (!jail)
		return -1;
	struct runtime_api *api = runtime_api_open(e->pool->cloud, err);
	if (!api) {
		jail_close(jail);
		return -1;
	}
	pthread_mutex_lock(&e->pool->lock);
	e->jail = jail;
	e->api = api;
	e->has_ca = *ca_file;
	bool stopping = e->pool->stopping;
	pthread_mutex_unlock(&e->pool->lock);
	if (stopping)
		return error_set(err, ECANCELED, "the cloud is being closed");
	e->stop = eventfd(0, EFD_CLOEXEC);
	if (e->stop < 0)
		return error_set(err, errno, "cannot make an eventfd");
	int failed = pthread_create(&e->watcher, NULL, watch, e);
	if (failed) {
		close(take_fd(e->stop));
		return error_set(err, failed, "cannot start a thread");
	}
	return 0;
}

static bool has_name(const char *setting, const char *name)
{
	size_t n = strlen(name);
	return strncmp(setting, name, n) == 0 && setting[n] == '=';
}

/* The environment as Lambda sets it: what is Lambda's own comes first and cannot be had otherwise; a few names are
 * defaults. */
static const char *const *make_env(struct environment *e, struct arena *arena)
{
	const struct revision *r = e->revision;
	const char *region = e->pool->cloud->region;
	const char *own[] = {
		arena_printf(arena, "AWS_LAMBDA_RUNTIME_API=%s", runtime_api_address(e->api)),
		arena_printf(arena, "AWS_LAMBDA_FUNCTION_NAME=%s", r->function),
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		arena_printf(arena, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%d", r->memory_mb),
		arena_printf(arena, "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/%s", r->function),
		arena_printf(arena, "AWS_LAMBDA_LOG_STREAM_NAME=%s", e->log_stream),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		arena_printf(arena, "AWS_REGION=%s", region),
		arena_printf(arena, "AWS_DEFAULT_REGION=%s", region),
		e->pool->keys[0],
		e->pool->keys[1],
		e->pool->keys[2],
		"LAMBDA_TASK_ROOT=/var/task",
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		/* Not Lambda's, but the one way to this cloud's S3; an image may name the certificates of the real
		 * one. */
		e->has_ca ? "AWS_CA_BUNDLE=" JAIL_CA_FILE : "AWS_EXECUTION_ENV=AWS_Lambda_Image",
	};
	static const char *const defaults[] = { "TZ=:UTC", "LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin" };
	size_t n_own = sizeof(own) / sizeof(own[0]), n_defaults = sizeof(defaults) / sizeof(defaults[0]), n_theirs = 0,
	       n = 0;
	while (r->env[n_theirs])
		n_theirs++;
	const char **all = arena_array(arena, const char *, n_own + n_theirs + n_defaults + 1);
	for (size_t i = 0; i < n_own; i++)
		all[n++] = own[i];
	for (size_t i = 0; i < n_theirs; i++) {
		bool reserved = false;
		for (size_t j = 0; j < n_own && !reserved; j++)
			reserved = has_name(r->env[i], arena_strndup(arena, own[j], strcspn(own[j], "=")));
		if (!reserved)
			all[n++] = r->env[i];
	}
	size_t n_set = n;
	for (size_t i = 0; i < n_defaults; i++) {
		bool set = false;
		for (size_t j = n_own; j < n_set && !set; j++)
			set = has_name(all[j], arena_strndup(arena, defaults[i], strcspn(defaults[i], "=")));
		if (!set)
			all[n++] = defaults[i];
	}
	all[n] = NULL;
	return all;
}

/* --- An invocation ------------------------------------------------------------------------------------------------ */

struct run {
	struct environment *e;
	const struct invocation *invocation;
	struct invocation_result *result;
	int64_t duration_us, init_us; /* init: 0 unless it was done for this invocation */
	const char *error_type;	      /* "" is none */
};

static void fail(struct run *run, const char *type, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Nearly all of Lambda's messages begin with the request. */
static void fail(struct run *run, const char *type, const char *format, ...)
{
	_cleanup_buf_ struct buf message = { 0 };
	if (strcmp(type, "Function.ResponseSizeTooLarge") != 0)
		buf_printf(&message, "RequestId: %s Error: ", run->invocation->request_id);
	va_list args;
	va_start(args, format);
	buf_vprintf(&message, format, args);
	va_end(args);
	json_t *json = json_pack("{s:s, s:s}", "errorType", type, "errorMessage", buf_str(&message));
	char *text = json_dumps(json, JSON_COMPACT);
	if (!text)
		abort();
	buf_reset(&run->result->payload);
	buf_append_str(&run->result->payload, text);
	free(text);
	json_decref(json);
	run->result->outcome = INVOCATION_FUNCTION_ERROR;
	run->error_type = type;
}

static void fail_exit(struct run *run)
{
	int status = runtime_api_status(run->e->api);
	if (WIFSIGNALED(status)) {
		char name[64];
		snprintf(name, sizeof(name), "%s", strsignal(WTERMSIG(status)));
		name[0] = (char)tolower((unsigned char)name[0]);
		fail(run, "Runtime.ExitError", "Runtime exited with error: signal: %s", name);
	} else if (WEXITSTATUS(status) != 0) {
		fail(run, "Runtime.ExitError", "Runtime exited with error: exit status %d", WEXITSTATUS(status));
	} else {
		fail(run, "Runtime.ExitError", "Runtime exited without providing a reason");
	}
}

static void lose(struct run *run)
{
	run->result->outcome = INVOCATION_LOST;
	run->e->broken = true;
}

/* End the runtime; the environment lives on. */
static void end_runtime(struct run *run)
{
	run->e->ready = false;
	if (!run->e->gone && jail_kill(run->e->jail, NULL) < 0)
		run->e->broken = true;
}

/* The runtime's answer becomes the result; false: there is none. */
static bool take_answer(struct run *run)
{
	int64_t size;
	switch (runtime_api_take_answer(run->e->api, &run->result->payload, &size)) {
	case RUNTIME_RESPONSE:
		run->result->outcome = INVOCATION_DONE;
		return true;
	case RUNTIME_ERROR: {
		json_t *json = json_loadb(buf_str(&run->result->payload), run->result->payload.len, 0, NULL);
		run->result->outcome = INVOCATION_FUNCTION_ERROR;
		run->error_type = json_object_get(json, "errorType") ? "Runtime.Unknown" : "Function.Unknown";
		json_decref(json);
		return true;
	}
	case RUNTIME_TOO_LARGE:
		fail(run, "Function.ResponseSizeTooLarge",
			"Response payload size (%lld bytes) exceeded maximum allowed payload size (%d bytes).",
			(long long)size, LAMBDA_RESPONSE_BYTES);
		return true;
	case RUNTIME_NONE:
		break;
	}
	return false;
}

/* Start the runtime and wait until it asks for work. */
static bool init_once(struct run *run, int64_t timeout_ms)
{
	struct environment *e = run->e;
	struct error err = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct jail_program program = { e->revision->directory, e->revision->args, make_env(e, &arena) };
	int64_t began_ms = clock_monotonic_ms();
	int started = jail_start(e->jail, runtime_api_start(e->api), &program, &err);
	if (started < 0) {
		lose(run);
		return false;
	}
	if (started == JAIL_INVALID) {
		fail(run, "Runtime.InvalidEntrypoint", "%s", err.text);
		return false;
	}
	pthread_mutex_lock(&e->pool->lock);
	e->n_starts++;
	pthread_mutex_unlock(&e->pool->lock);
	switch (runtime_api_wait(e->api, began_ms + timeout_ms)) {
	case RUNTIME_READY:
		e->ready = true;
		return true;
	case RUNTIME_INIT_ERROR:
		take_answer(run);
		end_runtime(run);
		return false;
	case RUNTIME_ENDED:
		if (e->gone)
			lose(run);
		else
			fail_exit(run);
		return false;
	case RUNTIME_LATE:
		end_runtime(run);
		fail(run, "Sandbox.Timedout", "Task timed out after %d.%02d seconds", (int)(timeout_ms / 1000),
			(int)(timeout_ms % 1000 / 10));
		return false;
	}
	return false;
}

/* Lambda gives the runtime ten seconds; when it fails, once more, as a part of the invocation. */
static bool init(struct run *run, bool cold)
{
	struct environment *e = run->e;
	int64_t began_us = clock_monotonic_ns() / 1000, function_ms = e->revision->timeout_s * 1000LL;
	bool done = cold && init_once(run, cloud_setting(e->pool->cloud, SETTING_INIT_TIMEOUT_MS));
	if (!done && !e->broken && !(cold && strcmp(run->error_type, "Runtime.InvalidEntrypoint") == 0)) {
		run->error_type = "";
		buf_reset(&run->result->payload);
		done = init_once(run, function_ms);
	}
	run->init_us = clock_monotonic_ns() / 1000 - began_us;
	return done;
}

static void act(struct environment *e, enum environment_act what)
{
	switch (what) {
	case ENVIRONMENT_KILL:
		kill(jail_pid(e->jail), SIGKILL);
		break;
	case ENVIRONMENT_CRASH:
		jail_kill(e->jail, NULL);
		break;
	case ENVIRONMENT_HANG:
		jail_freeze(e->jail, NULL);
		break;
	}
}

/* Until the runtime asks for more work, or has no more time; ordered faults strike on the way. */
static enum runtime_event await(struct run *run, int64_t until_ms)
{
	struct environment *e = run->e;
	struct faults *faults = e->pool->cloud->faults;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *after_ms = "";
	bool dies = faults_strike(faults, "lambda", "Invoke", FAULT_KILL, &arena, &after_ms);
	if (dies) {
		int64_t at_ms = clock_monotonic_ms() + atoi(after_ms);
		enum runtime_event event = runtime_api_wait(e->api, at_ms < until_ms ? at_ms : until_ms);
		if (event != RUNTIME_LATE)
			return event;
		act(e, ENVIRONMENT_KILL);
	}
	return runtime_api_wait(e->api, until_ms);
}

static void invoke(struct run *run)
{
	struct environment *e = run->e;
	int64_t began_ns = clock_monotonic_ns(), timeout_ms = e->revision->timeout_s * 1000LL;
	struct runtime_invocation work = { .request_id = run->invocation->request_id,
		.arn = e->revision->arn,
		.trace_id = run->invocation->trace_id,
		.client_context = run->invocation->client_context,
		.payload = run->invocation->payload,
		.deadline_ms = clock_realtime_ns() / 1000000 + timeout_ms };
	pthread_mutex_lock(&e->pool->lock);
	e->state = "busy";
	pthread_mutex_unlock(&e->pool->lock);
	if (faults_strike(e->pool->cloud->faults, "lambda", "Invoke", FAULT_HANG, NULL, NULL))
		act(e, ENVIRONMENT_HANG);
	runtime_api_deliver(e->api, &work);
	enum runtime_event event = await(run, began_ns / 1000000 + timeout_ms);
	run->duration_us = (clock_monotonic_ns() - began_ns) / 1000;
	switch (event) {
	case RUNTIME_READY:
		if (!take_answer(run))
			lose(run);
		if (jail_freeze(e->jail, NULL) < 0)
			e->broken = true;
		break;
	case RUNTIME_ENDED:
		e->ready = false;
		if (e->gone)
			lose(run);
		else if (!take_answer(run))
			fail_exit(run);
		break;
	case RUNTIME_INIT_ERROR: /* not in this state */
	case RUNTIME_LATE:
		end_runtime(run);
		run->duration_us = timeout_ms * 1000;
		fail(run, "Sandbox.Timedout", "Task timed out after %d.00 seconds", e->revision->timeout_s);
		break;
	}
}

/* START, what was written, END and REPORT, as they stand in the log. */
static void report(struct run *run)
{
	struct environment *e = run->e;
	struct buf *log = &run->result->log;
	const char *id = run->invocation->request_id;
	int64_t billed_ms = (run->duration_us + run->init_us + 999) / 1000;
	int64_t memory = e->jail ? jail_memory(e->jail) : 0;
	if (e->jail)
		read_log(e);
	buf_printf(log, "START RequestId: %s Version: $LATEST\n", id);
	pthread_mutex_lock(&e->log_lock);
	buf_append_slice(log, buf_slice(&e->log));
	buf_reset(&e->log);
	pthread_mutex_unlock(&e->log_lock);
	if (log->ptr[log->len - 1] != '\n')
		buf_append_char(log, '\n');
	buf_printf(log, "END RequestId: %s\n", id);
	buf_printf(log,
		"REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %lld ms\tMemory Size: %d MB\tMax Memory "
		"Used: %lld MB\t",
		id, (double)run->duration_us / 1000, (long long)billed_ms, e->revision->memory_mb,
		(long long)((memory + (1 << 20) - 1) >> 20));
	if (run->init_us > 0)
		buf_printf(log, "Init Duration: %.2f ms\t", (double)run->init_us / 1000);
	if (strcmp(run->error_type, "Sandbox.Timedout") == 0)
		buf_append_str(log, "Status: timeout");
	else if (*run->error_type)
		buf_printf(log, "Status: error\tError Type: %s", run->error_type);
	buf_append_char(log, '\n');
	if (log->len > LOG_TAIL_BYTES) {
		memmove(log->ptr, log->ptr + log->len - LOG_TAIL_BYTES, LOG_TAIL_BYTES);
		log->len = LOG_TAIL_BYTES;
	}
	pthread_mutex_lock(&e->pool->lock);
	e->memory_bytes = memory;
	pthread_mutex_unlock(&e->pool->lock);
}

static void sleep_until(struct environments *pool, int64_t until_ms)
{
	struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping && clock_monotonic_ms() < until_ms)
		pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
	pthread_mutex_unlock(&pool->lock);
}

/* What a cold start is made longer by: of every one, and of one that a fault was ordered for. */
static void delay_cold_start(struct environments *pool)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *value = "";
	int64_t until_ms = clock_monotonic_ms() + cloud_setting(pool->cloud, SETTING_COLD_START_MS);
	if (faults_strike(pool->cloud->faults, "lambda", "Invoke", FAULT_COLD_START, &arena, &value))
		until_ms += atoi(value);
	sleep_until(pool, until_ms);
}

/* Nothing runs, but it takes its time. False: this one is to be run. */
static bool replay(struct run *run)
{
	struct environment *e = run->e;
	bool cold = !e->worker;
	int64_t began_ns = clock_monotonic_ns();
	if (cold)
		e->worker = recorded_worker_new();
	if (recorded_answer(e->pool->recorded, e->worker, run->invocation->payload, &run->result->payload,
		    &run->duration_us) != 0)
		return false;
	if (cold) {
		delay_cold_start(e->pool);
		int64_t now_ns = clock_monotonic_ns();
		run->init_us = (now_ns - began_ns) / 1000;
		began_ns = now_ns;
	}
	sleep_until(e->pool, began_ns / 1000000 + (run->duration_us + 999) / 1000);
	return true;
}

static void run_in(struct environment *e, const struct invocation *invocation, struct invocation_result *result)
{
	struct run run = { .e = e, .invocation = invocation, .result = result, .error_type = "" };
	bool cold = !e->jail, ready = e->ready;
	struct error err = { 0 };
	if (e->pool->recorded && replay(&run)) {
		report(&run);
		return;
	}
	if (cold) {
		delay_cold_start(e->pool);
		if (environment_open(e, &err) < 0) {
			fprintf(stderr, "llama-cloud: no environment for %s: %s\n", e->revision->function, err.text);
			lose(&run);
			return;
		}
	}
	if (ready && jail_thaw(e->jail, &err) < 0)
		lose(&run);
	else if (ready || init(&run, cold))
		invoke(&run);
	report(&run);
}

/* --- The pool ----------------------------------------------------------------------------------------------------- */

/* Whether one more may start in this window of ten seconds. Under the lock. */
static bool may_start(struct environments *pool, const char *function)
{
	struct burst *burst, *found = NULL;
	list_for_each (burst, &pool->bursts, struct burst, link)
		if (strcmp(burst->function, function) == 0)
			found = burst;
	if (!found) {
		found = calloc(1, sizeof(*found));
		if (!found || !(found->function = strdup(function)))
			abort();
		list_append(&pool->bursts, &found->link);
	}
	int64_t now_ms = clock_monotonic_ms();
	if (now_ms - found->window_ms >= BURST_WINDOW_MS) {
		found->window_ms = now_ms;
		found->n = 0;
	}
	return found->n++ < cloud_setting(pool->cloud, SETTING_BURST);
}

/* Under the lock. */
static bool too_many_requests(struct environments *pool)
{
	int64_t now_ms = clock_monotonic_ms();
	if (now_ms - pool->second_ms >= 1000) {
		pool->second_ms = now_ms;
		pool->n_in_second = 0;
	}
	return pool->n_in_second++ >= REQUESTS_PER_ENVIRONMENT_S * cloud_setting(pool->cloud, SETTING_CONCURRENCY);
}

static struct environment *idle_environment(struct environments *pool, const struct revision *revision)
{
	for (struct list *link = pool->idle.prev; link != &pool->idle; link = link->prev) {
		struct environment *e = container_of(link, struct environment, link);
		if (e->revision == revision && !e->gone)
			return e;
	}
	return NULL;
}

/* Busy now, for the caller; or NULL, and why not. */
static struct environment *acquire(struct environments *pool, struct revision *revision, const char **ret_reason)
{
	struct environment *e = NULL;
	*ret_reason = NULL;
	pthread_mutex_lock(&pool->lock);
	if (pool->stopping) {
		*ret_reason = "";
	} else if (too_many_requests(pool)) {
		*ret_reason = "FunctionInvocationRateLimitExceeded";
	} else if (pool->n_busy >= cloud_setting(pool->cloud, SETTING_CONCURRENCY)) {
		*ret_reason = "ConcurrentInvocationLimitExceeded";
	} else if ((e = idle_environment(pool, revision))) {
		list_remove(&e->link);
	} else if (!may_start(pool, revision->function)) {
		*ret_reason = "ConcurrentInvocationLimitExceeded";
	} else {
		e = calloc(1, sizeof(*e));
		if (!e)
			abort();
		*e = (struct environment){ .pool = pool,
			.revision = revision_ref(revision),
			.id = ++pool->next_id,
			.stop = -1,
			.log_in = -1 };
		list_init(&e->link);
		pthread_mutex_init(&e->log_lock, NULL);
		snprintf(e->log_stream, sizeof(e->log_stream), "2026/01/01/[$LATEST]%032llx", (long long)e->id);
	}
	if (e) {
		list_append(&pool->busy, &e->link);
		pool->n_busy++;
		e->n_invocations++;
		e->state = e->ready || e->worker ? "busy" : "starting";
	}
	pthread_mutex_unlock(&pool->lock);
	return e;
}

static void release(struct environment *e)
{
	struct environments *pool = e->pool;
	pthread_mutex_lock(&pool->lock);
	list_remove(&e->link);
	bool keep = !e->broken && !e->gone && !pool->stopping && !e->retired;
	if (keep) {
		list_append(&pool->idle, &e->link);
		e->idle_since_ms = clock_monotonic_ms();
		e->state = "idle";
	}
	/* Free for others at once, as far as the limit goes; but the pool stays until it is closed. */
	pool->n_busy--;
	pool->n_background += !keep;
	pthread_mutex_unlock(&pool->lock);
	if (keep)
		return;
	environment_close(e);
	pthread_mutex_lock(&pool->lock);
	pool->n_background--;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

void invocation_result_deinit(struct invocation_result *result)
{
	buf_deinit(&result->payload);
	buf_deinit(&result->log);
}

void environments_invoke(struct environments *pool, struct revision *revision, const struct invocation *invocation,
	struct invocation_result *ret)
{
	*ret = (struct invocation_result){ .reason = "" };
	const char *reason;
	struct environment *e = acquire(pool, revision, &reason);
	if (!e) {
		ret->outcome = *reason ? INVOCATION_THROTTLED : INVOCATION_LOST;
		ret->reason = reason;
		return;
	}
	run_in(e, invocation, ret);
	release(e);
}

struct later {
	struct environments *pool;
	struct revision *revision;
	struct arena arena;
	struct invocation invocation;
};

static void *invoke_later(void *ctx)
{
	struct later *later = ctx;
	struct environments *pool = later->pool;
	struct invocation_result result;
	environments_invoke(pool, later->revision, &later->invocation, &result);
	invocation_result_deinit(&result);
	revision_unref(later->revision);
	arena_deinit(&later->arena);
	free(later);
	pthread_mutex_lock(&pool->lock);
	pool->n_background--;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

void environments_invoke_later(
	struct environments *pool, struct revision *revision, const struct invocation *invocation)
{
	struct later *later = calloc(1, sizeof(*later));
	if (!later)
		abort();
	later->pool = pool;
	later->revision = revision_ref(revision);
	later->invocation = (struct invocation){
		.request_id = arena_strdup(&later->arena, invocation->request_id),
		.trace_id = arena_strdup(&later->arena, invocation->trace_id),
		.client_context = invocation->client_context ? arena_strdup(&later->arena, invocation->client_context)
							     : NULL,
		.payload = slice_of(arena_strndup(&later->arena, invocation->payload.ptr, invocation->payload.len),
			invocation->payload.len),
	};
	pthread_mutex_lock(&pool->lock);
	pool->n_background++;
	pthread_mutex_unlock(&pool->lock);
	pthread_t thread;
	if (pthread_create(&thread, NULL, invoke_later, later) != 0)
		abort();
	pthread_detach(thread);
}

void environments_retire(struct environments *pool, const struct revision *revision)
{
	struct list ended = LIST_INIT(ended);
	struct environment *e;
	pthread_mutex_lock(&pool->lock);
	list_for_each (e, &pool->idle, struct environment, link)
		if (e->revision == revision) {
			list_remove(&e->link);
			list_append(&ended, &e->link);
		}
	list_for_each (e, &pool->busy, struct environment, link)
		if (e->revision == revision)
			e->retired = true;
	pthread_mutex_unlock(&pool->lock);
	while ((e = list_first(&ended, struct environment, link))) {
		list_remove(&e->link);
		environment_close(e);
	}
}

/* Ends environments that have been idle for long, or whose jail has ended. */
static void *reap(void *ctx)
{
	struct environments *pool = ctx;
	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		int64_t now_ms = clock_monotonic_ms(),
			idle_ms = cloud_setting(pool->cloud, SETTING_ENVIRONMENT_IDLE_MS);
		struct environment *e, *found = NULL;
		list_for_each (e, &pool->idle, struct environment, link)
			if (!found && (e->gone || now_ms - e->idle_since_ms >= idle_ms))
				found = e;
		if (found) {
			list_remove(&found->link);
			pthread_mutex_unlock(&pool->lock);
			environment_close(found);
			pthread_mutex_lock(&pool->lock);
			continue;
		}
		int64_t until_ms = now_ms + REAP_MS;
		struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
		pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct environments *environments_new(struct cloud *cloud, const char *ca_file, const char *const *keys)
{
	struct environments *pool = calloc(1, sizeof(*pool));
	if (!pool)
		abort();
	pool->cloud = cloud;
	pool->ca_file = ca_file;
	pool->keys = keys;
	list_init(&pool->idle);
	list_init(&pool->busy);
	list_init(&pool->bursts);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&pool->reaper, NULL, reap, pool) != 0)
		abort();
	return pool;
}

void environments_replay(struct environments *pool, struct recorded *recorded)
{
	pool->recorded = recorded;
}

void environments_stop(struct environments *pool)
{
	struct environment *e;
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->changed);
	list_for_each (e, &pool->busy, struct environment, link)
		if (e->jail)
			act(e, ENVIRONMENT_KILL);
	pthread_mutex_unlock(&pool->lock);
}

void environments_free(struct environments *pool)
{
	if (!pool)
		return;
	environments_stop(pool);
	pthread_join(pool->reaper, NULL);
	pthread_mutex_lock(&pool->lock);
	while (pool->n_busy + pool->n_background > 0)
		pthread_cond_wait(&pool->changed, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	for (struct environment *e; (e = list_first(&pool->idle, struct environment, link));) {
		list_remove(&e->link);
		environment_close(e);
	}
	for (struct burst *burst; (burst = list_first(&pool->bursts, struct burst, link));) {
		list_remove(&burst->link);
		free(burst->function);
		free(burst);
	}
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* --- For tests ---------------------------------------------------------------------------------------------------- */

int environments_act(struct environments *pool, enum environment_act what, int64_t id, int n)
{
	struct environment *e;
	int done = 0;
	/* Held all the while: an environment leaves the lists before it is closed. */
	pthread_mutex_lock(&pool->lock);
	list_for_each (e, &pool->busy, struct environment, link)
		if (e->jail && (id ? e->id == id : done < n)) {
			act(e, what);
			done++;
		}
	list_for_each (e, &pool->idle, struct environment, link)
		if (e->jail && id && e->id == id) {
			act(e, what);
			done++;
		}
	pthread_mutex_unlock(&pool->lock);
	return done;
}

static void list_into(json_t *all, const struct list *head)
{
	struct environment *e;
	list_for_each (e, head, struct environment, link)
		json_array_append_new(
			all, json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:i}", "id", (json_int_t)e->id, "function",
				     e->revision->function, "state", e->state, "invocations",
				     (json_int_t)e->n_invocations, "starts", (json_int_t)e->n_starts, "memory_bytes",
				     (json_int_t)e->memory_bytes, "pid", e->jail ? (int)jail_pid(e->jail) : 0));
}

json_t *environments_json(struct environments *pool)
{
	json_t *all = json_array();
	pthread_mutex_lock(&pool->lock);
	list_into(all, &pool->busy);
	list_into(all, &pool->idle);
	json_t *ret = json_pack("{s:o, s:I}", "environments", all, "ever", (json_int_t)pool->next_id);
	pthread_mutex_unlock(&pool->lock);
	return ret;
}
