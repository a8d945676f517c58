#include "base/map.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

/* FNV-1a over words with a final mix. Keys are paths and digests of this user's own files, not a stranger's choice; a
 * keyed hash would buy nothing here. */
uint64_t map_hash(struct slice key)
{
	uint64_t h = 0xcbf29ce484222325u ^ key.len;
	size_t i = 0;
	for (; i + 8 <= key.len; i += 8) {
		uint64_t word;
		memcpy(&word, key.ptr + i, 8);
		word = le64toh(word);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	for (; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	return h ^ (h >> 32);
}

void map_deinit(struct map *map)
{
	if (!map)
		return;
	free(map->entries);
	*map = (struct map){ 0 };
}

static struct map_entry *find(const struct map *map, struct slice key, uint64_t hash)
{
	size_t mask = map->capacity - 1;
	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct map_entry *e = &map->entries[i];
		if (!e->value || (e->hash == hash && slice_equal(e->key, key)))
			return e;
	}
}

void *map_get(const struct map *map, struct slice key)
{
	return map->capacity ? find(map, key, map_hash(key))->value : NULL;
}

bool map_may_have(const struct map *map, uint32_t low)
{
	if (!map->capacity)
		return false;
	size_t mask = map->capacity - 1;
	assert(mask <= UINT32_MAX);
	for (size_t i = low & mask; map->entries[i].value; i = (i + 1) & mask)
		if ((uint32_t)map->entries[i].hash == low)
			return true;
	return false;
}

static void grow(struct map *map)
{
	struct map old = *map;
	map->capacity = old.capacity ? old.capacity * 2 : 16;
	map->entries = calloc(map->capacity, sizeof(*map->entries));
	if (!map->entries)
		abort();
	for (size_t i = 0; i < old.capacity; i++)
		if (old.entries[i].value)
			*find(map, old.entries[i].key, old.entries[i].hash) = old.entries[i];
	free(old.entries);
}

void *map_put(struct map *map, struct slice key, void *value)
{
	assert(value);
	if ((map->n + 1) * 4 > map->capacity * 3)
		grow(map);
	uint64_t hash = map_hash(key);
	struct map_entry *e = find(map, key, hash);
	void *old = e->value;
	if (!old)
		map->n++;
	*e = (struct map_entry){ key, hash, value };
	return old;
}

void *map_remove(struct map *map, struct slice key)
{
	if (!map->capacity)
		return NULL;
	size_t mask = map->capacity - 1;
	struct map_entry *e = find(map, key, map_hash(key));
	void *old = e->value;
	if (!old)
		return NULL;
	/* Close the gap: move back every later entry of the run that the hole would cut off from its home. */
	size_t hole = (size_t)(e - map->entries);
	for (size_t i = (hole + 1) & mask; map->entries[i].value; i = (i + 1) & mask) {
		size_t home = map->entries[i].hash & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->entries[hole] = map->entries[i];
			hole = i;
		}
	}
	map->entries[hole] = (struct map_entry){ 0 };
	map->n--;
	return old;
}

const struct map_entry *map_next(const struct map *map, size_t *at)
{
	while (*at < map->capacity) {
		const struct map_entry *e = &map->entries[(*at)++];
		if (e->value)
			return e;
	}
	return NULL;
}
