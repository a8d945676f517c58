#include "aws/credentials.h"

#include <stdlib.h>

#include "aws/credential_fetch.h"
#include "base/clock.h"

enum {
	MINUTE_MS = 60 * 1000,
	ADVISORY_MS = 15 * MINUTE_MS,
	MANDATORY_MS = 10 * MINUTE_MS,
	PAUSE_MS = 30 * 1000,	/* after a fetch that failed, while old keys are good */
	SETTLED_MS = 10 * 1000, /* see credentials_drop */
};

/* `arena` holds the keys, `before` those given out until a moment ago. */
struct credentials {
	uv_loop_t *loop;
	struct http *http;
	const struct aws_config *config;
	struct credential_clock clock;
	struct credential_fetch *fetch; /* under way; NULL: none */
	struct aws_keys keys;
	struct arena arena, before;
	bool have, dropped;
	int64_t fetched_ms;
	int64_t not_before_ms;		    /* of another fetch, unless it must be */
	struct credentials_waiter *waiting; /* for the fetch, newest first */
	struct credentials_waiter *served;  /* being told */
};

static int64_t machine_now_ms(void *ctx)
{
	return clock_realtime_ns() / 1000000;
}

static int64_t now_ms(const struct credentials *c)
{
	return c->clock.now_ms(c->clock.ctx);
}

struct credentials *credentials_new(uv_loop_t *loop, struct http *http, const struct aws_config *config)
{
	struct credentials *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	*c = (struct credentials){ .loop = loop,
		.http = http,
		.config = config,
		.clock = { machine_now_ms, NULL },
		.arena = ARENA_INIT,
		.before = ARENA_INIT };
	return c;
}

void credentials_free(struct credentials *c)
{
	if (!c)
		return;
	credential_fetch_cancel(c->fetch);
	arena_deinit(&c->arena);
	arena_deinit(&c->before);
	free(c);
}

void credentials_set_clock(struct credentials *c, int64_t (*clock)(void *ctx), void *ctx)
{
	c->clock = (struct credential_clock){ clock, ctx };
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool are_good(const struct credentials *c, int64_t left_ms)
{
	return c->have && !c->dropped && (!c->keys.expires_ms || c->keys.expires_ms - now_ms(c) > left_ms);
}

static void keep(struct credentials *c, const struct aws_keys *keys)
{
	arena_deinit(&c->before);
	c->before = c->arena;
	c->arena = (struct arena)ARENA_INIT;
	c->keys = (struct aws_keys){ .access_key = arena_strdup(&c->arena, keys->access_key),
		.secret_key = arena_strdup(&c->arena, keys->secret_key),
		.session_token = keys->session_token ? arena_strdup(&c->arena, keys->session_token) : NULL,
		.expires_ms = keys->expires_ms,
		.source = arena_strdup(&c->arena, keys->source) };
	c->have = true;
	c->dropped = false;
	c->fetched_ms = now_ms(c);
	c->not_before_ms = 0;
}

static struct credentials_waiter *reverse(struct credentials_waiter *list)
{
	struct credentials_waiter *turned = NULL;
	while (list) {
		struct credentials_waiter *next = list->next;
		list->next = turned;
		turned = list;
		list = next;
	}
	return turned;
}

static void fetched(void *ctx, const struct aws_keys *keys, const struct error *err)
{
	struct credentials *c = ctx;
	c->fetch = NULL;
	if (keys)
		keep(c, keys);
	else
		c->not_before_ms = now_ms(c) + PAUSE_MS;
	const struct aws_keys *given = are_good(c, 0) ? &c->keys : NULL;
	/* Who is told may ask again, and waits for another fetch then; or may leave for another. */
	c->served = reverse(c->waiting);
	c->waiting = NULL;
	while (c->served) {
		struct credentials_waiter *waiter = c->served;
		c->served = waiter->next;
		waiter->next = NULL;
		waiter->fn(waiter, given, given ? NULL : err);
	}
}

static void fetch(struct credentials *c)
{
	if (!c->fetch)
		c->fetch = credential_fetch_start(c->loop, c->http, c->config, c->clock, fetched, c);
}

const struct aws_keys *credentials_get(struct credentials *c, struct credentials_waiter *waiter)
{
	int64_t life_ms = c->keys.expires_ms - c->fetched_ms;
	if (are_good(c, smaller(ADVISORY_MS, life_ms / 2)))
		return &c->keys;
	bool may_fetch = now_ms(c) >= c->not_before_ms;
	if (are_good(c, smaller(MANDATORY_MS, life_ms / 4))) {
		if (may_fetch)
			fetch(c);
		return &c->keys;
	}
	if (are_good(c, 0) && !may_fetch && !c->fetch)
		return &c->keys;
	waiter->next = c->waiting;
	c->waiting = waiter;
	fetch(c);
	return NULL;
}

static bool unlink_waiter(struct credentials_waiter **list, struct credentials_waiter *waiter)
{
	for (; *list; list = &(*list)->next) {
		if (*list == waiter) {
			*list = waiter->next;
			return true;
		}
	}
	return false;
}

void credentials_leave(struct credentials *c, struct credentials_waiter *waiter)
{
	if (!unlink_waiter(&c->waiting, waiter))
		unlink_waiter(&c->served, waiter);
}

void credentials_drop(struct credentials *c)
{
	if (now_ms(c) - c->fetched_ms >= SETTLED_MS || now_ms(c) < c->fetched_ms)
		c->dropped = true;
}
