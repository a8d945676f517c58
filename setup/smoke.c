#include "setup/smoke.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "setup/compilers.h"
#include "setup/settings.h"
#include "setup/talk.h"

enum {
	LOCAL_MS = 120 * 1000,
	REMOTE_MS = 30 * 60 * 1000, /* the compiler itself is sent first */
	CONTROL_MS = 150 * 1000,
	OBJECT_BYTES = 64 << 20,
	REASON_BYTES = 200,
};

static const char c_source[] =
	"#include <stdio.h>\n#include <string.h>\n\n"
	"int smoke(const char *name)\n{\n\treturn printf(\"%s has %zu letters\\n\", name, strlen(name));\n}\n";
static const char cxx_source[] =
	"#include <map>\n#include <string>\n\n"
	"std::map<std::string, int> smoke(const std::string &name)\n{\n\treturn { { name, int(name.size()) } };\n}\n";

struct smoke {
	struct scratch *scratch;
	const struct smoke_options *options;
	struct arena arena;
	char **plain; /* the environment of compilers */
	char **llama; /* and of ours */
	const char *c_file, *cxx_file, *object;
};

static int run(struct smoke *smoke, const char *const *argv, char **environment, int64_t limit_ms,
	struct scratch_output *ret, struct error *err)
{
	return scratch_run(smoke->scratch, argv, environment, limit_ms, &smoke->arena, ret, err);
}

/* The first line, for people. */
static const char *first_line(struct smoke *smoke, const char *text)
{
	size_t n = strcspn(text, "\n");
	return arena_strndup(&smoke->arena, text, n < REASON_BYTES ? n : REASON_BYTES);
}

static void set_environment(struct smoke *smoke, const char *cache_dir)
{
	static const char *const ours[] = { "LLAMA_", "LLAMACC_", "LC_ALL=", NULL };
	const char *directory = smoke->scratch->directory;
	struct arena *arena = &smoke->arena;
	smoke->plain = scratch_environment(
		smoke->options->environment, ours, (const char *const[]){ "LC_ALL=C", NULL }, arena);
	smoke->llama = scratch_environment(smoke->plain, (const char *const[]){ NULL },
		(const char *const[]){ arena_printf(arena, "LLAMA_CONFIG=%s/config.ini", directory),
			arena_printf(arena, "LLAMA_RUNTIME_DIR=%s/run", directory),
			arena_printf(arena, "LLAMA_CACHE_DIR=%s", cache_dir), "LLAMACC_VERBOSE=1", "LLAMACC_RECACHE=1",
			"LLAMACC_ENGINE=lambda", NULL },
		arena);
}

static int start_daemon(struct smoke *smoke, struct smoke_report *report, struct error *err)
{
	const struct smoke_options *options = smoke->options;
	const char *start[] = { options->llama, "daemon", NULL },
		   *stop[] = { options->llama, "daemon", "--stop", NULL };
	const char *own = arena_printf(&smoke->arena, "%s/cache", smoke->scratch->directory);
	for (const char *cache_dir = options->cache_dir ? options->cache_dir : own;; cache_dir = own) {
		struct scratch_output output;
		report->own_cache = cache_dir == own;
		set_environment(smoke, cache_dir);
		scratch_end_with(smoke->scratch, stop, smoke->llama);
		if (run(smoke, start, smoke->llama, CONTROL_MS, &output, err) < 0)
			return -1;
		if (output.status == 0)
			return 0;
		if (cache_dir == own || !strstr(output.err, "in use by another daemon"))
			return error_set(err, 0, "the daemon for the smoke test doesn't start: %s",
				first_line(smoke, output.err));
	}
}

/* A number of the daemon's statistics or status. */
static int ask_json(struct smoke *smoke, json_t **ret, struct error *err)
{
	const char *argv[] = { smoke->options->llama, "stats", "--json", NULL };
	struct scratch_output output;
	if (run(smoke, argv, smoke->llama, CONTROL_MS, &output, err) < 0)
		return -1;
	*ret = json_loads(output.out, 0, NULL);
	return *ret ? 0
		    : error_set(err, 0, "cannot read the smoke test's statistics: %s", first_line(smoke, output.err));
}

static int count_executed(struct smoke *smoke, uint64_t *ret, struct error *err)
{
	json_t *stats;
	if (ask_json(smoke, &stats, err) < 0)
		return -1;
	*ret = (uint64_t)json_integer_value(json_object_get(json_object_get(stats, "executed"), "lambda"));
	json_decref(stats);
	return 0;
}

/* How the engine stands, in the words of `llama daemon --status`. */
static const char *engine_trouble(struct smoke *smoke)
{
	const char *argv[] = { smoke->options->llama, "daemon", "--status", NULL };
	struct scratch_output output;
	struct error ignored;
	if (run(smoke, argv, smoke->llama, CONTROL_MS, &output, &ignored) < 0)
		return "";
	const char *line = strstr(output.out, "\nlambda ");
	return line ? first_line(smoke, line + 1 + strlen("lambda") + strspn(line + 1 + strlen("lambda"), " ")) : "";
}

static bool same_bytes(const char *a, const char *b, struct error *err)
{
	_cleanup_buf_ struct buf x = { 0 }, y = { 0 };
	return file_read(a, OBJECT_BYTES, &x, err) == 0 && file_read(b, OBJECT_BYTES, &y, err) == 0 && x.len == y.len &&
	       memcmp(x.ptr, y.ptr, x.len) == 0;
}

/* NULL: the object is Lambda's, and right. Else why not. */
static const char *try(struct smoke *smoke, const struct compiler_found *compiler, int64_t *ret_ms)
{
	struct arena *arena = &smoke->arena;
	struct error err;
	struct scratch_output output;
	const char *source = compiler->is_cxx ? smoke->cxx_file : smoke->c_file, *object = smoke->object;
	const char *expected = arena_printf(arena, "%s.expected", object);
	/* Compilers look at the directory that they are started in. */
	const char *argv[] = { "/usr/bin/env", "-C", smoke->scratch->directory, smoke->options->llamacc, compiler->path,
		"-O1", "-g", "-c", "-o", object, source, NULL };
	const char *local[] = { "/usr/bin/env", "-C", smoke->scratch->directory, compiler->path, "-O1", "-g", "-c",
		"-o", object, source, NULL };
	if (run(smoke, local, smoke->plain, LOCAL_MS, &output, &err) < 0)
		return arena_strdup(arena, err.text);
	if (output.status != 0 || rename(object, expected) < 0)
		return arena_printf(arena, "it doesn't compile on this machine: %s", first_line(smoke, output.err));
	int64_t begin_ms = clock_monotonic_ms();
	if (run(smoke, argv, smoke->llama, REMOTE_MS, &output, &err) < 0)
		return arena_strdup(arena, err.text);
	*ret_ms = clock_monotonic_ms() - begin_ms;
	if (!strstr(output.err, "done by the daemon (lambda)")) {
		const char *why = strstr(output.err, "run locally: ");
		return arena_printf(arena, "it ran on this machine: %s; Lambda is %s",
			first_line(smoke, why ? why + strlen("run locally: ") : output.err), engine_trouble(smoke));
	}
	if (output.status != 0)
		return arena_printf(arena, "exit status %d", output.status);
	return same_bytes(object, expected, &err) ? NULL : "the object differs from this machine's own";
}

static int prepare(struct smoke *smoke, struct error *err)
{
	const struct smoke_options *options = smoke->options;
	struct arena *arena = &smoke->arena;
	const char *directory = smoke->scratch->directory;
	smoke->c_file = arena_printf(arena, "%s/smoke.c", directory);
	smoke->cxx_file = arena_printf(arena, "%s/smoke.cc", directory);
	smoke->object = arena_printf(arena, "%s/smoke.o", directory);
	const struct settings_entry entries[] = {
		{ "engine", "lambda" }, { "region", options->region }, { "bucket", options->bucket },
		{ "function", options->function }, { "profile", options->profile },
		{ "idle_timeout", "1m" }, /* should nobody be left to stop it */
	};
	return file_replace(smoke->c_file, slice_str(c_source), 0600, err) < 0 ||
			       file_replace(smoke->cxx_file, slice_str(cxx_source), 0600, err) < 0 ||
			       settings_write(arena_printf(arena, "%s/config.ini", directory), NULL, entries,
				       sizeof(entries) / sizeof(entries[0]), err) < 0
		       ? -1
		       : 0;
}

static int compile_all(struct smoke *smoke, const struct compiler_found *compilers, size_t n,
	struct smoke_report *report, struct error *err)
{
	const char *first_why = NULL;
	uint64_t before, after;
	if (count_executed(smoke, &before, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int64_t ms = 0;
		const char *why = try(smoke, &compilers[i], &ms);
		report->n_compilers++;
		if (why) {
			talk_more("%-14s %s", compilers[i].name, why);
			first_why = first_why ? first_why : why;
			continue;
		}
		talk_more("%-14s the same object, in %.1f s", compilers[i].name, (double)ms / 1000);
		if (report->n_good++ == 0)
			report->first_object_ms = ms;
	}
	if (count_executed(smoke, &after, err) < 0)
		return -1;
	if (report->n_good == 0)
		return error_set(err, 0, "no compiler works in Lambda: %s", first_why);
	if (after - before < report->n_good)
		return error_set(err, 0, "%u compilations are said to be Lambda's, but the daemon counted %" PRIu64,
			report->n_good, after - before);
	return 0;
}

int smoke_test(
	struct scratch *scratch, const struct smoke_options *options, struct smoke_report *ret, struct error *err)
{
	struct smoke smoke = { .scratch = scratch, .options = options };
	*ret = (struct smoke_report){ 0 };
	size_t n;
	const struct compiler_found *compilers = compilers_find(options->path, &smoke.arena, &n);
	int rc = 0;
	if (n > 0 && (prepare(&smoke, err) < 0 || start_daemon(&smoke, ret, err) < 0 ||
			     compile_all(&smoke, compilers, n, ret, err) < 0))
		rc = -1;
	arena_deinit(&smoke.arena);
	return rc;
}
