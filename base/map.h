/* A hash map from bytes to pointers. Keys are borrowed: the caller keeps them alive and unchanged while they are in the map
 * (usually they are inside the value). Open addressing; `{ 0 }` is an empty map; growth aborts when memory is exhausted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct map_entry {
	struct slice key; /* borrowed */
	uint64_t hash;
	void *value; /* NULL means the entry is free */
};

struct map {
	struct map_entry *entries; /* owned; power-of-two many */
	size_t capacity;
	size_t n; /* entries in use */
};

void map_deinit(struct map *map); /* frees the table, not keys or values; NULL is allowed */

/* The value under `key`, or NULL. */
void *map_get(const struct map *map, struct slice key);

/* Put `value` (not NULL) under `key`; returns the value it replaced (the key is replaced too), or NULL. */
void *map_put(struct map *map, struct slice key, void *value);

/* Take the entry out; returns its value, or NULL when there was none. */
void *map_remove(struct map *map, struct slice key);

/* Walk all entries in no order: start with *at = 0; returns NULL at the end. The map must not change meanwhile. */
const struct map_entry *map_next(const struct map *map, size_t *at);

/* The same bytes have the same hash in every version of this program, on machines of either word size: it is kept in files. */
uint64_t map_hash(struct slice key);
/* Whether any key's hash may end in these 32 bits; false is certain. */
bool map_may_have(const struct map *map, uint32_t low);

#define _cleanup_map_ __attribute__((cleanup(map_deinit)))
