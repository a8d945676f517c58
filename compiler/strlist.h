/* A growing list of borrowed strings whose array lives in an arena; always NULL-terminated once something was added. */
#pragma once

#include <string.h>

#include "base/arena.h"

struct strlist {
	const char **items; /* in the arena; NULL while empty */
	size_t n;
	size_t capacity;
};

static inline void strlist_add(struct strlist *list, struct arena *arena, const char *s)
{
	if (list->n + 1 >= list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 16;
		const char **items = arena_array(arena, const char *, list->capacity);
		if (list->n)
			memcpy(items, list->items, list->n * sizeof(*items));
		list->items = items;
	}
	list->items[list->n++] = s;
	list->items[list->n] = NULL;
}

static inline void strlist_add_all(struct strlist *list, struct arena *arena, const struct strlist *more)
{
	for (size_t i = 0; i < more->n; i++)
		strlist_add(list, arena, more->items[i]);
}
