/* Why the latest results were not in the cache, for `llama explain` and the log. Of this daemon only: it answers "why was this compiled
 * just now?", which the cache itself can't, since it then has the result. */
#pragma once

#include "base/buf.h"
#include "cache/cache.h"

struct misses;

struct misses *misses_new(void);
void misses_free(struct misses *misses);

/* The look-up of `key` missed. The oldest is forgotten. */
void misses_put(struct misses *misses, const struct digest *key, const struct cache_why *why);

/* Why the last look-up of `key` that missed did so, and when (seconds since the epoch); false: none is remembered. */
bool misses_get(const struct misses *misses, const struct digest *key, struct cache_why *ret, int64_t *when_s_ret);

/* One word for the log: new, input, messages, content, aliases, recache. */
const char *misses_name(const struct cache_why *why);

/* A sentence without its end, appended to `to`. */
void misses_describe(const struct cache_why *why, struct buf *to);
