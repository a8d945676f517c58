/* llama daemon */
#include "daemon/daemon.h"

#include <sys/resource.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/control.h"
#include "cli/detach.h"

enum {
	START_TIMEOUT_MS = 30000,
	START_PAUSE_MS = 10,
	LOCKED_PAUSE_MS = 100,
	STOP_TIMEOUT_MS = 120000, /* jobs that run are finished first */
	PROBE_TIMEOUT_MS = 1000,
};

static int run(const struct control *control, bool foreground, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct daemon_options options = {
		.config = &control->config,
		.endpoint = control->endpoint,
		.foreground = foreground,
	};
	umask(077); /* the log too names what is compiled */
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		options.nofile = (unsigned)files.rlim_cur;
	if (control_find_program("llama-runner", &arena, &options.runner, err) < 0 ||
		control_find_program("llama-interpose.so", &arena, &options.interposer, err) < 0 ||
		detach_reduce_environment(err) < 0 || detach_raise_limits(&options.nofile, err) < 0)
		return -1;
	return daemon_run(&options, err);
}

/* The daemon is a fork of this process, which stays until it answers. What the child has to say it leaves in memory
 * that both share: by then its stderr is /dev/null, and it shall hold no pipe of ours. */
static pid_t fork_daemon(const struct control *control, struct error *child_error)
{
	pid_t child = fork();
	if (child != 0)
		return child;
	int outcome = detach_from_caller(child_error);
	if (outcome == 0)
		outcome = run(control, false, child_error);
	exit(outcome < 0 ? COMMAND_FAILED : COMMAND_OK); /* not _exit: a sanitizer reports leaks there */
}

static int start(const struct control *control, struct error *err)
{
	pid_t running;
	int outcome = control_daemon_pid(control, &running, err);
	if (outcome != CONTROL_NO_DAEMON)
		return outcome;
	struct error *child_error = mmap(
		NULL, sizeof(*child_error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child_error == MAP_FAILED)
		return error_set(err, errno, "cannot map memory");
	int64_t deadline_ms = clock_monotonic_ms() + START_TIMEOUT_MS;
	pid_t child = 0;
	for (;;) {
		_cleanup_close_ int fd = endpoint_connect(&control->endpoint, PROBE_TIMEOUT_MS, err);
		if (fd >= 0)
			return 0;
		long pause_ms = START_PAUSE_MS;
		int status;
		if (child == 0) {
			child = fork_daemon(control, child_error);
			if (child < 0)
				return error_set(err, errno, "cannot fork");
		} else if (waitpid(child, &status, WNOHANG) == child) {
			if (WIFSIGNALED(status))
				return error_set(err, 0, "the daemon died of signal %d at its start", WTERMSIG(status));
			if (WEXITSTATUS(status) != 0) {
				*err = *child_error;
				return -1;
			}
			/* Another one has the lock: it will answer soon, or is leaving, and then we try again. */
			child = 0;
			pause_ms = LOCKED_PAUSE_MS;
		}
		if (clock_monotonic_ms() >= deadline_ms)
			return error_set(err, 0,
				"no daemon answers at %s after %d s; `llama daemon --foreground` says more",
				control->endpoint.socket, START_TIMEOUT_MS / 1000);
		nanosleep(&(struct timespec){ .tv_nsec = pause_ms * 1000 * 1000 }, NULL);
	}
}

static int stop(const struct control *control, struct error *err)
{
	pid_t pid;
	int outcome = control_daemon_pid(control, &pid, err);
	if (outcome != 0)
		return outcome;
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : error_set(err, errno, "cannot watch process %d", pid);
	_cleanup_buf_ struct buf answer = { 0 };
	outcome = control_ask(control, "stop", NULL, NULL, PROBE_TIMEOUT_MS * 10, &answer, err);
	if (outcome != 0)
		return outcome;
	int64_t deadline_ms = clock_monotonic_ms() + STOP_TIMEOUT_MS;
	for (;;) {
		struct pollfd gone = { .fd = pidfd, .events = POLLIN };
		int64_t left_ms = deadline_ms - clock_monotonic_ms();
		int ready = poll(&gone, 1, left_ms > 0 ? (int)left_ms : 0);
		if (ready > 0)
			return 0;
		if (ready == 0)
			return error_set(err, 0,
				"process %d still finishes its jobs after %d s; `kill -9 %d` ends it and them", pid,
				STOP_TIMEOUT_MS / 1000, pid);
		if (errno != EINTR)
			return error_set(err, errno, "cannot wait for process %d", pid);
	}
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int print_status(const struct control *control, struct error *err)
{
	json_t *status;
	int outcome = control_ask_json(control, "status", NULL, &status, err);
	if (outcome != 0)
		return outcome;
	uint64_t seconds = control_json_number(status, "uptime_ms") / 1000;
	printf("process      %" JSON_INTEGER_FORMAT ", llama %s\n", json_integer_value(json_object_get(status, "pid")),
		text_of(status, "version"));
	printf("running for  %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "\n", seconds / 3600, seconds / 60 % 60,
		seconds % 60);
	printf("jobs         %" PRIu64 " running, %" PRIu64 " waiting, at most %" PRIu64 " at once\n",
		control_json_number(status, "running"), control_json_number(status, "waiting"),
		control_json_number(status, "jobs"));
	const char *why = text_of(status, "sandbox_why");
	printf("sandbox      %s%s%s\n", text_of(status, "sandbox"), *why ? ": " : "", why);
	_cleanup_buf_ struct buf lambda = { 0 };
	control_describe_lambda(status, &lambda);
	printf("lambda       %s\n", buf_str(&lambda));
	printf("engine       %s\n", text_of(status, "engine"));
	printf("socket       %s\n", text_of(status, "socket"));
	printf("cache        %s\n", text_of(status, "cache_dir"));
	json_decref(status);
	return 0;
}

enum { OPTION_FOREGROUND, OPTION_STOP, OPTION_STATUS };

static const struct command_option options[] = {
	[OPTION_FOREGROUND] = { 'f', "foreground", NULL, "stay attached to the terminal; errors go to stderr" },
	[OPTION_STOP] = { 0, "stop", NULL, "let the daemon finish its jobs and leave, and wait for that" },
	[OPTION_STATUS] = { 0, "status", NULL, "say what it is doing; exit status 1 without a daemon" },
	{ 0 },
};

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	int action = -1;
	for (int option; (option = command_next_option(args)) >= 0;) {
		if (action >= 0 && action != option)
			command_misuse(command, "--%s and --%s exclude each other.", options[action].name,
				options[option].name);
		action = option;
	}
	command_no_operands(args);

	struct error err;
	_cleanup_control_ struct control control;
	if (control_init(&control, &err) < 0)
		return command_fail(command, &err);
	int outcome;
	switch (action) {
	case OPTION_FOREGROUND:
		outcome = run(&control, true, &err);
		if (outcome != DAEMON_ALREADY_RUNNING)
			break;
		command_warn(command, "another daemon holds %s; `llama daemon --stop` ends it", control.endpoint.lock);
		return COMMAND_FAILED;
	case OPTION_STOP:
		outcome = stop(&control, &err);
		if (outcome == CONTROL_NO_DAEMON)
			outcome = 0; /* what was asked for */
		break;
	case OPTION_STATUS:
		outcome = print_status(&control, &err);
		if (outcome != CONTROL_NO_DAEMON)
			break;
		printf("no daemon runs\n");
		return command_finish_output(command, COMMAND_FAILED);
	default:
		outcome = start(&control, &err);
	}
	if (outcome < 0)
		return command_fail(command, &err);
	return command_finish_output(command, COMMAND_OK);
}

const struct command command_daemon = {
	.name = "daemon",
	.operands = "",
	.summary = "start, stop or examine the daemon",
	.help = "Start the daemon in the background and return when it answers; nothing to do when one runs.\n"
		"llamacc starts it by itself, and it leaves when it was idle for a while (idle_timeout).",
	.options = options,
	.run = command_run,
};
