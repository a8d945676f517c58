#include "setup/scratch.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/process.h"
#include "base/file.h"

enum {
	OUTPUT_BYTES = 1 << 20,
	STOP_MS = 150 * 1000,
	DIRECTORY_BYTES = 48, /* the daemon's socket lies below it, and has 108 */
};

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

static size_t count(char *const *strings)
{
	size_t n = 0;
	while (strings && strings[n])
		n++;
	return n;
}

static char **copy(char *const *strings, struct arena *arena)
{
	size_t n = count(strings);
	char **ret = arena_array(arena, char *, n + 1);
	for (size_t i = 0; i < n; i++)
		ret[i] = arena_strdup(arena, strings[i]);
	return ret;
}

/* Without the loop: it may be turning. */
static void leave(struct scratch *scratch)
{
	pid_t pid;
	if (scratch->stop_argv && posix_spawnp(&pid, scratch->stop_argv[0], NULL, NULL, scratch->stop_argv,
					  scratch->stop_environment) == 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	scratch->stop_argv = NULL;
	if (scratch->directory)
		file_remove_tree(AT_FDCWD, scratch->directory, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct scratch *scratch = handle->data;
	/* It has a session of its own: the terminal's signal hasn't reached it, and the daemon would wait for its job. */
	process_cancel(scratch->running);
	leave(scratch);
	fflush(stdout);
	fprintf(stderr, "\nllama: interrupted; run the same command again, and it goes on from here\n");
	signal(number, SIG_DFL);
	raise(number);
}

static void ignore_close(uv_handle_t *handle)
{
	(void)handle;
}

int scratch_open(struct aws_session *session, struct scratch *ret, struct error *err)
{
	*ret = (struct scratch){ .session = session };
	const char *parent = getenv("TMPDIR");
	if (!parent || parent[0] != '/' || strlen(parent) > DIRECTORY_BYTES)
		parent = "/tmp";
	char *path = arena_printf(&ret->arena, "%s/llama-setup-XXXXXX", parent);
	if (!mkdtemp(path))
		return error_set(err, errno, "cannot make a directory in %s", parent);
	ret->directory = path;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uv_signal_init(&session->loop, &ret->signals[i]);
		ret->signals[i].data = ret;
		uv_signal_start(&ret->signals[i], on_signal, numbers[i]);
		uv_unref((uv_handle_t *)&ret->signals[i]);
	}
	return 0;
}

void scratch_close(struct scratch *scratch)
{
	if (!scratch || !scratch->session)
		return;
	if (scratch->directory) {
		leave(scratch);
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			uv_close((uv_handle_t *)&scratch->signals[i], ignore_close);
		uv_run(&scratch->session->loop, UV_RUN_NOWAIT); /* they are ours until they have closed */
	}
	arena_deinit(&scratch->arena);
	*scratch = (struct scratch){ 0 };
}

struct running {
	struct arena *arena;
	struct scratch_output output;
	struct error error;
	int rc;
	bool done;
};

static void on_process(void *ctx, const struct process_result *result, const struct error *err)
{
	struct running *running = ctx;
	running->done = true;
	if (!result) {
		running->error = *err;
		running->rc = -1;
		return;
	}
	running->output = (struct scratch_output){
		.out = arena_strndup(running->arena, result->out.ptr ? result->out.ptr : "", result->out.len),
		.err = arena_strndup(running->arena, result->err.ptr ? result->err.ptr : "", result->err.len),
		.status = result->term_signal ? 128 + result->term_signal : result->exit_status,
	};
}

int scratch_run(struct scratch *scratch, const char *const *argv, char *const *environment, int64_t limit_ms,
	struct arena *arena, struct scratch_output *ret, struct error *err)
{
	struct running running = { .arena = arena };
	scratch->running = process_start(&scratch->session->loop, (char *const *)argv, environment, limit_ms,
		OUTPUT_BYTES, on_process, &running, err);
	if (!scratch->running)
		return -1;
	while (!running.done)
		uv_run(&scratch->session->loop, UV_RUN_ONCE);
	scratch->running = NULL;
	if (running.rc < 0) {
		if (err)
			*err = running.error;
		return -1;
	}
	*ret = running.output;
	return 0;
}

void scratch_end_with(struct scratch *scratch, const char *const *argv, char *const *environment)
{
	scratch->stop_environment = copy(environment, &scratch->arena);
	scratch->stop_argv = argv ? copy((char *const *)argv, &scratch->arena) : NULL;
}

char **scratch_environment(
	char *const *environment, const char *const *without, const char *const *with, struct arena *arena)
{
	size_t n = 0, most = count(environment) + count((char *const *)with);
	char **ret = arena_array(arena, char *, most + 1);
	for (; *environment; environment++) {
		bool wanted = true;
		for (const char *const *prefix = without; *prefix; prefix++)
			wanted &= strncmp(*environment, *prefix, strlen(*prefix)) != 0;
		if (wanted)
			ret[n++] = *environment;
	}
	for (; *with; with++)
		ret[n++] = arena_strdup(arena, *with);
	return ret;
}

int scratch_stop_daemon(
	struct scratch *scratch, const char *llama, const char *profile, char *const *environment, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct scratch_output output;
	const char *setting = profile ? arena_printf(&arena, "LLAMA_PROFILE=%s", profile) : NULL;
	char **its = scratch_environment(environment, (const char *const[]){ "LLAMA_PROFILE=", NULL },
		(const char *const[]){ setting, NULL }, &arena);
	if (scratch_run(scratch, (const char *const[]){ llama, "daemon", "--stop", NULL }, its, STOP_MS, &arena,
		    &output, err) < 0)
		return -1;
	return output.status == 0 ? 0 : error_set(err, 0, "%.*s", (int)strcspn(output.err, "\n"), output.err);
}
