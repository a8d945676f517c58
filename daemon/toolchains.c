#include "daemon/toolchains.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "base/path.h"
#include "cache/key.h"
#include "daemon/cloud.h"
#include "daemon/daemon_internal.h"
#include "daemon/inputs.h"
#include "daemon/journal.h"
#include "event/work.h"

/* The kinds of source that use different programs of one compiler. */
enum unit_kind { UNIT_C, UNIT_CXX, UNIT_ASM, UNIT_ASM_CPP };

static const struct unit {
	const char *name, *text;
} units[] = {
	[UNIT_C] = { "unit.c", "int llama_unit(int n)\n{\n\treturn n + 1;\n}\n" },
	[UNIT_CXX] = { "unit.cc", "struct llama_unit {\n\tvirtual ~llama_unit() {}\n\tint n;\n};\nint f(llama_unit &u)\n{\n\treturn u.n;\n}\n" },
	[UNIT_ASM] = { "unit.s", "\t.text\n\t.globl llama_unit\nllama_unit:\n\t.byte 0\n" },
	[UNIT_ASM_CPP] = { "unit.S", "\t.text\n\t.globl llama_unit\nllama_unit:\n\t.byte 0\n" },
};

/* How often the sandbox is asked again about a compiler after it could not answer. */
enum { UNSETTLED_LIMIT = 10 };

enum phase { PHASE_SLOT, PHASE_HOME, PHASE_ENGINE };

/* One entry of the table: the toolchain in use, and the observation under way. */
struct entry {
	struct toolchains *toolchains;
	char *id; /* owned; the map's key */
	struct engine *engine; /* NULL: its jobs run in place */
	struct toolchain *toolchain; /* the last one, or NULL */

	bool observing;
	enum phase phase;
	struct slot_waiter slot;
	struct list waiters; /* toolchain_waiter.link */
	struct toolchain *next; /* being made */
	struct arena arena;     /* of the observation */
	const char *directory;
	struct exec_job job;
	struct exec_output output;
	struct buf home_object;
	struct exec_result home; /* of the run at home, while what it looked up is hashed; */
	uint64_t since;          /* the moment after it, view_arrive() */
	struct hashing_waiter hashing_waiter;
	unsigned n_missing;   /* runs of this observation whose input root was out of date */
	unsigned n_unsettled; /* observations that ended without the sandbox's answer */
};

struct toolchains {
	struct daemon *daemon;
	struct map map; /* id → struct entry */
	unsigned n_observations;
};

struct toolchain *toolchain_ref(struct toolchain *toolchain)
{
	toolchain->refs++;
	return toolchain;
}

void toolchain_unref(struct toolchain *toolchain)
{
	if (!toolchain || --toolchain->refs > 0)
		return;
	struct arena arena = toolchain->arena;
	free(toolchain);
	arena_deinit(&arena);
}

static struct toolchain *toolchain_new(void)
{
	struct toolchain *toolchain = calloc(1, sizeof(*toolchain));
	if (!toolchain)
		abort();
	toolchain->refs = 1;
	return toolchain;
}

struct toolchains *toolchains_new(struct daemon *daemon)
{
	struct toolchains *toolchains = calloc(1, sizeof(*toolchains));
	if (!toolchains)
		abort();
	toolchains->daemon = daemon;
	return toolchains;
}

void toolchains_free(struct toolchains *toolchains)
{
	if (!toolchains)
		return;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&toolchains->map, &at));) {
		struct entry *entry = e->value;
		assert(!entry->observing);
		toolchain_unref(entry->toolchain);
		free(entry->id);
		free(entry);
	}
	map_deinit(&toolchains->map);
	free(toolchains);
}

enum program_kind toolchain_program_kind(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? PROGRAM_OTHER : program_kind(fd);
}

static enum unit_kind unit_kind_of(const struct plan *plan)
{
	switch (plan->command.language) {
	case LANGUAGE_CXX:
	case LANGUAGE_CXX_CPP_OUTPUT:
		return UNIT_CXX;
	case LANGUAGE_ASM:
		return UNIT_ASM;
	case LANGUAGE_ASM_CPP:
		return UNIT_ASM_CPP;
	case LANGUAGE_C:
	case LANGUAGE_C_CPP_OUTPUT:
	case LANGUAGE_LLVM_IR:
	case LANGUAGE_UNKNOWN:
		break;
	}
	return UNIT_C;
}

/* The observation has ended, well or not: everybody who waits gets the new toolchain. */
static void finish(struct entry *entry)
{
	struct toolchains *toolchains = entry->toolchains;
	file_remove_tree(AT_FDCWD, entry->directory, NULL); /* what stays is removed with the state directory's next start */
	toolchain_unref(entry->toolchain);
	entry->toolchain = entry->next;
	entry->next = NULL;
	entry->observing = false;
	buf_deinit(&entry->home_object);
	arena_deinit(&entry->arena);
	slots_give(&toolchains->daemon->slots);
	while (!list_empty(&entry->waiters)) {
		struct toolchain_waiter *waiter = list_first(&entry->waiters, struct toolchain_waiter, link);
		list_remove(&waiter->link);
		waiter->fn(waiter, toolchain_ref(entry->toolchain));
	}
	daemon_request_ended(toolchains->daemon);
}

static void refuse(struct entry *entry, enum reason_code code)
{
	entry->next->refused.code = code;
	finish(entry);
}

static void nothing(void *ctx)
{
}

static void refused(void *ctx)
{
	finish(ctx);
}

/* The same when nothing ran: the answer must not come from inside toolchains_get. */
static void refuse_later(struct entry *entry, enum reason_code code)
{
	entry->next->refused = (struct reason){ code, NULL };
	work_start(&entry->toolchains->daemon->loop, nothing, refused, entry);
}

static void run_unit(struct entry *entry);

static void unreproduced(struct entry *entry, const char *why)
{
	snprintf(entry->next->unreproduced_why, sizeof(entry->next->unreproduced_why), "%s", why);
	journal_note(entry->toolchains->daemon->log, entry->job.argv[0], why);
	finish(entry);
}

/* No answer is no reason to do without the engine for as long as this daemon lives. An outage is over some day, and nobody asks during it (plan_make). */
static void unsettled(struct entry *entry, const char *why)
{
	struct daemon *daemon = entry->toolchains->daemon;
	bool outage = entry->engine == &daemon->lambda && !cloud_takes_jobs(daemon);
	entry->next->unsettled = outage || ++entry->n_unsettled <= UNSETTLED_LIMIT;
	unreproduced(entry, why);
}

static int enter_snapshot(struct entry *entry, uint64_t since, struct digest *root, struct error *err)
{
	struct daemon *daemon = entry->toolchains->daemon;
	if (inputs_add_toolchain(daemon, since, entry->next, err) != 0)
		return -1;
	const char *unit = arena_printf(&entry->arena, "%s/%s", entry->directory, entry->job.argv[2]);
	if (snapshot_add(daemon->snapshot, since, unit, err) != 0)
		return -1;
	return tree_commit(snapshot_tree(daemon->snapshot), daemon->directories, root, err);
}

/* A file that was mirrored for a job is gone or was edited: the root is made anew, as for any job. */
static void try_again(struct entry *entry)
{
	struct daemon *daemon = entry->toolchains->daemon;
	uint64_t since = view_arrive(daemon->view);
	struct error err;
	if (++entry->n_missing > INPUTS_MISSING_LIMIT)
		unsettled(entry, "the files around it change all the time");
	else if (snapshot_refresh(daemon->snapshot, since, &err) < 0 || enter_snapshot(entry, since, &entry->job.root, &err) < 0)
		unsettled(entry, err.text);
	else
		run_unit(entry);
}

static void engine_done(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct entry *entry = ctx;
	_cleanup_buf_ struct buf object = { 0 };
	struct error read_err;
	if (outcome == EXEC_MISSING)
		try_again(entry);
	else if (outcome < 0)
		unsettled(entry, err->text);
	else if (outcome != 0 || result->exit_code != 0 || result->signal != 0)
		unreproduced(entry, "the probe unit does not compile in it");
	else if (file_read(entry->output.temporary, 1 << 20, &object, &read_err) < 0)
		unreproduced(entry, read_err.text);
	else if (!slice_equal(buf_slice(&object), buf_slice(&entry->home_object)))
		unreproduced(entry, "it makes other bytes of the probe unit");
	else {
		entry->next->reproduced = true;
		finish(entry);
	}
	exec_result_deinit(result);
}

/* Copy the found look-ups, but for those of the observation's own directory, with digests. */
static int take_lookups(struct entry *entry, const struct lookup_log *log, uint64_t since, struct error *err)
{
	struct daemon *daemon = entry->toolchains->daemon;
	struct toolchain *toolchain = entry->next;
	toolchain->lookups.v = arena_array(&toolchain->arena, struct lookup, log->lookups.n + 1);
	struct key *key = key_new("toolchain 2");
	int outcome = 0;
	for (size_t i = 0; i < log->lookups.n && outcome == 0; i++) {
		const struct lookup *seen = &log->lookups.v[i];
		if (path_is_below(seen->path, entry->directory) || path_is_below(entry->directory, seen->path))
			continue;
		struct lookup *lookup = &toolchain->lookups.v[toolchain->lookups.n];
		*lookup = (struct lookup){ arena_strdup(&toolchain->arena, seen->path), seen->kind, { { 0 }, 0 } };
		if (lookup->kind == LOOKUP_SPECIAL) {
			toolchain->refused.detail = lookup->path;
			outcome = error_set(err, 0, "%s is no regular file, or can't be looked at", lookup->path);
			break;
		}
		outcome = view_observe(daemon->view, since, lookup, err);
		if (outcome < 0)
			break;
		/* All that was found: results leave it out of their own look-ups, trusting that it is the same under the same identity. So is then
		 * what was absent, for it would have been found. */
		if (lookup->kind != LOOKUP_ABSENT) {
			key_add_str(key, lookup_kind_name(lookup->kind), lookup->path);
			key_add_digest(key, "content", &lookup->digest);
		}
		toolchain->lookups.n++;
	}
	toolchain->identity = key_end(key);
	lookups_sort(&toolchain->lookups);
	return outcome;
}

static void home_hashed(struct hashing_waiter *waiter)
{
	struct entry *entry = container_of(waiter, struct entry, hashing_waiter);
	struct exec_result home = entry->home;
	struct error err;
	if (take_lookups(entry, &home.log, entry->since, &err) < 0) {
		refuse(entry, REASON_PATH_NOT_MIRRORED);
	} else if (!entry->engine) {
		finish(entry);
	} else if (enter_snapshot(entry, entry->since, &entry->job.root, &err) < 0) {
		unreproduced(entry, err.text);
	} else {
		entry->phase = PHASE_ENGINE;
		run_unit(entry);
	}
	exec_result_deinit(&home);
}

/* Whether what ran at home is a compiler that can be observed; with REASON_NONE, `home_object` is what it made. */
static enum reason_code judge(struct entry *entry, const struct exec_result *result)
{
	struct error err;
	if (result->exit_code != 0 || result->signal != 0)
		return REASON_UNKNOWN_COMPILER;
	if (!result->log.complete)
		return REASON_UNOBSERVED;
	if (file_read(entry->output.temporary, 1 << 20, &entry->home_object, &err) < 0)
		return REASON_UNKNOWN_COMPILER; /* it says that all went well, and made nothing */
	return REASON_NONE;
}

static void home_done(void *ctx, int outcome, struct exec_result *result, const struct error *exec_err)
{
	struct entry *entry = ctx;
	struct daemon *daemon = entry->toolchains->daemon;
	enum reason_code code = outcome == 0 ? judge(entry, result) : REASON_UNKNOWN_COMPILER;
	entry->since = view_arrive(daemon->view);
	if (code != REASON_NONE) {
		/* What it looked at stands for what it is: until some of that changes nobody asks again. A failure may have been the disk's, or memory's. */
		struct error err;
		if (outcome == 0 && result->exit_code == 0 && result->signal == 0 && take_lookups(entry, &result->log, entry->since, &err) < 0)
			code = REASON_PATH_NOT_MIRRORED; /* as for any other; which path, is in the detail */
		refuse(entry, code);
	} else {
		entry->home = *result;
		hashing_begin_with(daemon->hashing, entry->since, &result->log.lookups);
		if (!hashing_wait(daemon->hashing, &entry->hashing_waiter))
			home_hashed(&entry->hashing_waiter);
		return;
	}
	exec_result_deinit(result);
}

static void run_unit(struct entry *entry)
{
	struct daemon *daemon = entry->toolchains->daemon;
	bool home = entry->phase == PHASE_HOME;
	entry->output.temporary = arena_printf(&entry->arena, "%s/unit.%s", entry->directory, home ? "home" : "engine");
	exec_start(home ? daemon->home : entry->engine->executor, &entry->job, home ? home_done : engine_done, entry);
}

static void begin(struct entry *entry)
{
	entry->phase = PHASE_HOME;
	struct error err;
	const char *unit = entry->job.argv[2];
	const char *path = arena_printf(&entry->arena, "%s/%s", entry->directory, unit);
	const char *text = NULL;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(units[i].name, unit) == 0)
			text = units[i].text;
	enum program_kind program = toolchain_program_kind(entry->job.argv[0]);
	if (program != PROGRAM_DYNAMIC)
		refuse_later(entry, program == PROGRAM_STATIC ? REASON_UNOBSERVED : REASON_WRAPPER);
	else if (file_make_dirs(entry->directory, 0700, &err) < 0 || file_replace(path, slice_str(text), 0600, &err) < 0)
		refuse_later(entry, REASON_ENGINE_FAILED);
	else
		run_unit(entry);
}

static void slot_granted(struct slot_waiter *waiter)
{
	begin(container_of(waiter, struct entry, slot));
}

/* Begin to observe; the answer comes to the entry's waiters. */
static void observe(struct entry *entry, const struct plan *plan)
{
	struct toolchains *toolchains = entry->toolchains;
	struct arena *arena = &entry->arena;
	entry->observing = true;
	toolchains->daemon->n_requests++; /* the daemon stays for it */
	entry->phase = PHASE_SLOT;
	entry->n_missing = 0;
	entry->next = toolchain_new();
	entry->directory = arena_printf(arena, "%s/observe/%u", toolchains->daemon->cache_dir, toolchains->n_observations++);
	const struct unit *unit = &units[unit_kind_of(plan)];
	const char **argv = arena_array(arena, const char *, 6);
	argv[0] = arena_strdup(arena, plan->compiler);
	argv[1] = "-c";
	argv[2] = unit->name;
	argv[3] = "-o";
	argv[4] = "unit.o";
	/* Of the environment only what leads to programs; language and colour are no part of the compiler. */
	const char **env = arena_array(arena, const char *, plan->environment.n_key + 2);
	size_t n = 0;
	for (size_t i = 0; i < plan->environment.n_key; i++) {
		const char *a = plan->environment.key[i];
		if (strncmp(a, "COMPILER_PATH=", 14) == 0 || strncmp(a, "GCC_EXEC_PREFIX=", 16) == 0)
			env[n++] = arena_strdup(arena, a);
	}
	if (plan->environment.path)
		env[n++] = arena_printf(arena, "PATH=%s", plan->environment.path);
	entry->output = (struct exec_output){ .path = arena_printf(arena, "%s/unit.o", entry->directory) };
	entry->job = (struct exec_job){
		.argv = argv,
		.env = env,
		.cwd = entry->directory,
		.umask = 0077,
		.outputs = &entry->output,
		.n_outputs = 1,
		.timeout_ms = 60000,
	};
	slot_waiter_init(&entry->slot, slot_granted);
	if (slots_take(&toolchains->daemon->slots, &entry->slot))
		begin(entry);
}

struct toolchain *toolchains_get(struct toolchains *toolchains, const struct plan *plan, struct toolchain_waiter *waiter)
{
	_cleanup_buf_ struct buf id = { 0 };
	buf_printf(&id, "%d %s %s\n%s\n", (int)unit_kind_of(plan), plan->engine ? plan->engine->name : "", plan->compiler, plan->environment.path ? plan->environment.path : "");
	for (size_t i = 0; i < plan->environment.n_key; i++) {
		const char *a = plan->environment.key[i];
		if (strncmp(a, "COMPILER_PATH=", 14) == 0 || strncmp(a, "GCC_EXEC_PREFIX=", 16) == 0)
			buf_printf(&id, "%s\n", a);
	}
	struct entry *entry = map_get(&toolchains->map, buf_slice(&id));
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			abort();
		entry->toolchains = toolchains;
		entry->id = buf_take(&id);
		entry->engine = plan->engine;
		list_init(&entry->waiters);
		list_init(&entry->hashing_waiter.link);
		entry->hashing_waiter.fn = home_hashed;
		map_put(&toolchains->map, slice_str(entry->id), entry);
	}
	struct toolchain *toolchain = entry->toolchain;
	if (toolchain && !toolchain->unsettled && view_check(toolchains->daemon->view, plan->since, &toolchain->lookups, NULL) == 0 &&
		(toolchain->refused.code == REASON_NONE || toolchain->lookups.n > 0))
		return toolchain_ref(toolchain);
	/* A refusal without look-ups (a script, say) is looked into again: it costs little and may have been mended. */
	list_append(&entry->waiters, &waiter->link);
	if (!entry->observing)
		observe(entry, plan);
	return NULL;
}

void toolchains_leave(struct toolchain_waiter *waiter)
{
	list_remove(&waiter->link);
}
