/* llama-runtime: what runs in a cloud function. Takes one invocation after the other from the Runtime API and answers it; nothing is done before the
 * first, because a function that starts is being waited for. */
#include <stdio.h>
#include <stdlib.h>

#include "aws/image_links.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "runtime/api.h"
#include "runtime/job.h"
#include "runtime/secrets.h"
#include "runtime/workplace.h"

static const char *find_secret(char *const *secrets, const char *name)
{
	size_t n = strlen(name);
	for (char *const *p = secrets; *p; p++)
		if (strncmp(*p, name, n) == 0 && (*p)[n] == '=')
			return *p + n + 1;
	return NULL;
}

static unsigned memory_mb(char *const *secrets)
{
	const char *value = find_secret(secrets, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
	return value ? (unsigned)strtoul(value, NULL, 10) : 0;
}

/* A program that is installed with us: beside us in a build tree, else in PREFIX/libexec/llama. */
static const char *find_beside(struct arena *arena, const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	const char *directory = path_dirname(arena, self);
	const char *path = arena_printf(arena, "%s/%s", directory, name);
	if (access(path, F_OK) == 0)
		return path;
	return arena_printf(arena, "%s/libexec/llama/%s", path_dirname(arena, directory), name);
}

/* One invocation. false: the environment is at its end. */
static bool serve(struct api *api, struct workplace *workplace, struct error *err)
{
	struct invocation invocation;
	if (api_next(api, &invocation, err) < 0)
		return false;
	struct job_times times = { .received_ns = clock_monotonic_ns(), .deadline_ms = invocation.deadline_ms };
	_cleanup_buf_ struct buf answer = { 0 };
	int outcome = job_run(workplace, buf_slice(&invocation.payload), &times, &answer, err);
	if (outcome < 0) {
		outcome = api_fail(
			api, invocation.id, err->code == EPROTO ? "Llama.Version" : "Llama.Request", err->text, err);
	} else {
		outcome = api_respond(api, invocation.id, buf_slice(&answer), err);
	}
	invocation_deinit(&invocation);
	return outcome >= 0;
}

/* There can be no secrets here, so nothing is served. Whoever invokes the function is told why. */
static int refuse_to_start(const struct error *why)
{
	struct error err;
	const char *endpoint = getenv("AWS_LAMBDA_RUNTIME_API");
	fprintf(stderr, "llama-runtime: %s\n", why->text);
	struct api *api = endpoint ? api_open(endpoint, &err) : NULL;
	if (api && api_fail(api, NULL, "Llama.Init", why->text, &err) < 0)
		fprintf(stderr, "llama-runtime: %s\n", err.text);
	api_close(api);
	return 1;
}

int main(int argc, char **argv)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err;
	char **secrets = secrets_take(&err);
	if (!secrets)
		return refuse_to_start(&err);
	const char *endpoint = find_secret(secrets, "AWS_LAMBDA_RUNTIME_API");
	if (argc != 1 || !endpoint) {
		fprintf(stderr, "llama-runtime: is started by AWS Lambda, which says in AWS_LAMBDA_RUNTIME_API where "
				"its jobs are\n");
		return 2;
	}
	struct api *api = api_open(endpoint, &err);
	if (!api) {
		fprintf(stderr, "llama-runtime: %s\n", err.text);
		return 1;
	}
	struct workplace_options options = { .root = IMAGE_TREE,
		.runner = find_beside(&arena, "llama-runner"),
		.interposer = find_beside(&arena, "llama-interpose.so"),
		.secrets = secrets,
		.memory_mb = memory_mb(secrets),
		.open_bucket = bucket_s3_new };
	struct workplace workplace;
	workplace_init(&workplace, &options);
	while (serve(api, &workplace, &err))
		continue;
	fprintf(stderr, "llama-runtime: %s\n", err.text);
	workplace_deinit(&workplace);
	api_close(api);
	return 1;
}
