/* Toolchains: compilers as they are observed on this machine.
 *
 * A compiler is never described by hand. A tiny unit is compiled at home under the look-up log; what its processes found (driver, cc1, as, libraries,
 * specs, search directories, …) is its identity, and all look-ups are kept: a request first checks that they still hold, so that an upgrade in place is noticed at once.
 * An engine must reproduce the unit's bytes before this compiler is used in it; else it is used in place. When the engine could not
 * answer (files of other jobs came and went all the time), the requests that wait run in place and the next one asks again, some times.
 *
 * One observation per engine, compiler, kind of source and search environment (PATH, COMPILER_PATH, GCC_EXEC_PREFIX: gcc takes `as` from there). */
#pragma once

#include "base/list.h"
#include "compiler/reason.h"
#include "daemon/plan.h"
#include "files/lookups.h"
#include "worker/program.h"

struct toolchain {
	unsigned refs;
	struct reason refused;    /* code ≠ REASON_NONE: not for the engine */
	struct lookups lookups;   /* sorted, with digests */
	struct digest identity;
	bool reproduced;          /* the plan's engine made the same bytes of the unit */
	bool unsettled;           /* the engine couldn't be asked; to be observed again */
	char unreproduced_why[512];
	uint64_t entered;         /* one more than tree_losses() was when all of `lookups` had entered the snapshot; 0: they never did */
	struct arena arena;
};

struct toolchain *toolchain_ref(struct toolchain *toolchain);
void toolchain_unref(struct toolchain *toolchain); /* NULL is allowed */

struct toolchain_waiter {
	struct list link;
	/* `toolchain` is the callee's to unref. From the loop, never from inside toolchains_get. */
	void (*fn)(struct toolchain_waiter *waiter, struct toolchain *toolchain);
};

struct toolchains;
struct toolchains *toolchains_new(struct daemon *daemon);
void toolchains_free(struct toolchains *toolchains); /* no observation may be under way */

/* The toolchain of this plan, checked against the file system as of the plan's arrival: a reference at once, or NULL, and `waiter->fn` later. */
struct toolchain *toolchains_get(struct toolchains *toolchains, const struct plan *plan, struct toolchain_waiter *waiter);
/* Stop waiting; harmless when not waiting. */
void toolchains_leave(struct toolchain_waiter *waiter);

/* What the file `path` is; PROGRAM_OTHER when it can't be read. */
enum program_kind toolchain_program_kind(const char *path);
