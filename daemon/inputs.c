#include "daemon/inputs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "cache/rebase.h"
#include "daemon/cloud.h"
#include "daemon/daemon_internal.h"
#include "daemon/locale.h"
#include "files/snapshot_answer.h"
#include "store/store_memory.h"

#define TREE_LIMIT_BYTES (2LL << 30)
#define DIRECTORIES_LIMIT_BYTES (256LL << 20)

static int local(struct reason *reason, enum reason_code code, const char *detail)
{
	*reason = (struct reason){ code, detail };
	return INPUTS_LOCAL;
}

/* What an outcome of the snapshot means for the job. */
static int entered(int outcome, struct reason *reason)
{
	switch (outcome) {
	case SNAPSHOT_SPECIAL:
		return local(reason, REASON_PATH_NOT_MIRRORED, NULL);
	case SNAPSHOT_HARD_LINKED:
		return local(reason, REASON_HARD_LINKED, NULL);
	}
	return outcome;
}

int inputs_add_toolchain(struct daemon *daemon, uint64_t since, struct toolchain *toolchain, struct error *err)
{
	const struct tree *tree = snapshot_tree(daemon->snapshot);
	/* Read by the loader before any of our code runs. Programs find their libraries without it, in the default directories; with it
	 * they find them as at home. It is no part of the identity: every installed library changes it. */
	if (snapshot_add_toolchain(daemon->snapshot, since, "/etc/ld.so.cache", err) < 0)
		return -1;
	if (toolchain->entered == tree_losses(tree) + 1)
		return 0;
	for (size_t i = 0; i < toolchain->lookups.n; i++) {
		const struct lookup *lookup = &toolchain->lookups.v[i];
		int outcome = lookup->kind == LOOKUP_LISTING ?
			snapshot_add_listing(daemon->snapshot, since, lookup->path, err) :
			snapshot_add_toolchain(daemon->snapshot, since, lookup->path, err);
		if (outcome > 0)
			return error_set(err, 0, "%s can't be mirrored", lookup->path);
		if (outcome < 0)
			return error_wrap(err, "cannot mirror %s", lookup->path);
	}
	toolchain->entered = tree_losses(tree) + 1;
	return 0;
}

/* Directories that every root has, with its own content. */
static bool is_everywhere(const struct lookup *lookup)
{
	return lookup->kind == LOOKUP_DIRECTORY && (strcmp(lookup->path, "/dev") == 0 || strcmp(lookup->path, "/proc") == 0);
}

/* One look-up of a scan or of a job's log. */
static int add_lookup(struct daemon *daemon, uint64_t since, const struct lookup *lookup, struct reason *reason, struct error *err)
{
	if (is_everywhere(lookup))
		return 0;
	switch (lookup->kind) {
	case LOOKUP_LISTING:
		return entered(snapshot_add_listing(daemon->snapshot, since, lookup->path, err), reason);
	case LOOKUP_SPECIAL:
		return local(reason, REASON_PATH_NOT_MIRRORED, NULL);
	case LOOKUP_ABSENT:
		/* What is absent at home below /dev or /proc (/dev/null.gch) is absent there too. */
		return snapshot_add(daemon->snapshot, since, lookup->path, err) < 0 ? -1 : 0;
	case LOOKUP_FILE:
	case LOOKUP_DIRECTORY:
	case LOOKUP_LINK:
		break;
	}
	return entered(snapshot_add(daemon->snapshot, since, lookup->path, err), reason);
}

/* The test option dev_sabotage: some of what has entered leaves the tree again. The look-up log finds that out. */
static void sabotage(struct daemon *daemon, const char *path)
{
	if ((unsigned)(random() % 1000) < daemon->config->dev_sabotage)
		snapshot_forget(daemon->snapshot, path);
}

/* A name that a text embeds is looked for as the assembler and #embed do: from the working directory, from the text's own, and along the
 * directories that options name. All candidates enter, present or not. */
static int add_embedded(struct daemon *daemon, const struct plan *plan, const char *text_path, const char *name, struct arena *arena,
	struct reason *reason, struct error *err)
{
	const struct command *command = &plan->command;
	const char *cwd = plan->frame->cwd;
	int outcome = 0;
	for (size_t i = 0; i < command->n_named_dirs + 2 && outcome == 0; i++) {
		const char *directory = i == 0 ? cwd : i == 1 ? path_dirname(arena, text_path) : command->named_dirs[i - 2];
		const char *path = path_absolute(arena, path_absolute(arena, cwd, directory), name);
		outcome = entered(snapshot_add(daemon->snapshot, plan->since, path_squeeze(arena, path), err), reason);
	}
	return outcome;
}

static int look_at_text(struct daemon *daemon, const struct plan *plan, const char *path, struct arena *arena, struct reason *reason,
	struct error *err)
{
	struct digest digest;
	int outcome = view_digest(daemon->view, plan->since, path, &digest, NULL, err);
	if (outcome != 0)
		return outcome < 0 ? -1 : 0;
	const struct skeleton *skeleton = skeletons_get(daemon->skeletons, path, &digest, err);
	if (!skeleton)
		return -1;
	if (plan_depends_on_clock(plan, skeleton))
		return local(reason, REASON_DATE_TIME, path);
	for (size_t i = 0; i < skeleton->n_items && outcome == 0; i++) {
		const struct skeleton_item *item = &skeleton->items[i];
		if (item->kind == SKELETON_ASSEMBLER || item->kind == SKELETON_EMBED)
			outcome = add_embedded(daemon, plan, path, item->name, arena, reason, err);
	}
	return outcome;
}

bool inputs_is_pch(const char *path)
{
	/* gcc takes any file in a directory x.h.gch, too. */
	return slice_has_suffix(slice_str(path), ".gch") || slice_has_suffix(slice_str(path), ".pch") || strstr(path, ".gch/");
}

/* By path and kind alone: one of the lists may have no digests yet. */
static int compare_question(const struct lookup *a, const struct lookup *b)
{
	int order = strcmp(a->path, b->path);
	return order != 0 ? order : (int)a->kind - (int)b->kind;
}

struct lookups inputs_own(const struct lookups *lookups, const struct toolchain *toolchain, struct arena *arena)
{
	struct lookups own = { arena_array(arena, struct lookup, lookups->n + 1), 0 };
	size_t t = 0;
	for (size_t i = 0; i < lookups->n; i++) {
		int order = 1;
		while (t < toolchain->lookups.n && (order = compare_question(&toolchain->lookups.v[t], &lookups->v[i])) < 0)
			t++;
		if (t == toolchain->lookups.n || order != 0)
			own.v[own.n++] = lookups->v[i];
	}
	return own;
}

bool inputs_source_uses_clock(struct daemon *daemon, const struct plan *plan)
{
	const struct skeleton *skeleton = skeletons_get(daemon->skeletons, plan->source, &plan->source_digest, NULL);
	return skeleton && plan_depends_on_clock(plan, skeleton);
}

bool inputs_use_clock(struct daemon *daemon, const struct plan *plan, const struct lookups *lookups)
{
	for (size_t i = 0; i < lookups->n; i++) {
		const struct lookup *lookup = &lookups->v[i];
		if (lookup->kind != LOOKUP_FILE)
			continue;
		const struct skeleton *skeleton = skeletons_get(daemon->skeletons, lookup->path, &lookup->digest, NULL);
		if (!skeleton || plan_depends_on_clock(plan, skeleton))
			return true;
	}
	return false;
}

/* Whether a text leads to something below `base` by its absolute path. */
static bool text_names(const struct skeleton *skeleton, const char *base)
{
	for (size_t i = 0; i < skeleton->n_items; i++)
		if (portable_names(skeleton->items[i].name, base))
			return true;
	for (size_t i = 0; i < skeleton->n_macros; i++)
		if (portable_names(skeleton->macros[i].body, base))
			return true;
	return false;
}

/* A text that names `base` in another spelling is the same for all in the key, and leads to this machine's files: their look-ups must not be moved. */
static bool is_spelled_otherwise(const char *text, const char *base)
{
	_cleanup_buf_ struct buf moved = { 0 };
	if (!portable_names(text, base))
		return false;
	text_rebase(text, base, REBASE_MARK, &moved);
	return portable_names(buf_str(&moved), base);
}

enum portable inputs_unportable(struct daemon *daemon, const struct plan *plan, const struct lookups *lookups, const char *base, const char **detail_ret)
{
	const struct command *command = &plan->command;
	bool absolute = false; /* may __FILE__ be */
	for (size_t i = 1; i < command->argc; i++)
		absolute = absolute || portable_names(command->argv[i], base);
	*detail_ret = portable_refused_option(command->argv, command->argc, base);
	for (size_t i = 1; i < command->argc && !*detail_ret; i++)
		if (is_spelled_otherwise(command->argv[i], base))
			*detail_ret = command->argv[i];
	for (const char *const *variable = plan->engine_env; *variable && !*detail_ret; variable++)
		if (strncmp(*variable, "PATH=", 5) != 0 && is_spelled_otherwise(*variable, base))
			*detail_ret = *variable;
	if (*detail_ret)
		return PORTABLE_OPTION;
	for (size_t i = 0; i < lookups->n; i++) {
		const struct lookup *lookup = &lookups->v[i];
		*detail_ret = lookup->path;
		if (lookup->kind == LOOKUP_LINK && path_has_dotdot(lookup->path) && path_is_below(lookup->path, base))
			return PORTABLE_SPELLING;
		if (lookup->kind != LOOKUP_FILE)
			continue;
		const struct skeleton *skeleton = skeletons_get(daemon->skeletons, lookup->path, &lookup->digest, NULL);
		if (!skeleton || text_names(skeleton, base))
			return PORTABLE_TEXT;
		if (absolute && skeleton->measures_file)
			return PORTABLE_MEASURED;
	}
	*detail_ret = NULL;
	return PORTABLE;
}

static int add_named(struct daemon *daemon, const struct plan *plan, struct arena *arena, struct inputs *ret, struct reason *reason,
	struct error *err)
{
	const struct command *command = &plan->command;
	const char *cwd = plan->frame->cwd;
	const char **paths = arena_array(arena, const char *, 3 + plan->n_outputs + command->n_named_files + command->n_named_dirs);
	size_t n = 0;
	paths[n++] = cwd;
	paths[n++] = plan->directory;
	if (engine_jobs(plan->engine)->ops->overlays) {
		int outcome = snapshot_add_apart(daemon->snapshot, plan->since, plan->source, arena, &ret->source, err);
		if (outcome != 0)
			return entered(outcome, reason);
	} else {
		paths[n++] = plan->source;
	}
	for (size_t i = 0; i < plan->n_outputs; i++)
		paths[n++] = path_dirname(arena, plan->outputs[i].path);
	for (size_t i = 0; i < command->n_named_files; i++)
		paths[n++] = path_absolute(arena, cwd, command->named_files[i]);
	for (size_t i = 0; i < command->n_named_dirs; i++)
		paths[n++] = path_absolute(arena, cwd, command->named_dirs[i]);
	int outcome = 0;
	for (size_t i = 0; i < n && outcome == 0; i++) {
		const char *path = path_squeeze(arena, paths[i]);
		if (strcmp(path, "/dev/null") != 0) /* every root has that */
			outcome = entered(snapshot_add(daemon->snapshot, plan->since, path, err), reason);
	}
	return outcome;
}

/* A tree only grows, and each of its states leaves Directory messages behind. What is dropped here is made again by the next jobs. */
static void keep_bounds(struct daemon *daemon)
{
	if (store_memory_size(daemon->directories) > DIRECTORIES_LIMIT_BYTES) {
		store_memory_clear(daemon->directories);
		tree_uncommit(snapshot_tree(daemon->snapshot));
	}
	/* Of a job that runs could not be told any more what it saw. */
	if (tree_size_bytes(snapshot_tree(daemon->snapshot)) > TREE_LIMIT_BYTES && daemon->n_rooted == 0)
		snapshot_clear(daemon->snapshot);
}

/* Of what may be read, what can't be mirrored stays away: if it is read after all, the look-up log says so. */
static int add_foreseen(struct daemon *daemon, uint64_t since, const char *const *paths, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		int outcome = snapshot_add(daemon->snapshot, since, paths[i], err);
		if (outcome < 0)
			return -1;
		if (outcome == SNAPSHOT_HARD_LINKED)
			return INPUTS_SCAN;
	}
	return 0;
}

/* What the texts lead to, as their skeletons tell. */
static int add_closure(struct daemon *daemon, const struct plan *plan, const struct search_entry *entry, struct arena *arena,
	struct reason *reason, struct error *err)
{
	const struct search *search = entry->search;
	struct closure_request request;
	struct prediction prediction;
	closure_request_of(&plan->command, plan->frame->cwd, plan->source, arena, &request);
	/* What had to be learned leads to further files like what an option includes. */
	const char **forced = arena_array(arena, const char *, request.n_forced + entry->n_learned);
	if (request.n_forced)
		memcpy(forced, request.forced, request.n_forced * sizeof(*forced));
	if (entry->n_learned)
		memcpy(forced + request.n_forced, entry->learned, entry->n_learned * sizeof(*forced));
	request.forced = forced;
	request.n_forced += entry->n_learned;
	int64_t begin_ns = clock_monotonic_ns();
	closures_predict(daemon->closures, plan->since, search, &request, arena, &prediction);
	stats_add(daemon->stats, plan->build_id, predict_us, (uint64_t)(clock_monotonic_ns() - begin_ns) / 1000);
	/* Whether these are really taken, only the preprocessor knows, and whether both of two names of one file are. */
	struct skeleton texts = { .date_time = prediction.date_time, .timestamp = prediction.timestamp };
	if (prediction.pch || plan_depends_on_clock(plan, &texts))
		return INPUTS_SCAN;
	int outcome = add_foreseen(daemon, plan->since, search->quote, search->n_quote, err);
	if (outcome == 0)
		outcome = add_foreseen(daemon, plan->since, search->bracket, search->n_bracket, err);
	for (size_t i = 0; i < entry->driver.n && outcome == 0; i++)
		outcome = add_lookup(daemon, plan->since, &entry->driver.v[i], reason, err);
	if (outcome == 0)
		outcome = add_foreseen(daemon, plan->since, entry->learned, entry->n_learned, err);
	if (outcome == 0)
		outcome = add_foreseen(daemon, plan->since, prediction.directories, prediction.n_directories, err);
	if (outcome == 0)
		outcome = add_foreseen(daemon, plan->since, prediction.paths + 1, prediction.n_paths - 1, err); /* the first is the source */
	for (size_t i = 0; daemon->config->dev_sabotage && i < prediction.n_paths; i++)
		sabotage(daemon, prediction.paths[i]);
	return outcome;
}

/* What the compiler's own -M looked up. */
static int add_scan(struct daemon *daemon, const struct plan *plan, const struct toolchain *toolchain, const struct lookup_log *scan,
	struct arena *arena, struct reason *reason, struct error *err)
{
	struct lookups own = inputs_own(&scan->lookups, toolchain, arena);
	int outcome = 0;
	for (size_t i = 0; i < own.n && outcome == 0; i++) {
		const struct lookup *lookup = &own.v[i];
		if (lookup->kind == LOOKUP_FILE && inputs_is_pch(lookup->path))
			return local(reason, REASON_PCH, NULL);
		outcome = add_lookup(daemon, plan->since, lookup, reason, err);
		if (lookup->kind == LOOKUP_FILE && outcome == 0)
			outcome = look_at_text(daemon, plan, lookup->path, arena, reason, err);
	}
	for (size_t i = 0; daemon->config->dev_sabotage && i < own.n; i++)
		if (own.v[i].kind != LOOKUP_ABSENT)
			sabotage(daemon, own.v[i].path);
	return outcome;
}

/* What is gone at home leaves the tree, and no job is told of it any more. */
static int drop_vanished(struct daemon *daemon, uint64_t since, struct error *err)
{
	for (const char *path; (path = view_next_vanished(daemon->view));)
		if (snapshot_add(daemon->snapshot, since, path, err) < 0)
			return -1;
	return 0;
}

int inputs_enter(struct daemon *daemon, const struct plan *plan, struct toolchain *toolchain, const struct search_entry *search,
	const struct lookup_log *scan, struct arena *arena, struct inputs *ret, struct reason *reason, struct error *err)
{
	*ret = (struct inputs){ 0 };
	/* What else the job needs it looks up in vain, and is repeated at home. */
	const char *paths[] = { plan->compiler, plan->frame->cwd, plan->source };
	for (size_t i = 0; plan->engine == &daemon->lambda && i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!cloud_mirrors(daemon->cloud, path_squeeze(arena, paths[i])))
			return local(reason, REASON_PATH_NOT_MIRRORED, paths[i]);
	keep_bounds(daemon);
	if (inputs_add_toolchain(daemon, plan->since, toolchain, err) < 0)
		return -1;
	const char *const *locale = locale_files(daemon->view, plan->since, plan->engine_env, arena);
	if (!locale)
		return local(reason, REASON_ENVIRONMENT, "LANG");
	int outcome = 0;
	for (size_t i = 0; locale[i] && outcome == 0; i++)
		outcome = entered(snapshot_add_toolchain(daemon->snapshot, plan->since, locale[i], err), reason);
	if (outcome == 0)
		outcome = add_named(daemon, plan, arena, ret, reason, err);
	if (outcome == 0 && search)
		outcome = add_closure(daemon, plan, search, arena, reason, err);
	else if (outcome == 0)
		outcome = look_at_text(daemon, plan, plan->source, arena, reason, err);
	if (outcome == 0 && scan)
		outcome = add_scan(daemon, plan, toolchain, scan, arena, reason, err);
	if (outcome == 0)
		outcome = drop_vanished(daemon, plan->since, err);
	if (outcome != 0)
		return outcome;
	for (size_t i = 0; daemon->config->dev_sabotage && i < toolchain->lookups.n; i++)
		if (toolchain->lookups.v[i].kind != LOOKUP_ABSENT)
			sabotage(daemon, toolchain->lookups.v[i].path);
	ret->generation = tree_generation(snapshot_tree(daemon->snapshot));
	return tree_commit(snapshot_tree(daemon->snapshot), daemon->directories, &ret->root, err);
}

bool inputs_match_toolchain(const struct lookups *lookups, const struct toolchain *toolchain)
{
	size_t t = 0;
	for (size_t i = 0; i < lookups->n; i++) {
		int order = 1;
		while (t < toolchain->lookups.n && (order = compare_question(&toolchain->lookups.v[t], &lookups->v[i])) < 0)
			t++;
		if (t < toolchain->lookups.n && order == 0 && !digest_equal(&toolchain->lookups.v[t].digest, &lookups->v[i].digest))
			return false;
	}
	return true;
}

static int64_t clock_lead_ns(void)
{
	return clock_realtime_ns() - clock_monotonic_ns();
}

struct inputs_moment inputs_moment(const char *path)
{
	struct inputs_moment moment = { .lead_ns = clock_lead_ns() };
	struct stat st;
	_cleanup_close_ int fd = file_create(path, 0600, 0, NULL);
	if (fd < 0)
		return moment; /* every file is newer than that */
	if (fstat(fd, &st) == 0)
		moment.stamp_ns = st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec;
	unlink(path);
	return moment;
}

/* A change made after `start` bears no earlier stamp. Files' stamps lag behind each other by some ticks, and the clock may have been set back. */
static int64_t earliest_change_ns(const struct inputs_moment *start)
{
	int64_t set_back_ns = start->lead_ns - clock_lead_ns();
	return start->stamp_ns - 20 * 1000000 - (set_back_ns > 0 ? set_back_ns : 0);
}

bool inputs_digest(struct daemon *daemon, uint64_t since, const struct toolchain *toolchain, struct lookups *lookups,
	const struct inputs_moment *start)
{
	for (size_t i = 0; i < lookups->n; i++) {
		struct lookup before = lookups->v[i];
		if (before.kind == LOOKUP_SPECIAL || view_observe(daemon->view, since, &lookups->v[i], NULL) < 0 ||
			lookups->v[i].kind != before.kind)
			return false;
	}
	return inputs_match_toolchain(lookups, toolchain) && !view_any_newer(daemon->view, since, lookups, earliest_change_ns(start));
}

int inputs_verify(struct daemon *daemon, uint64_t since, const struct toolchain *toolchain, const struct inputs *inputs,
	struct lookup_log *log, struct arena *arena, struct inputs_missed *missed, struct error *err)
{
	*missed = (struct inputs_missed){ arena_array(arena, const char *, log->lookups.n + 1), 0 };
	bool changed = false;
	_cleanup_asking_ struct snapshot_asking asking = { snapshot_tree(daemon->snapshot), inputs->generation, &inputs->source };
	for (size_t i = 0; i < log->lookups.n; i++) {
		struct lookup *lookup = &log->lookups.v[i];
		if (lookup->kind == LOOKUP_SPECIAL)
			return INPUTS_LOCAL;
		/* An absence is what the job saw; home will say whether it is one there too. */
		if (lookup->kind != LOOKUP_ABSENT && !is_everywhere(lookup) &&
			snapshot_answer(&asking, lookup) != 0) {
			changed = true;
			error_set(err, 0, "%s was mirrored anew meanwhile", lookup->path);
		}
	}
	if (!inputs_match_toolchain(&log->lookups, toolchain)) {
		error_set(err, 0, "the toolchain has changed");
		return INPUTS_LOCAL;
	}
	if (!changed && view_check(daemon->view, since, &log->lookups, NULL) == 0)
		return 0;

	/* Mend everything that differs, not only the first. */
	for (size_t i = 0; i < log->lookups.n; i++) {
		struct lookup now = log->lookups.v[i];
		if (view_observe(daemon->view, since, &now, err) < 0)
			return INPUTS_LOCAL;
		if (now.kind == log->lookups.v[i].kind && digest_equal(&now.digest, &log->lookups.v[i].digest))
			continue;
		error_set(err, 0, "%s is %s here, was %s there", now.path, lookup_kind_name(now.kind),
			lookup_kind_name(log->lookups.v[i].kind));
		if (log->lookups.v[i].kind == LOOKUP_ABSENT)
			missed->paths[missed->n++] = now.path;
		struct reason ignored;
		if (add_lookup(daemon, since, &now, &ignored, err) != 0)
			return INPUTS_LOCAL;
	}
	return INPUTS_REPEAT;
}
