/* The inputs of a job: predicted before it runs, verified by its look-up log afterwards. */
#pragma once

#include "compiler/portable.h"
#include "daemon/plan.h"
#include "daemon/searches.h"
#include "daemon/toolchains.h"
#include "files/snapshot.h"
#include "worker/lookup_log.h"

struct daemon;

/* Everything that a toolchain was seen to look up, and the loader's cache, are in the snapshot. Its look-ups hold, as a request that has it found
 * out. 0 or -1. */
int inputs_add_toolchain(struct daemon *daemon, uint64_t since, struct toolchain *toolchain, struct error *err);

/* While files come and go, a job may find the tree out of date (EXEC_MISSING) several times in a row; snapshot_refresh() mends it. */
enum { INPUTS_MISSING_LIMIT = 5 };

enum inputs_outcome { INPUTS_LOCAL = 1, INPUTS_REPEAT, INPUTS_SCAN };

/* The inputs of a job, as its executor is told of them. */
struct inputs {
	struct digest root;
	uint64_t generation;          /* of the snapshot, as of the root */
	struct snapshot_apart source; /* in the arena; only for executors that take overlays */
};

/* Bring the snapshot up to date for a job: its toolchain, its source, what its options name, the directories it works in, and what its
 * texts lead to; and give the root, beside it the source if the engine takes overlays. The last is told by the closure of its source under `search`, or by the look-ups of the compiler's own -M, `scan`;
 * with neither the source is taken for assembler. INPUTS_LOCAL with `reason`. INPUTS_SCAN: the texts may use a precompiled header or the
 * clock, depending on what only the preprocessor knows. */
int inputs_enter(struct daemon *daemon, const struct plan *plan, struct toolchain *toolchain, const struct search_entry *search,
	const struct lookup_log *scan, struct arena *arena, struct inputs *ret, struct reason *reason, struct error *err);

/* Whether this is a precompiled header by its name. */
bool inputs_is_pch(const char *path);

/* Whether the texts among `lookups` that are no part of the toolchain use the clock. */
bool inputs_use_clock(struct daemon *daemon, const struct plan *plan, const struct lookups *lookups);

/* The same for the plan's source alone, which is known before anything runs. */
bool inputs_source_uses_clock(struct daemon *daemon, const struct plan *plan);

/* Whether by its command, its texts or the names of its inputs a unit's outputs may be others if `base` lay elsewhere; `detail_ret` is what it is, valid as
 * long as the plan and the look-ups, or NULL. What the outputs tell is another question. */
enum portable inputs_unportable(struct daemon *daemon, const struct plan *plan, const struct lookups *lookups, const char *base, const char **detail_ret);

/* Paths that home has and the snapshot had not. */
struct inputs_missed {
	const char **paths; /* in the arena, the strings in the log */
	size_t n;
};

/* After a run in the sandbox: fill the digests of the log's look-ups by what `inputs` were when the job started, and
 * hold them against home. 0: they agree, and the list may be published; INPUTS_REPEAT: something was not predicted, or changed: the
 * snapshot has been mended, `missed` says what was not predicted; INPUTS_LOCAL: it can't be mended. With a positive outcome `err` says what
 * differed. */
int inputs_verify(struct daemon *daemon, uint64_t since, const struct toolchain *toolchain, const struct inputs *inputs,
	struct lookup_log *log, struct arena *arena, struct inputs_missed *missed, struct error *err);

/* A moment, by the wall clock and by the clock that stamps files: that one ticks every few milliseconds, and may be a file server's. */
struct inputs_moment {
	int64_t stamp_ns;
	int64_t lead_ns; /* of the wall clock before the time that has passed since the machine started */
};

/* Now. `path`, where nothing stands, lies beside an output of the job that is about to start: a file is made there, and removed. When that can't
 * be done, a moment before all others: nothing is published then. */
struct inputs_moment inputs_moment(const char *path);

/* After a run in place that began at `start`: fill the digests of the look-ups. False: something is no longer what the job was told, or may have
 * changed meanwhile: don't publish. */
bool inputs_digest(struct daemon *daemon, uint64_t since, const struct toolchain *toolchain, struct lookups *lookups,
	const struct inputs_moment *start);

/* Whether what a job was told about its toolchain's files is what the toolchain's identity says: no upgrade came between. `lookups` have their
 * digests. */
bool inputs_match_toolchain(const struct lookups *lookups, const struct toolchain *toolchain);

/* The look-ups that are not the toolchain's own: what a manifest needs. In `arena`. */
struct lookups inputs_own(const struct lookups *lookups, const struct toolchain *toolchain, struct arena *arena);
