/* Memory with one owner and one end: everything allocated from an arena is freed with it. One per job or request. Small
 * allocations abort when memory is exhausted; memory is not zeroed unless the name says so. Not thread-safe. */
#pragma once

#include <stdarg.h>

#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	char *next;                 /* free space in the newest block */
	size_t left;
};

#define ARENA_INIT { NULL, NULL, 0 }

void arena_deinit(struct arena *arena); /* frees everything; the arena may be used again; NULL is allowed */

void *arena_alloc(struct arena *arena, size_t size);  /* aligned for any object */
void *arena_zalloc(struct arena *arena, size_t size); /* the same, zeroed */
char *arena_strdup(struct arena *arena, const char *s);
char *arena_strndup(struct arena *arena, const char *s, size_t n); /* exactly n bytes and a NUL */
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
#define arena_array(arena, type, n) ((type *)arena_zalloc((arena), sizeof(type) * (n)))

#define _cleanup_arena_ __attribute__((cleanup(arena_deinit)))
