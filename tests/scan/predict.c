/* predict [--real] [--time N] [--counts] COMPILER ARGUMENT...: what the closure says that this compile command will read, one path a line.
 *
 * --real prints them as realpath does, sorted, each once. --time N predicts N times more and prints the median in microseconds instead, with
 * everything warm. --counts adds a last line "unresolved N". Exits with 2 when the command can't be predicted: the reason is on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "compiler/closure.h"
#include "compiler/strlist.h"

extern char **environ;

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "predict: %s: %s\n", what, why);
	exit(2);
}

static int read_response(void *ctx, const char *name, struct arena *arena, struct slice *ret)
{
	struct buf text = { 0 };
	if (file_read(name, 1 << 20, &text, NULL) < 0)
		return -1;
	*ret = slice_of(arena_strndup(arena, buf_str(&text), text.len), text.len);
	buf_deinit(&text);
	return 0;
}

/* An unnamed file for what the compiler prints. */
static int scratch(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		give_up("/tmp", strerror(errno));
	return fd;
}

static void ask_compiler(const struct search_question *question, const char *cwd, struct arena *arena, struct search *ret)
{
	_cleanup_close_ int out = scratch(), messages = scratch();
	_cleanup_buf_ struct buf macros = { 0 }, directories = { 0 };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status;
	struct error err;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, messages, STDERR_FILENO);
	setenv("LC_ALL", "C", 1);
	int code = posix_spawnp(&pid, question->argv[0], &actions, NULL, (char *const *)question->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (code != 0)
		give_up(question->argv[0], strerror(code));
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		give_up(question->argv[0], "does not tell its search path");
	if (lseek(out, 0, SEEK_SET) < 0 || lseek(messages, 0, SEEK_SET) < 0 || file_read_fd(out, 1 << 24, &macros, &err) < 0 ||
		file_read_fd(messages, 1 << 24, &directories, &err) < 0 ||
		search_parse(buf_slice(&directories), buf_slice(&macros), cwd, arena, ret, &err) < 0)
		give_up("search path", err.text);
}

static void parse(const char *const *argv, size_t argc, const char *cwd, struct arena *arena, struct command *ret)
{
	const char *name = path_basename(argv[0]);
	struct command_request request = {
		.argv = argv,
		.argc = argc,
		.cwd = cwd,
		.cxx_driver = command_is_cxx_name(name),
		.family = command_family_of_name(name),
		.remote_assemble = true,
		.read_file = read_response,
	};
	struct reason reason;
	if (request.family == FAMILY_UNKNOWN)
		request.family = FAMILY_GCC; /* cc, c++ */
	if (command_parse(&request, arena, ret, &reason) != 0) {
		_cleanup_buf_ struct buf text = { 0 };
		reason_format(&reason, &text);
		give_up("command", buf_str(&text));
	}
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print(const struct prediction *prediction, bool real)
{
	char **paths = calloc(prediction->n_paths + 1, sizeof(*paths));
	if (!paths)
		abort();
	for (size_t i = 0; i < prediction->n_paths; i++) {
		paths[i] = real ? realpath(prediction->paths[i], NULL) : strdup(prediction->paths[i]);
		if (!paths[i])
			give_up(prediction->paths[i], strerror(errno));
	}
	if (real)
		qsort(paths, prediction->n_paths, sizeof(*paths), compare_strings);
	for (size_t i = 0; i < prediction->n_paths; i++)
		if (!real || i == 0 || strcmp(paths[i], paths[i - 1]) != 0)
			puts(paths[i]);
	for (size_t i = 0; i < prediction->n_paths; i++)
		free(paths[i]);
	free(paths);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double now_us(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	bool real = false, counts = false;
	size_t times = 0;
	int first = 1;
	for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
		if (strcmp(argv[first], "--real") == 0)
			real = true;
		else if (strcmp(argv[first], "--counts") == 0)
			counts = true;
		else if (strcmp(argv[first], "--time") == 0 && first + 1 < argc)
			times = strtoul(argv[++first], NULL, 10);
		else
			give_up(argv[first], "unknown option");
	}
	if (first == argc)
		give_up("command", "missing");

	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	struct command command;
	struct search_question question;
	struct search search;
	struct closure_request request;
	struct prediction prediction;
	struct error err;
	if (!cwd)
		give_up("working directory", strerror(errno));
	parse((const char *const *)argv + first, (size_t)(argc - first), cwd, &arena, &command);

	size_t n_env = 0;
	while (environ[n_env])
		n_env++;
	search_ask(&command, cwd, (const char *const *)environ, n_env, &arena, &question);
	ask_compiler(&question, cwd, &arena, &search);

	struct view *view = view_new();
	struct skeletons *skeletons = skeletons_new(view);
	struct closures *closures = closures_new(view, skeletons);
	if (search_observe(&search, view, view_arrive(view), &err) != 0)
		give_up("search path", "does not hold");
	const char *source = path_squeeze(&arena, path_absolute(&arena, cwd, command.input));
	closure_request_of(&command, cwd, source, &arena, &request);
	double start_us = now_us(CLOCK_PROCESS_CPUTIME_ID);
	closures_predict(closures, view_arrive(view), &search, &request, &arena, &prediction);
	double cold_us = now_us(CLOCK_PROCESS_CPUTIME_ID) - start_us;

	if (times) {
		double *took_us = calloc(times, sizeof(*took_us));
		if (!took_us)
			abort();
		for (size_t i = 0; i < times; i++) {
			_cleanup_arena_ struct arena scratch_arena = ARENA_INIT;
			start_us = now_us(CLOCK_PROCESS_CPUTIME_ID);
			uint64_t since = view_arrive(view);
			if (view_check(view, since, &search.lookups, NULL) != 0)
				give_up("search path", "does not hold");
			closures_predict(closures, since, &search, &request, &scratch_arena, &prediction);
			took_us[i] = now_us(CLOCK_PROCESS_CPUTIME_ID) - start_us;
		}
		qsort(took_us, times, sizeof(*took_us), compare_doubles);
		printf("%zu files, cold %.0f us, warm %.0f us\n", prediction.n_paths, cold_us, took_us[times / 2]);
		free(took_us);
	} else {
		print(&prediction, real);
	}
	if (counts)
		printf("unresolved %zu\n", prediction.unresolved);
	closures_free(closures);
	skeletons_free(skeletons);
	view_free(view);
	return 0;
}
