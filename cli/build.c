/* llama build: run a build command so that its compilers are llamacc, and say what came of it. */
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "cli/command.h"
#include "cli/control.h"
#include "cli/masquerade.h"
#include "cli/parallel.h"
#include "cli/tree.h"

/* What a compiler may need; more of them than fit would only page. */
enum { MEMORY_PER_JOB_MB = 512 };

struct build {
	const struct command *command;
	struct control control;
	struct arena arena;
	char *const *argv;
	unsigned jobs;	    /* -j of our own, 0 = not given */
	const char *engine; /* --engine, or NULL */
	const char *llamacc;
	const char *path; /* PATH as we got it */
	const char *id;	  /* LLAMACC_BUILD_ID */
	bool unreplaced;  /* there is no masquerade */
	uint64_t daemon;  /* its process, when the build begins; 0 = none */
	bool lambda;      /* the engine is to be Lambda, and there is one */
	uint64_t lambda_errors; /* when the build begins */
	unsigned width;	  /* commands that keep the engine busy */
};

/* ---- width ---- */

static uint64_t available_memory_mb(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/meminfo", "re");
	char line[256];
	uint64_t kilobytes;
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kilobytes) == 1)
			return kilobytes / 1024;
	return UINT64_MAX; /* unknown: no bound */
}

/* The daemon's status, or NULL. */
static json_t *ask_status(const struct build *build)
{
	json_t *status;
	struct error err;
	return control_ask_json(&build->control, "status", NULL, &status, &err) == 0 ? status : NULL;
}

/* What the daemon says of itself: its process, and how many commands keep the engine busy. */
static void ask_daemon(struct build *build)
{
	json_t *status = ask_status(build);
	build->width = build->control.config.jobs;
	const char *configured = json_string_value(json_object_get(status, "engine"));
	const char *engine = build->engine ? build->engine : configured ? configured : "";
	build->daemon = control_json_number(status, "pid");
	uint64_t jobs = control_json_number(status, "jobs"), fitting = available_memory_mb() / MEMORY_PER_JOB_MB;
	if (jobs >= 1 && jobs <= UINT_MAX)
		build->width = (unsigned)jobs;
	if (fitting < build->width)
		build->width = fitting > 0 ? (unsigned)fitting : 1;
	if (strcmp(engine, "lambda") == 0) {
		jobs = control_json_number(status, "lambda_jobs");
		const char *why = json_string_value(json_object_get(status, "lambda_why"));
		build->lambda = jobs >= 1 && jobs <= UINT_MAX;
		build->lambda_errors = control_json_number(status, "lambda_errors");
		if (build->lambda)
			build->width = (unsigned)jobs;
		else if (status)
			command_warn(build->command, "no engine lambda: %s; compiling on this machine",
				why ? why : "the daemon is of another version");
	}
	json_decref(status);
}

static void add_jobs(struct build *build)
{
	unsigned width = build->jobs ? build->jobs : build->width;
	enum parallel parallel = parallel_add(build->argv, getenv("MAKEFLAGS"), getenv("CMAKE_BUILD_PARALLEL_LEVEL"),
		width, &build->arena, &build->argv);
	if (parallel != PARALLEL_UNKNOWN || !build->jobs)
		return;
	/* A script: the tools that it calls read these. */
	const char *makeflags = getenv("MAKEFLAGS");
	setenv("MAKEFLAGS",
		arena_printf(&build->arena, "%s%s-j%u", makeflags ? makeflags : "", makeflags ? " " : "", width), 1);
	setenv("CMAKE_BUILD_PARALLEL_LEVEL", arena_printf(&build->arena, "%u", width), 1);
}

/* ---- environment ---- */

static bool configures_with_cmake(char *const *argv)
{
	static const char *const other_modes[] = { "--build", "--install", "--open", "--workflow", "-E", "-P", "--help",
		"--version", NULL };
	if (strcmp(path_basename(argv[0]), "cmake") != 0 || !argv[1])
		return false;
	for (size_t i = 0; other_modes[i]; i++)
		if (strcmp(argv[1], other_modes[i]) == 0)
			return false;
	return true;
}

/* CMake writes the path of the compiler that it finds into the tree. With the launcher in place there is no need that
 * this be the masquerade: a tree configured by us works the same without us. */
static void name_compilers_for_cmake(struct build *build)
{
	static const char *const variables[][2] = { { "CC", "cc" }, { "CXX", "c++" } };
	for (size_t i = 0; i < 2; i++) {
		const char *real = masquerade_real(build->llamacc, build->path, variables[i][1], &build->arena);
		if (real)
			setenv(variables[i][0], real, 0);
	}
}

static void export_build_id(struct build *build)
{
	build->id = getenv("LLAMACC_BUILD_ID");
	if (build->id && *build->id)
		return; /* the user's, or that of a build which contains this one */
	uint64_t random;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)clock_realtime_ns() ^ (uint64_t)getpid() << 48;
	build->id = arena_printf(&build->arena, "%016" PRIx64, random);
	setenv("LLAMACC_BUILD_ID", build->id, 1);
}

static int export_environment(struct build *build, struct error *err)
{
	const char *directory;
	if (masquerade_make(
		    build->control.config.cache_dir, build->llamacc, build->path, &build->arena, &directory, err) < 0)
		return error_wrap(err, "cannot use cache_dir (set cache_dir or LLAMA_CACHE_DIR)");
	setenv("PATH", arena_printf(&build->arena, "%s:%s", directory, build->path), 1);
	/* A launcher of the user's own is kept: it calls the compiler by name or gets it from CMake, so we come after
	 * it. */
	setenv("CMAKE_C_COMPILER_LAUNCHER", build->llamacc, 0);
	setenv("CMAKE_CXX_COMPILER_LAUNCHER", build->llamacc, 0);
	if (configures_with_cmake(build->argv))
		name_compilers_for_cmake(build);
	if (build->engine)
		setenv("LLAMACC_ENGINE", build->engine, 1);
	return 0;
}

/* ---- running ---- */

static volatile sig_atomic_t child_pid;

/* The terminal has sent its signal to the child as well; what a process sends to us alone is passed on. */
static void forward_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	int saved = errno;
	if (info->si_code != SI_KERNEL && child_pid > 0)
		kill((pid_t)child_pid, number);
	errno = saved;
}

static int run(struct build *build, int *status, struct error *err)
{
	static const int forwarded[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	enum { N_FORWARDED = sizeof(forwarded) / sizeof(forwarded[0]) };
	struct sigaction action = { .sa_sigaction = forward_signal, .sa_flags = SA_SIGINFO | SA_RESTART },
			 before[N_FORWARDED];
	sigset_t blocked, mask;
	sigemptyset(&blocked);
	for (int i = 0; i < N_FORWARDED; i++)
		sigaddset(&blocked, forwarded[i]);
	/* Until the child is known there is nobody to forward to. */
	sigprocmask(SIG_BLOCK, &blocked, &mask);
	for (int i = 0; i < N_FORWARDED; i++) {
		sigaction(forwarded[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN) /* nohup stays nohup, for the child too */
			sigaction(forwarded[i], &action, NULL);
	}
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < N_FORWARDED; i++)
			sigaction(forwarded[i], &before[i], NULL);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		execvp(build->argv[0], build->argv);
		int code = errno;
		command_warn(build->command, "cannot run %s: %s", build->argv[0], strerror(code));
		_exit(code == ENOENT ? 127 : 126);
	}
	child_pid = pid;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (pid < 0)
		return error_set(err, errno, "cannot start %s", build->argv[0]);
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "cannot wait for %s", build->argv[0]);
	child_pid = 0;
	return 0;
}

/* ---- summary ---- */

static void add_part(struct buf *to, uint64_t n, const char *text)
{
	if (n > 0)
		buf_printf(to, "%s%" PRIu64 " %s", to->len ? ", " : "", n, text);
}

static void add_reasons(struct buf *to, const json_t *stats)
{
	json_t *reasons = json_object_get(json_object_get(stats, "local"), "reasons");
	const char *name, *separator = " (";
	json_t *value;
	json_object_foreach(reasons, name, value)
	{
		buf_printf(to, "%s%s %" JSON_INTEGER_FORMAT, separator, name, json_integer_value(value));
		separator = ", ";
	}
	if (json_object_size(reasons) > 0)
		buf_append_char(to, ')');
}

/* Where the build's tree may be: the options that lead there, and here. */
static const char *tree_directory(char *const *argv, struct arena *arena)
{
	for (size_t i = 1; argv[i]; i++) {
		bool named = strcmp(argv[i], "-C") == 0 || strcmp(argv[i], "--build") == 0 ||
			     strcmp(argv[i], "--directory") == 0;
		if (named && argv[i + 1])
			return argv[i + 1];
		if (argv[i][0] == '-' && argv[i][1] == 'C' && argv[i][2])
			return argv[i] + 2;
		if (strncmp(argv[i], "--directory=", 12) == 0)
			return argv[i] + 12;
	}
	return arena_strdup(arena, ".");
}

/* Once for all units: why Lambda didn't do what it should have done. */
static void print_lambda_trouble(const struct build *build, const json_t *status)
{
	const char *state = json_string_value(json_object_get(status, "lambda"));
	uint64_t errors = control_json_number(status, "lambda_errors"), before = build->lambda_errors;
	const char *why = json_string_value(json_object_get(status, "lambda_why"));
	if (state && strcmp(state, "down") == 0)
		fprintf(stderr, "llama: this machine compiled, for Lambda is down: %s. It is tried again in %" PRIu64 " s, or after "
				"`llama daemon --stop`\n",
			why ? why : "", control_json_number(status, "lambda_back_ms") / 1000 + 1);
	else if (errors > before && control_json_number(status, "pid") == build->daemon)
		fprintf(stderr, "llama: Lambda failed %" PRIu64 " time%s, and this machine compiled instead; the last time: %s\n", errors - before,
			errors - before == 1 ? "" : "s", why ? why : "");
}

static void print_summary(struct build *build, int status, int64_t wall_ms)
{
	json_t *stats = NULL;
	struct error err = { 0 };
	int outcome = control_ask_json(
		&build->control, "stats", arena_printf(&build->arena, "build=%s", build->id), &stats, &err);
	if (outcome != 0) {
		fprintf(stderr, "llama: %.1f s; no numbers: %s\n", (double)wall_ms / 1000,
			outcome == CONTROL_NO_DAEMON ? "the daemon is not running" : err.text);
		return;
	}
	_cleanup_buf_ struct buf text = { 0 };
	uint64_t hits = control_json_number(stats, "hits.local"), shared = control_json_number(stats, "hits.shared");
	uint64_t local = control_json_number(stats, "local.total");
	add_part(&text, control_json_number(stats, "executed.sandbox"), "compiled in the sandbox");
	add_part(&text, control_json_number(stats, "executed.lambda"), "compiled in Lambda");
	add_part(&text, control_json_number(stats, "executed.inplace"), "compiled in place");
	add_part(&text, hits, hits == 1 ? "hit" : "hits");
	add_part(&text, shared, shared == 1 ? "shared hit" : "shared hits");
	add_part(&text, local, "run locally");
	if (local > 0)
		add_reasons(&text, stats);
	add_part(&text, control_json_number(stats, "verify.differed"), "DIFFERENT when verified (please report this)");
	bool nothing = control_json_number(stats, "requests") == 0;
	json_decref(stats);
	if (nothing && WIFEXITED(status) && (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127))
		return; /* there was no such command, as has been said */
	if (text.len == 0)
		buf_append_str(
			&text, nothing ? "no compiler was called through llamacc" : "no compilation was finished");
	fprintf(stderr, "llama: %s, %.1f s\n", buf_str(&text), (double)wall_ms / 1000);
	json_t *now = ask_status(build);
	uint64_t daemon = control_json_number(now, "pid");
	if (build->lambda)
		print_lambda_trouble(build, now);
	json_decref(now);
	if (daemon != build->daemon) {
		fprintf(stderr, "llama: the daemon was started anew meanwhile; what came before is not counted\n");
		return;
	}
	if (build->unreplaced)
		return; /* which explains it */

	const char *fact, *remedy;
	switch (tree_examine(
		tree_directory(build->argv, &build->arena), build->llamacc, &build->arena, &fact, &remedy)) {
	case TREE_NAMES_COMPILER:
		fprintf(stderr, "llama: %s, which llamacc can't stand in for; this changes it: %s\n", fact, remedy);
		break;
	case TREE_UNKNOWN:
		if (nothing)
			fprintf(stderr, "llama: if something was compiled, its compiler is named by path; for most "
					"makefiles this helps: "
					"llama build make CC=llamacc CXX=llamac++\n");
		break;
	case TREE_FINE:
		break;
	}
}

/* ---- the command ---- */

static int build_and_report(struct build *build, struct error *err)
{
	if (control_init(&build->control, err) < 0 ||
		control_find_program("llamacc", &build->arena, &build->llamacc, err) < 0)
		return -1;
	build->path = getenv("PATH");
	if (!build->path)
		build->path = "/usr/local/bin:/usr/bin:/bin";
	/* Whatever fails from here on costs speed, not the build. */
	struct error trouble;
	if (control_start_daemon(&build->control, &trouble) < 0)
		command_warn(build->command, "%s; everything is compiled locally", trouble.text);
	ask_daemon(build);
	add_jobs(build);
	export_build_id(build);
	build->unreplaced = export_environment(build, &trouble) < 0;
	if (build->unreplaced)
		command_warn(build->command, "%s; compilers are not replaced", trouble.text);
	int64_t begin_ms = clock_monotonic_ms();
	int status;
	if (run(build, &status, err) < 0)
		return -1;
	print_summary(build, status, clock_monotonic_ms() - begin_ms);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

enum { OPTION_JOBS, OPTION_ENGINE };

static const struct command_option options[] = {
	[OPTION_JOBS] = { 'j', "jobs", "N", "give the build tool -jN (without it: as many as the engine takes)" },
	[OPTION_ENGINE] = { 0, "engine", "sandbox|lambda|local", "where compilations run; local only meters them" },
	{ 0 },
};

static bool is_engine(const char *word)
{
	for (size_t i = 0; config_engine_words[i]; i++)
		if (strcmp(config_engine_words[i], word) == 0)
			return true;
	return false;
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	struct build build = { .command = command, .arena = ARENA_INIT };
	for (int option; (option = command_next_option(args)) >= 0;) {
		if (option == OPTION_JOBS)
			build.jobs = command_number(command, "jobs", args->value, 1, 100000);
		else
			build.engine = args->value;
	}
	if (build.engine && !is_engine(build.engine))
		command_misuse(command, "--engine takes sandbox, lambda or local, not `%s`.", build.engine);
	build.argv = args->argv + args->at;
	if (!build.argv[0])
		command_misuse(command, "name the build command, for example `llama build make`.");

	struct error err;
	int status = build_and_report(&build, &err);
	if (status < 0)
		status = command_fail(command, &err);
	control_deinit(&build.control);
	arena_deinit(&build.arena);
	return status;
}

const struct command command_build = {
	.name = "build",
	.operands = "[--] COMMAND [ARGUMENT]...",
	.summary = "run a build through llamacc",
	.help = "Run COMMAND with llamacc in place of every compiler on PATH, and as CMake's compiler launcher. make, "
		"ninja, samu,\n"
		"`cmake --build` and `meson compile` get a -j when they have none. The exit status is COMMAND's; at "
		"the end a line on\n"
		"stderr says what was compiled where, and what ran locally and why.",
	.options = options,
	.run = command_run,
};
