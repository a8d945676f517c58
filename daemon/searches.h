/* Search paths in use, asked of the compilers themselves: one short query (compiler/search.h) per toolchain and the flags that matter,
 * run at home and observed, and kept for as long as its answer holds.
 *
 * With a search path goes what else jobs under it need beside the files their texts lead to: what the driver looked up for these flags,
 * and what earlier jobs turned out to need that nobody had predicted. The second is kept with the results, so that a
 * prediction falls short once and not once a day. */
#pragma once

#include "base/list.h"
#include "compiler/search.h"
#include "daemon/plan.h"
#include "daemon/toolchains.h"

struct daemon;
struct searches;

struct search_entry {
	const struct search *search; /* NULL: the compiler didn't answer, or in a way we can't follow */
	struct lookups driver;       /* what the query looked up and the toolchain doesn't have; sorted */
	const char **learned;        /* paths that were missed, the oldest first */
	size_t n_learned;
};

struct search_waiter {
	struct list link;
	/* `entry` is valid during the call. From the loop, never from inside searches_get. */
	void (*fn)(struct search_waiter *waiter, const struct search_entry *entry);
};

struct searches *searches_new(struct daemon *daemon);
void searches_free(struct searches *searches); /* no query may be under way */

/* The search path of this plan, as of its arrival: at once, valid until the loop's next turn, or NULL, and `waiter->fn` later. */
const struct search_entry *searches_get(
	struct searches *searches, const struct plan *plan, struct toolchain *toolchain, struct search_waiter *waiter);
/* Stop waiting; harmless when not waiting. */
void searches_leave(struct search_waiter *waiter);

/* A job of this plan also needed `paths` (absolute), which no prediction had: jobs with the same search path get them from now on. */
void searches_learn(
	struct searches *searches, const struct plan *plan, const struct toolchain *toolchain, const char *const *paths, size_t n);
