/* The concurrency window of one function: how many invocations may be under way, found out by trying, as TCP finds out what a net will bear.
 *
 * How it works. An invocation counts as accepted when it ended otherwise than with 429, or when WINDOW_ACCEPT_MS went by: Lambda refuses at once or
 * not at all, so growth needn't wait for compilers to finish. While every try is accepted the window grows by two for each (it doubles each
 * WINDOW_ACCEPT_MS); a 429 for concurrency halves what was under way, and from then on a whole round of accepted ones adds a little. One cut answers
 * all that was sent before it. What was refused waits for Retry-After and a random part of a growing pause, so that many daemons don't come back
 * together. Quotas of requests a second (the caller's, the account's) say nothing of how much may run at once: they cut nothing, but everybody waits as
 * long. While nothing is under way whose end would tell that there is room again, everybody waits for the random part.
 * Independent of this, environments that never ran before are asked for at Lambda's own rate, 1,000 in 10 s.
 *
 * Pure: the time comes with every call, in milliseconds, and never goes back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum { WINDOW_ACCEPT_MS = 300, WINDOW_PAUSE_MS = 100, WINDOW_PAUSE_LIMIT_MS = 20000, WINDOW_ENVIRONMENTS = 1000, WINDOW_ENVIRONMENTS_MS = 10000 };

struct window {
	unsigned size;      /* as many may be under way */
	unsigned most;      /* and never more than this */
	unsigned under_way;
	unsigned warm;      /* the most that were ever under way: so many environments exist */
	double tokens;      /* new environments that may be asked for now */
	int64_t tokens_ms;  /* as of then */
	int64_t limit_ms;   /* when it was the limit last */
	bool cut;           /* since the first 429 for concurrency growth is slow */
	unsigned accepted;  /* in this round of slow growth */
	int64_t cut_ms;     /* when it was cut last */
	unsigned refused;   /* 429s in a row, of distinct rounds */
	int64_t refused_ms;
	int64_t paused_until_ms;
	uint64_t random;
	struct list young;  /* slots that aren't accepted yet, oldest first */
};

/* One invocation under way; the caller's storage. */
struct window_slot {
	struct list link; /* in `young`, or alone once accepted */
	int64_t started_ms;
};

/* `start` ≤ `most`, both ≥ 1. `seed` for the jitter, any number. */
void window_init(struct window *window, unsigned start, unsigned most, uint64_t seed, int64_t now_ms);

/* 0: one may start now. > 0: ask again in so many ms, or when one ended. -1: only when one ended. */
int64_t window_wait(struct window *window, int64_t now_ms);

/* One starts. */
void window_begin(struct window *window, struct window_slot *slot, int64_t now_ms);

/* It ended: in an answer that shows that it had been let in (`accepted`), or in none that tells (a cut connection, cancelled here). */
void window_end(struct window *window, struct window_slot *slot, bool accepted, int64_t now_ms);

/* It was refused with 429, for `reason` ("ConcurrentInvocationLimitExceeded"; "" for none) and with Retry-After (0: none). Returns in how many ms it may
 * be tried again. */
int64_t window_refused(struct window *window, struct window_slot *slot, const char *reason, int64_t retry_after_ms, int64_t now_ms);
