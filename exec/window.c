#include "exec/window.h"

#include <assert.h>
#include <string.h>

void window_init(struct window *window, unsigned start, unsigned most, uint64_t seed, int64_t now_ms)
{
	assert(start >= 1 && start <= most);
	*window = (struct window){
		.size = start,
		.most = most,
		.tokens = WINDOW_ENVIRONMENTS,
		.tokens_ms = now_ms,
		.limit_ms = INT64_MIN,
		.cut_ms = INT64_MIN,
		.refused_ms = INT64_MIN,
		.paused_until_ms = now_ms,
		.random = seed | 1,
	};
	list_init(&window->young);
}

/* 0 … n. */
static int64_t random_below(struct window *window, int64_t n)
{
	window->random ^= window->random << 13;
	window->random ^= window->random >> 7;
	window->random ^= window->random << 17;
	return (int64_t)(window->random % (uint64_t)(n + 1));
}

static void refill(struct window *window, int64_t now_ms)
{
	window->tokens += (double)(now_ms - window->tokens_ms) * WINDOW_ENVIRONMENTS / WINDOW_ENVIRONMENTS_MS;
	if (window->tokens > WINDOW_ENVIRONMENTS)
		window->tokens = WINDOW_ENVIRONMENTS;
	window->tokens_ms = now_ms;
}

static void accept(struct window *window, struct window_slot *slot)
{
	list_remove(&slot->link);
	window->refused = 0;
	/* A window that wasn't the limit tells nothing about a larger one, and what was sent before a cut nothing about the cut one. */
	if (window->size == window->most || slot->started_ms > window->limit_ms || slot->started_ms <= window->cut_ms)
		return;
	if (!window->cut) {
		window->size += 2;
	} else if (++window->accepted >= window->size) {
		window->accepted = 0;
		window->size += 1 + window->size / 32;
	}
	if (window->size > window->most)
		window->size = window->most;
}

static void age(struct window *window, int64_t now_ms)
{
	struct window_slot *slot;
	list_for_each (slot, &window->young, struct window_slot, link) {
		if (now_ms - slot->started_ms < WINDOW_ACCEPT_MS)
			break;
		accept(window, slot);
	}
}

int64_t window_wait(struct window *window, int64_t now_ms)
{
	age(window, now_ms);
	refill(window, now_ms);
	if (now_ms < window->paused_until_ms)
		return window->paused_until_ms - now_ms;
	if (window->under_way >= window->size) {
		window->limit_ms = now_ms;
		const struct window_slot *slot = list_first(&window->young, struct window_slot, link);
		return slot && window->size < window->most ? slot->started_ms + WINDOW_ACCEPT_MS - now_ms : -1;
	}
	if (window->under_way >= window->warm && window->tokens < 1)
		return 1 + (int64_t)((1 - window->tokens) * WINDOW_ENVIRONMENTS_MS / WINDOW_ENVIRONMENTS);
	return 0;
}

void window_begin(struct window *window, struct window_slot *slot, int64_t now_ms)
{
	slot->started_ms = now_ms;
	list_append(&window->young, &slot->link);
	if (++window->under_way > window->warm) {
		window->warm = window->under_way;
		window->tokens -= 1;
	}
}

void window_end(struct window *window, struct window_slot *slot, bool accepted, int64_t now_ms)
{
	assert(window->under_way > 0);
	age(window, now_ms);
	if (!list_empty(&slot->link)) {
		if (accepted)
			accept(window, slot);
		else
			list_remove(&slot->link);
	}
	window->under_way--;
}

static bool is_rate(const char *reason)
{
	return strcmp(reason, "CallerRateLimitExceeded") == 0 || strcmp(reason, "FunctionInvocationRateLimitExceeded") == 0 ||
		strcmp(reason, "ReservedFunctionInvocationRateLimitExceeded") == 0 ||
		strcmp(reason, "ConcurrentSnapshotCreateLimitExceeded") == 0;
}

int64_t window_refused(struct window *window, struct window_slot *slot, const char *reason, int64_t retry_after_ms, int64_t now_ms)
{
	assert(window->under_way > 0);
	list_remove(&slot->link);
	window->under_way--;
	bool rate = is_rate(reason);
	if (!rate && slot->started_ms > window->cut_ms) {
		unsigned used = window->under_way < window->size ? window->under_way : window->size;
		window->size = used / 2 > 0 ? used / 2 : 1;
		window->warm = window->under_way;
		window->cut = true;
		window->accepted = 0;
		window->cut_ms = now_ms;
	}
	/* Of what was sent together the first refusal makes the pause longer. */
	if (slot->started_ms > window->refused_ms) {
		window->refused_ms = now_ms;
		if (window->refused < 16)
			window->refused++;
	}
	int64_t limit = (int64_t)WINDOW_PAUSE_MS << window->refused;
	if (limit > WINDOW_PAUSE_LIMIT_MS)
		limit = WINDOW_PAUSE_LIMIT_MS;
	int64_t jitter_ms = random_below(window, limit), pause_ms = retry_after_ms + jitter_ms;
	int64_t until_ms = now_ms + (rate ? pause_ms : window->under_way == 0 ? jitter_ms : 0);
	if (until_ms > window->paused_until_ms)
		window->paused_until_ms = until_ms;
	return pause_ms;
}
