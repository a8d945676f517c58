#include "daemon/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "cache/key.h"
#include "cache/rebase.h"
#include "daemon/cloud.h"
#include "daemon/daemon_internal.h"
#include "daemon/toolchains.h"

static int local(struct reason *reason, enum reason_code code, const char *detail)
{
	*reason = (struct reason){ code, detail };
	return PLAN_LOCAL;
}

/* Other caching and distributing wrappers, which stand on PATH under a compiler's name as links to themselves. */
static bool is_known_wrapper(const char *name)
{
	static const char *const names[] = { "ccache", "sccache", "distcc", "icecc", NULL };
	for (const char *const *p = names; *p; p++)
		if (strcmp(name, *p) == 0)
			return true;
	return false;
}

/* The compiler behind a link to a known wrapper: the next of that name on PATH, after the link's own directory, that is none. */
static const char *see_through(const char *link, const char *path_variable, struct arena *arena)
{
	const char *name = path_basename(link);
	const char *directory = path_dirname(arena, link);
	bool after = false;
	for (const char *p = path_variable ? path_variable : ""; *p;) {
		size_t n = strcspn(p, ":");
		const char *entry = arena_strndup(arena, p, n);
		p += n + (p[n] == ':');
		const char *candidate = arena_printf(arena, "%s/%s", entry, name);
		if (entry[0] != '/' || access(candidate, X_OK) < 0)
			continue;
		if (strcmp(entry, directory) == 0) {
			after = true;
			continue;
		}
		_cleanup_free_ char *real = after ? realpath(candidate, NULL) : NULL;
		if (real && !is_known_wrapper(path_basename(real)) && strcmp(path_basename(real), "llamacc") != 0)
			return candidate;
	}
	return NULL;
}

static int resolve_compiler(struct plan *plan, struct arena *arena, struct reason *reason)
{
	plan->compiler = plan->frame->compiler;
	if (plan->compiler[0] != '/')
		return local(reason, REASON_UNKNOWN_COMPILER, NULL);
	_cleanup_free_ char *real = realpath(plan->compiler, NULL);
	if (real && is_known_wrapper(path_basename(real))) {
		plan->compiler = see_through(plan->compiler, plan->environment.path, arena);
		if (!plan->compiler)
			return local(reason, REASON_WRAPPER, NULL);
		free(real);
		real = realpath(plan->compiler, NULL);
	}
	if (!real)
		return local(reason, REASON_UNKNOWN_COMPILER, NULL);
	const char *names[] = { path_basename(plan->compiler), path_basename(real) };
	for (size_t i = 0; i < 2 && plan->family == FAMILY_UNKNOWN; i++)
		plan->family = command_family_of_name(names[i]);
	plan->cxx_driver = command_is_cxx_name(names[0]) || command_is_cxx_name(names[1]);
	if (plan->family == FAMILY_UNKNOWN) {
		bool script = toolchain_program_kind(plan->compiler) == PROGRAM_OTHER;
		return local(reason, script ? REASON_WRAPPER : REASON_UNKNOWN_COMPILER, NULL);
	}
	return 0;
}

struct response_files {
	const char *cwd;
};

static int read_response_file(void *ctx, const char *name, struct arena *arena, struct slice *ret)
{
	const struct response_files *files = ctx;
	_cleanup_buf_ struct buf text = { 0 };
	const char *path = path_absolute(arena, files->cwd, name);
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || file_read(path, 16 << 20, &text, NULL) < 0)
		return -1;
	*ret = slice_of(arena_strndup(arena, buf_str(&text), text.len), text.len);
	return 0;
}

/* An output may be replaced by unlink and rename only if that is what the compiler's own open would amount to: absent, or a plain
 * file with one name that the user may write, in a directory where names can be made. */
static bool is_plain_output(const char *path, struct arena *arena)
{
	struct stat st;
	if (lstat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
			return false;
	} else if (errno != ENOENT) {
		return false;
	}
	const char *directory = path_dirname(arena, path);
	return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
}

static int examine_files(struct daemon *daemon, struct plan *plan, struct arena *arena, struct reason *reason)
{
	const struct command *command = &plan->command;
	const char *cwd = plan->frame->cwd;
	plan->source = path_squeeze(arena, path_absolute(arena, cwd, command->input));
	struct error err;
	int outcome = view_digest(daemon->view, plan->since, plan->source, &plan->source_digest, NULL, &err);
	if (outcome != 0)
		return local(reason, REASON_SPECIAL_FILE, NULL);

	plan->n_outputs = command->n_outputs;
	plan->outputs = arena_array(arena, struct exec_output, plan->n_outputs + 1);
	for (size_t i = 0; i < plan->n_outputs; i++) {
		const char *path = path_squeeze(arena, path_absolute(arena, cwd, command->outputs[i].path));
		if (!is_plain_output(path, arena))
			return local(reason, REASON_OUTPUT_SPECIAL, NULL);
		for (size_t j = 0; j < i; j++)
			if (strcmp(plan->outputs[j].path, path) == 0)
				return local(reason, REASON_OUTPUT_SPECIAL, NULL);
		if (strcmp(path, plan->source) == 0)
			return local(reason, REASON_OUTPUT_SPECIAL, NULL);
		plan->outputs[i].path = path;
	}
	return 0;
}

/* gcc and clang name the working directory by PWD when that leads to `.`. */
static const char *working_directory(struct daemon *daemon, const struct plan *plan)
{
	const struct frame_request *frame = plan->frame;
	const char *pwd = environment_get(frame->env.v, frame->env.n, "PWD");
	if (!pwd || pwd[0] != '/' || strcmp(pwd, frame->cwd) == 0)
		return frame->cwd;
	struct view_info a = view_stat(daemon->view, plan->since, pwd, true);
	struct view_info b = view_stat(daemon->view, plan->since, frame->cwd, true);
	bool same = a.kind == VIEW_DIRECTORY && b.kind == VIEW_DIRECTORY && a.identity.dev == b.identity.dev &&
		a.identity.ino == b.identity.ino;
	return same ? pwd : frame->cwd;
}

/* Directories of ours, the masquerade of `llama build` above all, are out of PATH: with and without them a compiler is the same, and they
 * hold nothing a compiler looks for. */
static bool is_ours(const struct daemon *daemon, const char *entry)
{
	return path_is_below(entry, daemon->options->endpoint.directory) || path_is_below(entry, daemon->cache_dir) ||
		path_is_below(entry, daemon->config->cache_dir);
}

/* A directory that the user may not search: what a compiler looks for there is neither found nor absent, and to no avail. */
static bool is_closed(struct view *view, uint64_t since, const char *entry, struct arena *arena)
{
	if (entry[0] != '/')
		return false;
	struct view_info info = view_stat(view, since, path_squeeze(arena, entry), true);
	bool open_to_all = info.kind == VIEW_ABSENT || (info.kind == VIEW_DIRECTORY && (info.mode & 0111) == 0111);
	return !open_to_all && faccessat(AT_FDCWD, entry, X_OK, AT_EACCESS) < 0 && errno == EACCES;
}

/* PATH without what makes no difference. */
static const char *useful_path(const struct daemon *daemon, uint64_t since, const char *value, struct arena *arena)
{
	char *out = arena_alloc(arena, strlen(value) + 1), *end = out;
	for (const char *p = value;;) {
		size_t n = strcspn(p, ":");
		const char *entry = arena_strndup(arena, p, n);
		if (!is_ours(daemon, entry) && !is_closed(daemon->view, since, entry, arena)) {
			if (end != out)
				*end++ = ':';
			memcpy(end, p, n);
			end += n;
		}
		if (!p[n])
			break;
		p += n + 1;
	}
	*end = '\0';
	return out;
}

static void make_engine_env(struct daemon *daemon, struct plan *plan, struct arena *arena)
{
	const struct environment *environment = &plan->environment;
	const char **env = arena_array(arena, const char *, environment->n_key + environment->n_color + 2);
	size_t n = 0;
	for (size_t i = 0; i < environment->n_key; i++) {
		const char *assignment = environment->key[i];
		if (strncmp(assignment, "PWD=", 4) == 0)
			continue;
		if (strncmp(assignment, "PATH=", 5) == 0) {
			plan->environment.path = useful_path(daemon, plan->since, assignment + 5, arena);
			assignment = arena_printf(arena, "PATH=%s", plan->environment.path);
		}
		env[n++] = assignment;
	}
	for (size_t i = 0; i < environment->n_color; i++)
		env[n++] = environment->color[i];
	env[n++] = arena_printf(arena, "PWD=%s", plan->directory);
	plan->engine_env = env;
}

/* What the look of messages depends on, and nothing else: so that a result without messages serves everybody. */
static struct digest messages_kind(const struct plan *plan)
{
	const struct frame_request *frame = plan->frame;
	bool tty = frame->stdio & FRAME_STDERR_TTY;
	struct key *key = key_new("messages 1");
	key_add_number(key, "tty", tty);
	key_add_number(key, "columns", tty ? frame->columns : 0);
	for (size_t i = 0; i < plan->environment.n_color; i++)
		key_add_str(key, "env", plan->environment.color[i]);
	for (size_t i = 1; i < plan->command.argc; i++)
		if (strstr(plan->command.argv[i], "color"))
			key_add_str(key, "option", plan->command.argv[i]);
	return key_end(key);
}

bool plan_depends_on_clock(const struct plan *plan, const struct skeleton *skeleton)
{
	return skeleton->timestamp || (skeleton->date_time && !(plan->environment.source_date_epoch && plan->family == FAMILY_GCC));
}

/* -DBUILT=__DATE__, in any spelling. (-D__DATE__="redacted" is the opposite.) */
static bool options_depend_on_clock(const struct plan *plan)
{
	for (size_t i = 1; i < plan->command.argc; i++) {
		const char *value = strchr(plan->command.argv[i], '=');
		if (!value || !strstr(value, "__"))
			continue;
		struct skeleton skeleton = {
			.date_time = strstr(value, "__DATE__") || strstr(value, "__TIME__"),
			.timestamp = strstr(value, "__TIMESTAMP__"),
		};
		if (plan_depends_on_clock(plan, &skeleton))
			return true;
	}
	return false;
}

/* A word that is no engine's changes nothing: a build never fails because of us. */
static int chosen_engine(const struct daemon *daemon, const struct plan *plan)
{
	for (int i = 0; plan->environment.engine && config_engine_words[i]; i++)
		if (strcmp(config_engine_words[i], plan->environment.engine) == 0)
			return i;
	return (int)daemon->config->engine;
}

int plan_make(struct daemon *daemon, const struct frame_request *frame, uint64_t since, struct arena *arena, struct plan *ret,
	struct reason *reason)
{
	struct plan *plan = ret;
	*plan = (struct plan){ .frame = frame, .since = since };
	plan->build_id = environment_get(frame->env.v, frame->env.n, "LLAMACC_BUILD_ID");
	*reason = (struct reason){ 0 };

	if (frame->stdio & FRAME_NESTED)
		return local(reason, REASON_NESTED, NULL);
	if (frame->stdio & (FRAME_STDIN_CLOSED | FRAME_STDOUT_CLOSED | FRAME_STDERR_CLOSED))
		return local(reason, REASON_CLOSED_STDIO, NULL);
	int outcome = environment_parse(frame->env.v, frame->env.n, arena, &plan->environment, reason);
	if (outcome != 0)
		return PLAN_LOCAL;
	outcome = resolve_compiler(plan, arena, reason);
	if (outcome != 0)
		return outcome;

	const char **argv = arena_array(arena, const char *, frame->argv.n + 1);
	memcpy(argv, frame->argv.v, frame->argv.n * sizeof(*argv));
	if (frame->argv.n > 0)
		argv[0] = plan->compiler;
	struct response_files files = { frame->cwd };
	struct command_request request = {
		.argv = argv,
		.argc = frame->argv.n,
		.cwd = frame->cwd,
		.cxx_driver = plan->cxx_driver,
		.family = plan->family,
		.remote_assemble = plan->environment.remote_assemble,
		.read_file = read_response_file,
		.ctx = &files,
	};
	if (command_parse(&request, arena, &plan->command, reason) != 0)
		return PLAN_LOCAL;
	if (plan->environment.requested_local)
		return local(reason, REASON_REQUESTED, NULL);
	int engine = chosen_engine(daemon, plan);
	if (engine == CONFIG_ENGINE_LOCAL)
		return local(reason, REASON_ENGINE_OFF, NULL);
	plan->engine = engine == CONFIG_ENGINE_LAMBDA && cloud_takes_jobs(daemon)	     ? &daemon->lambda :
		       daemon->sandbox.executor				     ? &daemon->sandbox :
											       NULL;
	if (options_depend_on_clock(plan))
		return local(reason, REASON_DATE_TIME, NULL);
	outcome = examine_files(daemon, plan, arena, reason);
	if (outcome != 0)
		return outcome;
	plan->directory = working_directory(daemon, plan);
	make_engine_env(daemon, plan, arena);
	plan->messages_kind = messages_kind(plan);
	return 0;
}

/* A text of the key; with `base`, as it is below that directory wherever it may be. */
static void add_text(struct key *key, const char *name, const char *text, const char *base)
{
	_cleanup_buf_ struct buf moved = { 0 };
	if (base && strstr(text, base)) {
		text_rebase(text, base, REBASE_MARK, &moved);
		text = buf_str(&moved);
	}
	key_add_str(key, name, text);
}

static struct digest make_key(const struct plan *plan, const struct toolchain *toolchain, const char *base)
{
	const struct command *command = &plan->command;
	struct key *key = key_new(base ? "compile 2 below" : "compile 1");
	add_text(key, "compiler", plan->compiler, base);
	key_add_digest(key, "toolchain", &toolchain->identity);
	for (size_t i = 0; i < command->n_key_args; i++)
		add_text(key, "argument", command->key_args[i], base);
	add_text(key, "source", command->input, base);
	key_add_digest(key, "content", &plan->source_digest);
	add_text(key, "directory", plan->directory, base);
	add_text(key, "cwd", plan->frame->cwd, base);
	/* PATH counts by what is found along it, which the toolchain's identity and the look-ups say. */
	for (size_t i = 0; i < plan->environment.n_key; i++)
		if (strncmp(plan->environment.key[i], "PATH=", 5) != 0 && strncmp(plan->environment.key[i], "PWD=", 4) != 0)
			add_text(key, "environment", plan->environment.key[i], base);
	for (size_t i = 0; i < command->n_outputs; i++)
		key_add_number(key, "output", (uint64_t)command->outputs[i].kind);
	return key_end(key);
}

struct digest plan_key(const struct plan *plan, const struct toolchain *toolchain)
{
	return make_key(plan, toolchain, NULL);
}

struct digest plan_key_below(const struct plan *plan, const struct toolchain *toolchain, const char *base)
{
	return make_key(plan, toolchain, base);
}

struct digest plan_remembered_key(const struct digest *key)
{
	struct key *remembered = key_new("remembered 1");
	key_add_digest(remembered, "key", key);
	return key_end(remembered);
}

bool plan_is_remembered_as_local(struct daemon *daemon, const struct plan *plan, const struct digest *key)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct digest remembered = plan_remembered_key(key);
	struct cache_result result;
	return cache_get(daemon->cache, daemon->view, plan->since, &remembered, &plan->messages_kind, &arena, &result, NULL, NULL) == 0;
}

/* Nobody can foresee them: the compiler follows what stands at its output, and others may write to the directory. */
void plan_name_temporaries(struct plan *plan, struct arena *arena)
{
	for (size_t i = 0; i < plan->n_outputs; i++) {
		const char *path = plan->outputs[i].path;
		int directory = (int)(path_basename(path) - path);
		uint64_t name;
		if (getrandom(&name, sizeof(name), 0) != sizeof(name))
			abort(); /* cannot fail for so few bytes */
		plan->outputs[i].temporary = arena_printf(arena, "%.*s.llama-%016" PRIx64, directory, path, name);
	}
}

void plan_remove_temporaries(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_outputs; i++)
		if (plan->outputs[i].temporary)
			unlink(plan->outputs[i].temporary); /* most were renamed or never made */
}
