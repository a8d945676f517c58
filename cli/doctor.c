/* llama doctor */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "cli/command.h"
#include "cli/control.h"
#include "cli/explain.h"
#include "cli/report.h"
#include "cli/namespaces.h"

/* ---- the daemon ---- */

static const char restart[] = "`llama daemon --stop`; the next compilation starts another";

static const char *text_of(const json_t *status, const char *key)
{
	const char *text = json_string_value(json_object_get(status, key));
	return text ? text : "";
}

static bool is_same(const json_t *status, const char *key, const char *configured)
{
	return strcmp(text_of(status, key), configured ? configured : "") == 0;
}

static void examine_process(struct examiner *examiner, const struct config *config, const json_t *status)
{
	const char *version = text_of(status, "version"), *engine = text_of(status, "engine");
	if (strcmp(version, LLAMA_VERSION) != 0)
		examine_tell(examiner, "version", EXAMINE_WARNING, restart, "it is of llama %s, and this is %s",
			version, LLAMA_VERSION);
	if (strcmp(engine, config_engine_words[config->engine]) != 0)
		examine_tell(examiner, "engine", EXAMINE_FAILED, restart,
			"it was started with engine = %s, and now %s is configured", engine,
			config_engine_words[config->engine]);
	else if (!is_same(status, "function", config->function) || !is_same(status, "bucket", config->bucket) ||
		 (config->region && *text_of(status, "region") && !is_same(status, "region", config->region)))
		examine_tell(examiner, "engine",
			config->engine == CONFIG_ENGINE_LAMBDA ? EXAMINE_FAILED : EXAMINE_WARNING, restart,
			"it was started with another function, bucket or region than what is configured now");
	else
		examine_tell(examiner, "process", EXAMINE_OK, NULL, "%" JSON_INTEGER_FORMAT ", llama %s, engine %s",
			json_integer_value(json_object_get(status, "pid")), version, engine);
}

static void examine_sandbox(struct examiner *examiner, const struct config *config, const json_t *status)
{
	if (strcmp(text_of(status, "sandbox"), "namespaces") == 0 || config->sandbox == CONFIG_SANDBOX_INPLACE) {
		examine_tell(examiner, "sandbox", EXAMINE_OK, NULL, "%s", text_of(status, "sandbox"));
		return;
	}
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf advice = { 0 };
	namespaces_advise("", control_find_apparmor_profile(&arena), &advice);
	bool needed = config->sandbox == CONFIG_SANDBOX_NAMESPACES && config->engine == CONFIG_ENGINE_SANDBOX;
	examine_tell(examiner, "sandbox", needed ? EXAMINE_FAILED : EXAMINE_WARNING, buf_str(&advice),
		"namespaces are forbidden here, so it compiles in place: %s", text_of(status, "sandbox_why"));
}

static void examine_lambda(struct examiner *examiner, const struct config *config, const json_t *status)
{
	const char *state = text_of(status, "lambda");
	if (config->engine != CONFIG_ENGINE_LAMBDA)
		return;
	_cleanup_buf_ struct buf text = { 0 };
	control_describe_lambda(status, &text);
	bool well = strcmp(state, "ready") == 0 || strcmp(state, "untried") == 0;
	examine_tell(examiner, "lambda", well ? EXAMINE_OK : EXAMINE_FAILED,
		well ? NULL : "see the cloud's findings below; once they are mended the daemon finds it out by itself",
		"%s", buf_str(&text));
}

/* False: there is none, and none can be had. */
static bool examine_daemon(struct examiner *examiner, const struct control *control)
{
	struct error err;
	json_auto_t *status = NULL;
	examiner->area = "daemon";
	int outcome = control_start_daemon(control, &err);
	if (outcome == 0)
		outcome = control_ask_json(control, "status", NULL, &status, &err);
	if (outcome != 0) {
		examine_tell(examiner, "process", EXAMINE_FAILED, NULL, "%s",
			outcome < 0 ? err.text : "it has left at once");
		return false;
	}
	examine_process(examiner, &control->config, status);
	examine_sandbox(examiner, &control->config, status);
	examine_lambda(examiner, &control->config, status);
	return true;
}

/* ---- compilers ---- */

struct compilers {
	struct examiner *examiner;
	const struct control *control;
	const char *real[6]; /* what was examined, and whether as C++'s */
	bool cxx[6];
	unsigned n, n_good;
	struct arena arena;
};

/* Of the line of `explain` that begins with `name`: the rest; NULL: there is none. In `arena`. */
static const char *line_of(const char *text, const char *name, struct arena *arena)
{
	for (size_t n = strlen(name); *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (strncmp(text, name, n) == 0)
			return arena_strndup(arena, text + n + strspn(text + n, " "),
				strcspn(text, "\n") - n - strspn(text + n, " "));
	return NULL;
}

static bool was_examined(struct compilers *compilers, const char *path, bool cxx)
{
	char real[PATH_MAX];
	const char *name = realpath(path, real) ? real : path;
	for (unsigned i = 0; i < compilers->n; i++)
		if (strcmp(compilers->real[i], name) == 0 && compilers->cxx[i] == cxx)
			return true;
	compilers->cxx[compilers->n] = cxx;
	compilers->real[compilers->n++] = arena_strdup(&compilers->arena, name);
	return false;
}

/* What the daemon would do with a file of its language. */
static void examine_compiler(struct compilers *compilers, const char *name)
{
	struct error err;
	_cleanup_buf_ struct buf text = { 0 };
	bool cxx = strstr(name, "++");
	char *argv[] = { (char *)name, (char *)"-c", (char *)(cxx ? "x.cc" : "x.c"), NULL };
	if (explain_command(compilers->control, 3, argv, &text, &err) < 0)
		return; /* there is none of that name */
	struct arena *arena = &compilers->arena;
	const char *path = line_of(buf_str(&text), "compiler", arena),
		   *local = line_of(buf_str(&text), "runs locally", arena);
	const char *engine = line_of(buf_str(&text), "engine", arena),
		   *toolchain = line_of(buf_str(&text), "toolchain", arena);
	if (!path || was_examined(compilers, path, cxx))
		return;
	if (local || !engine) {
		examine_tell(compilers->examiner, name, EXAMINE_WARNING,
			"llamacc(1) has what each reason means; name another compiler to the build, or in "
			"LLAMACC_LOCAL_CC",
			"%s is run as a plain command: %s", path, local ? local : "the daemon says no more");
		return;
	}
	compilers->n_good++;
	const char *not = toolchain ? strstr(toolchain, "not reproduced") : NULL;
	examine_tell(compilers->examiner, name, not ? EXAMINE_WARNING : EXAMINE_OK, NULL, "%s, compiles by %s%s%s",
		path, engine, not ? ": its files are " : "", not ? not : "");
}

/* In a directory with an x.c and an x.cc. */
static void examine_all_compilers(struct examiner *examiner, const struct control *control)
{
	static const char *const names[] = { "gcc", "g++", "clang", "clang++", "cc", "c++" };
	struct compilers compilers = { .examiner = examiner, .control = control, .arena = ARENA_INIT };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		examine_compiler(&compilers, names[i]);
	if (compilers.n == 0)
		examine_tell(examiner, "compilers", EXAMINE_FAILED,
			"install one: the package gcc or clang; llamacc compiles with what it finds on PATH",
			"there is none on PATH");
	else if (compilers.n_good == 0)
		examine_tell(examiner, "compilers", EXAMINE_FAILED, NULL, "none can be used");
	arena_deinit(&compilers.arena);
}

static int examine_compilers(struct examiner *examiner, const struct control *control, struct error *err)
{
	char directory[] = "/tmp/llama-doctor-XXXXXX";
	int rc = -1;
	examiner->area = "compilers";
	if (!mkdtemp(directory))
		return error_set(err, errno, "cannot make a directory in /tmp");
	if (chdir(directory) < 0) {
		error_set(err, errno, "cannot go to %s", directory);
	} else if (file_replace("x.c", slice_str("int x;\n"), 0600, err) == 0 &&
		   file_replace("x.cc", slice_str("int x;\n"), 0600, err) == 0) {
		examine_all_compilers(examiner, control);
		rc = 0;
	}
	if (chdir("/") < 0)
		rc = error_set(err, errno, "cannot go to /");
	return file_remove_tree(AT_FDCWD, directory, rc < 0 ? NULL : err) < 0 ? -1 : rc;
}

/* Whose llamacc a build would find. */
static void examine_path(struct examiner *examiner)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err;
	const char *own, *path = getenv("PATH");
	struct stat ours, found;
	if (control_find_program("llamacc", &arena, &own, &err) < 0 || stat(own, &ours) < 0)
		return examine_tell(
			examiner, "llamacc", EXAMINE_FAILED, "install llama again", "it isn't where this llama is");
	for (; path && *path; path += strcspn(path, ":"), path += *path == ':') {
		const char *name = arena_printf(&arena, "%.*s/llamacc", (int)strcspn(path, ":"), path);
		if (stat(name, &found) < 0 || !S_ISREG(found.st_mode) || access(name, X_OK) < 0)
			continue;
		if (found.st_dev == ours.st_dev && found.st_ino == ours.st_ino)
			examine_tell(examiner, "llamacc", EXAMINE_OK, NULL, "%s", name);
		else
			examine_tell(examiner, "llamacc", EXAMINE_WARNING, "put the one that is meant first on PATH",
				"PATH leads to %s, of another installation than this llama's %s", name, own);
		return;
	}
	examine_tell(examiner, "llamacc", EXAMINE_OK, NULL,
		"%s, not on PATH: `llama build` finds it, CC=llamacc does not", own);
}

/* ---- the command ---- */

enum { OPTION_NAME };

static const struct command_option options[] = {
	[OPTION_NAME] = { 0, "name", "NAME",
		"of the environment: as if LLAMA_PROFILE were NAME (default: what it is)" },
	{ 0 },
};

static int examine_all(struct report *report, struct error *err)
{
	struct examiner *examiner = &report->examiner;
	_cleanup_control_ struct control control;
	if (control_init(&control, err) < 0) {
		examiner->area = "configuration";
		examine_tell(examiner, "file", EXAMINE_FAILED, "correct it; llama-config(5) explains the options", "%s",
			err->text);
		return 0;
	}
	const struct config *config = &control.config;
	examine_configuration(examiner, config, environ);
	examine_machine(examiner, config, &control.endpoint);
	examine_path(examiner);
	if (examine_daemon(examiner, &control) && config->engine != CONFIG_ENGINE_LOCAL &&
		examine_compilers(examiner, &control, err) < 0)
		return -1;
	if (examine_wants_cloud(config))
		examine_cloud(examiner, config, environ);
	printf("\n");
	if (examiner->n[EXAMINE_FAILED])
		printf("Builds will not use the engine that is configured (%s): %u %s to be mended.\n",
			config_engine_words[config->engine], examiner->n[EXAMINE_FAILED],
			examiner->n[EXAMINE_FAILED] == 1 ? "thing has" : "things have");
	else if (config->engine == CONFIG_ENGINE_LAMBDA)
		printf("Builds will use AWS Lambda: function %s.\n", config->function);
	else if (config->engine == CONFIG_ENGINE_SANDBOX)
		printf("Builds will use the sandbox on this machine.\n");
	else
		printf("Builds will run plain commands, as configured (engine = local).\n");
	return 0;
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	while (command_next_option(args) >= 0)
		control_choose_environment(args->value);
	command_no_operands(args);
	struct error err;
	struct report report;
	report_begin(&report);
	if (examine_all(&report, &err) < 0)
		return command_fail(command, &err);
	return command_finish_output(command, report.examiner.n[EXAMINE_FAILED] ? COMMAND_FAILED : COMMAND_OK);
}

const struct command command_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "find out what keeps builds from the engine that is configured",
	.help = "Examine the configuration, this machine, the daemon (which is started), the compilers and, if one is "
		"configured,\n"
		"the cloud: each thing that could be wrong, with what to do about it. Exits with 0 if builds will use "
		"the engine\n"
		"that is configured, with 1 if not.",
	.options = options,
	.run = command_run,
};
