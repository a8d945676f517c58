#include "daemon/searches.h"

#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "cache/key.h"
#include "daemon/daemon_internal.h"
#include "daemon/inputs.h"
#include "daemon/journal.h"
#include "exec/executor.h"

enum {
	ENTRIES_LIMIT = 2000, /* beyond, those that nobody waits for are forgotten */
	LEARNED_LIMIT = 1000, /* of one search path; the oldest go first */
	QUERY_TIMEOUT_MS = 60000,
};

struct entry {
	struct searches *searches;
	struct digest key;
	struct search_entry public;
	struct search search;
	bool answered;       /* the query has ended, well or not */
	bool kept;           /* its answer may serve later plans, if its look-ups hold */
	struct arena arena;  /* of the answer */
	struct buf learned;  /* the paths, each with a NUL behind it */
	const char **learned_paths; /* owned; into `learned` */

	bool asking;
	struct list waiters; /* search_waiter.link */
	struct arena asking_arena;
	struct toolchain *toolchain; /* a reference */
	const char *cwd;
	struct exec_job job;
};

struct searches {
	struct daemon *daemon;
	struct map map; /* digest → struct entry */
};

struct searches *searches_new(struct daemon *daemon)
{
	struct searches *searches = calloc(1, sizeof(*searches));
	if (!searches)
		abort();
	searches->daemon = daemon;
	return searches;
}

static void entry_free(struct entry *entry)
{
	assert(!entry->asking);
	arena_deinit(&entry->arena);
	buf_deinit(&entry->learned);
	free(entry->learned_paths);
	free(entry);
}

void searches_free(struct searches *searches)
{
	if (!searches)
		return;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&searches->map, &at));)
		entry_free(e->value);
	map_deinit(&searches->map);
	free(searches);
}

static void keep_bounds(struct searches *searches)
{
	if (searches->map.n < ENTRIES_LIMIT)
		return;
	struct map old = searches->map;
	searches->map = (struct map){ 0 };
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&old, &at));) {
		struct entry *entry = e->value;
		if (entry->asking)
			map_put(&searches->map, digest_slice(&entry->key), entry);
		else
			entry_free(entry);
	}
	map_deinit(&old);
}

/* --- What was learned ------------------------------------------------------------------------------------------ */

static void list_learned(struct entry *entry)
{
	size_t n = 0;
	const char *begin = buf_str(&entry->learned), *end = begin + entry->learned.len;
	for (const char *p = begin; p < end; p += strlen(p) + 1)
		n++;
	free(entry->learned_paths);
	entry->learned_paths = malloc((n + 1) * sizeof(*entry->learned_paths));
	if (!entry->learned_paths)
		abort();
	entry->public.n_learned = 0;
	for (const char *p = begin; p < end; p += strlen(p) + 1)
		entry->learned_paths[entry->public.n_learned++] = p;
	entry->public.learned = entry->learned_paths;
}

static void recall(struct entry *entry)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice value;
	if (cache_note_get(entry->searches->daemon->cache, &entry->key, &arena, &value, NULL) == 0 && value.len > 0 &&
		value.ptr[value.len - 1] == '\0')
		buf_append_slice(&entry->learned, value);
	list_learned(entry);
}

static bool knows(const struct entry *entry, const char *path)
{
	for (size_t i = 0; i < entry->public.n_learned; i++)
		if (strcmp(entry->learned_paths[i], path) == 0)
			return true;
	return false;
}

static void forget_oldest(struct entry *entry)
{
	size_t n = strlen(entry->learned.ptr) + 1;
	memmove(entry->learned.ptr, entry->learned.ptr + n, entry->learned.len - n);
	entry->learned.len -= n;
}

/* --- Asking ---------------------------------------------------------------------------------------------------- */

static void take_answer(struct entry *entry, const struct exec_result *result)
{
	struct daemon *daemon = entry->searches->daemon;
	struct error err;
	const char *command = entry->job.argv[0];
	arena_deinit(&entry->arena);
	entry->public.search = NULL;
	entry->public.driver = (struct lookups){ 0 };
	if (result->exit_code != 0 || result->signal != 0 || !result->log.complete) {
		journal_note(daemon->log, command, "does not tell its search path");
		return;
	}
	if (search_parse(buf_slice(&result->err), buf_slice(&result->out), entry->cwd, &entry->arena, &entry->search, &err) < 0) {
		journal_note(daemon->log, command, err.text);
		return;
	}
	int outcome = search_observe(&entry->search, daemon->view, view_arrive(daemon->view), &err);
	if (outcome < 0) {
		journal_note(daemon->log, command, err.text);
		return;
	}
	entry->kept = outcome == 0;
	entry->public.search = &entry->search;
	struct lookups own = inputs_own(&result->log.lookups, entry->toolchain, &entry->arena);
	entry->public.driver = (struct lookups){ own.v, 0 };
	for (size_t i = 0; i < own.n; i++) {
		struct lookup *lookup = &own.v[i];
		if (lookup->kind == LOOKUP_ABSENT || lookup->kind == LOOKUP_SPECIAL)
			continue;
		lookup->path = arena_strdup(&entry->arena, lookup->path);
		own.v[entry->public.driver.n++] = *lookup;
	}
}

static void answered(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct entry *entry = ctx;
	struct daemon *daemon = entry->searches->daemon;
	entry->kept = true; /* no answer is one, too */
	if (outcome == 0) {
		take_answer(entry, result);
	} else {
		entry->public.search = NULL;
		entry->kept = false;
		if (outcome < 0)
			journal_note(daemon->log, entry->job.argv[0], err->text);
	}
	exec_result_deinit(result);
	entry->answered = true;
	/* Whom a waiter gives its slot may ask for other search paths, and keep_bounds() run. */
	while (!list_empty(&entry->waiters)) {
		struct search_waiter *waiter = list_first(&entry->waiters, struct search_waiter, link);
		list_remove(&waiter->link);
		waiter->fn(waiter, &entry->public);
	}
	entry->asking = false;
	toolchain_unref(entry->toolchain);
	arena_deinit(&entry->asking_arena);
	daemon_request_ended(daemon);
}

static void ask(struct entry *entry, const struct plan *plan, struct toolchain *toolchain, const struct search_question *question)
{
	struct daemon *daemon = entry->searches->daemon;
	struct arena *arena = &entry->asking_arena;
	size_t n = 0;
	while (plan->engine_env[n])
		n++;
	const char **env = arena_array(arena, const char *, n + 2);
	size_t n_env = 0;
	for (size_t i = 0; i < n; i++)
		if (strncmp(plan->engine_env[i], "LC_ALL=", 7) != 0)
			env[n_env++] = arena_strdup(arena, plan->engine_env[i]);
	env[n_env++] = "LC_ALL=C"; /* what it says is in English */
	size_t argc = 0;
	while (question->argv[argc])
		argc++;
	const char **argv = arena_array(arena, const char *, argc + 1);
	for (size_t i = 0; i < argc; i++)
		argv[i] = arena_strdup(arena, question->argv[i]);
	entry->cwd = arena_strdup(arena, plan->frame->cwd);
	entry->job = (struct exec_job){
		.argv = argv,
		.env = env,
		.cwd = entry->cwd,
		.umask = 0077,
		.timeout_ms = QUERY_TIMEOUT_MS,
	};
	entry->toolchain = toolchain_ref(toolchain);
	entry->asking = true;
	daemon->n_requests++; /* the daemon stays for it */
	exec_start(daemon->home, &entry->job, answered, entry);
}

/* --- The table ------------------------------------------------------------------------------------------------- */

static struct entry *find(struct searches *searches, const struct plan *plan, const struct toolchain *toolchain, struct arena *arena,
	struct search_question *question)
{
	size_t n_env = 0;
	while (plan->engine_env[n_env])
		n_env++;
	search_ask(&plan->command, plan->frame->cwd, plan->engine_env, n_env, arena, question);
	struct key *key = key_new("search 1");
	key_add_digest(key, "toolchain", &toolchain->identity);
	key_add_bytes(key, "question", question->key);
	struct digest digest = key_end(key);
	struct entry *entry = map_get(&searches->map, digest_slice(&digest));
	if (entry)
		return entry;
	keep_bounds(searches);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		abort();
	entry->searches = searches;
	entry->key = digest;
	list_init(&entry->waiters);
	recall(entry);
	map_put(&searches->map, digest_slice(&entry->key), entry);
	return entry;
}

const struct search_entry *searches_get(
	struct searches *searches, const struct plan *plan, struct toolchain *toolchain, struct search_waiter *waiter)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct search_question question;
	struct entry *entry = find(searches, plan, toolchain, &arena, &question);
	if (entry->answered && !entry->asking && entry->kept &&
		(!entry->public.search || view_check(searches->daemon->view, plan->since, &entry->search.lookups, NULL) == 0))
		return &entry->public;
	list_append(&entry->waiters, &waiter->link);
	if (!entry->asking)
		ask(entry, plan, toolchain, &question);
	return NULL;
}

void searches_leave(struct search_waiter *waiter)
{
	list_remove(&waiter->link);
}

void searches_learn(struct searches *searches, const struct plan *plan, const struct toolchain *toolchain, const char *const *paths, size_t n)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct search_question question;
	struct entry *entry = find(searches, plan, toolchain, &arena, &question);
	bool more = false;
	for (size_t i = 0; i < n; i++) {
		if (knows(entry, paths[i]))
			continue;
		if (entry->public.n_learned >= LEARNED_LIMIT)
			forget_oldest(entry);
		buf_append(&entry->learned, paths[i], strlen(paths[i]) + 1);
		list_learned(entry);
		more = true;
	}
	struct error err;
	if (more && cache_note_put(searches->daemon->cache, &entry->key, buf_slice(&entry->learned), &err) < 0)
		journal_note(searches->daemon->log, "cache", err.text);
}
