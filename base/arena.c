#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 16 * 1024 };

struct arena_block {
	struct arena_block *older;
	alignas(max_align_t) char bytes[];
};

void arena_deinit(struct arena *arena)
{
	if (!arena)
		return;
	while (arena->blocks) {
		struct arena_block *older = arena->blocks->older;
		free(arena->blocks);
		arena->blocks = older;
	}
	*arena = (struct arena)ARENA_INIT;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	assert(size < SIZE_MAX / 2);
	size = size ? (size + align - 1) & ~(align - 1) : align; /* never NULL, also for nothing */
	if (size > arena->left) {
		size_t capacity = size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES;
		struct arena_block *block = malloc(sizeof(*block) + capacity);
		if (!block)
			abort();
		if (capacity == size && arena->blocks) {
			/* A large object gets a block of its own behind the newest one, whose free space stays in use. */
			block->older = arena->blocks->older;
			arena->blocks->older = block;
			return block->bytes;
		}
		block->older = arena->blocks;
		arena->blocks = block;
		arena->next = block->bytes;
		arena->left = capacity;
	}
	void *at = arena->next;
	arena->next += size;
	arena->left -= size;
	return at;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
	return memset(arena_alloc(arena, size), 0, size);
}

char *arena_strndup(struct arena *arena, const char *s, size_t n)
{
	char *copy = arena_alloc(arena, n + 1);
	if (n)
		memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *arena_strdup(struct arena *arena, const char *s)
{
	return arena_strndup(arena, s, strlen(s));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	assert(n >= 0);
	char *s = arena_alloc(arena, (size_t)n + 1);
	vsnprintf(s, (size_t)n + 1, format, args);
	va_end(args);
	return s;
}
