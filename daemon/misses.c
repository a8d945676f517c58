#include "daemon/misses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* A ring; searched from its youngest end, by people only. */
enum { MISSES = 8192 };

struct miss {
	struct digest key;
	int64_t when_s;
	int what;
	char *path; /* owned; NULL for "" */
};

struct misses {
	struct miss ring[MISSES];
	size_t n; /* ever put */
};

struct misses *misses_new(void)
{
	struct misses *misses = calloc(1, sizeof(*misses));
	if (!misses)
		abort();
	return misses;
}

void misses_free(struct misses *misses)
{
	for (size_t i = 0; misses && i < MISSES; i++)
		free(misses->ring[i].path);
	free(misses);
}

void misses_put(struct misses *misses, const struct digest *key, const struct cache_why *why)
{
	struct miss *miss = &misses->ring[misses->n++ % MISSES];
	free(miss->path);
	*miss = (struct miss){ .key = *key, .when_s = clock_realtime_ns() / 1000000000, .what = why->what };
	if (*why->path && !(miss->path = strdup(why->path)))
		abort();
}

bool misses_get(const struct misses *misses, const struct digest *key, struct cache_why *ret, int64_t *when_s_ret)
{
	size_t oldest = misses->n > MISSES ? misses->n - MISSES : 0;
	for (size_t i = misses->n; i > oldest; i--) {
		const struct miss *miss = &misses->ring[(i - 1) % MISSES];
		if (!digest_equal(&miss->key, key))
			continue;
		*ret = (struct cache_why){ .what = miss->what };
		if (miss->path)
			snprintf(ret->path, sizeof(ret->path), "%s", miss->path);
		*when_s_ret = miss->when_s;
		return true;
	}
	return false;
}

const char *misses_name(const struct cache_why *why)
{
	switch (why->what) {
	case CACHE_WHY_NO_KEY:
		return "new";
	case CACHE_WHY_INPUT:
		return "input";
	case CACHE_WHY_MESSAGES:
		return "messages";
	case CACHE_WHY_BLOB:
		return "content";
	case CACHE_WHY_ALIAS:
		return "aliases";
	case CACHE_WHY_RECACHE:
		return "recache";
	}
	abort();
}

void misses_describe(const struct cache_why *why, struct buf *to)
{
	switch (why->what) {
	case CACHE_WHY_NO_KEY:
		buf_append_str(to, "nothing was kept yet for this compiler, these arguments, this text of the source, "
				   "this directory and environment");
		break;
	case CACHE_WHY_INPUT:
		buf_printf(to, "since the last result this input has changed, come or gone: %s", why->path);
		break;
	case CACHE_WHY_MESSAGES:
		buf_append_str(to, "the kept result has messages made for another terminal or colour setting");
		break;
	case CACHE_WHY_BLOB:
		buf_append_str(to, "the kept result's content is no longer in the store");
		break;
	case CACHE_WHY_ALIAS:
		buf_append_str(to,
			"headers of equal content share an inode or a time stamp where they did not, or the reverse");
		break;
	case CACHE_WHY_RECACHE:
		buf_append_str(to, "LLAMACC_RECACHE asks for a new one");
		break;
	}
}
