/* Results on their way to the client and to the cache. */
#pragma once

#include "cache/cache.h"
#include "daemon/plan.h"
#include "exec/executor.h"

struct daemon;

/* What the client gets. */
struct answer {
	struct buf out, err;
	bool *present; /* per output of the plan: its temporary holds it */
	bool cached;
};

void answer_deinit(struct answer *answer);

enum answer_outcome { ANSWER_MISS = 1 };

/* Put a cached result's outputs under the plan's temporary names. ANSWER_MISS: a blob is gone, or the dependency file can't be rendered for this
 * request's targets: compile. -1: a temporary could not be written (disk full…): compile locally. After either the caller removes the temporaries. */
int answer_from_cache(struct daemon *daemon, const struct plan *plan, const struct cache_result *result, struct arena *arena,
	struct answer *ret, struct error *err);

/* Take the messages of an engine's result, whose outputs are under the temporary names already. */
void answer_from_exec(const struct plan *plan, struct exec_result *result, struct arena *arena, struct answer *ret);

/* The result as the cache keeps it; false: something in it was not kept, so it can't be. */
bool answer_to_cache(const struct plan *plan, const struct exec_result *result, struct arena *arena, struct cache_result *ret);

/* A stored dependency file and its cache_result.depfile_targets, as they would be if what lies below `from` lay below `to` (see depfile_rebase()). -1: that can't be
 * told. The targets are in `arena`. */
int answer_move_depfile(struct slice stored, const char *targets, const char *from, const char *to, struct arena *arena, const char **targets_ret,
	struct buf *ret);
