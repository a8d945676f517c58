#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void buf_deinit(struct buf *buf)
{
	if (!buf)
		return;
	free(buf->ptr);
	*buf = (struct buf){ 0 };
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	if (buf->ptr)
		buf->ptr[0] = '\0';
}

void buf_grow(struct buf *buf, size_t n)
{
	assert(n < SIZE_MAX / 4 && buf->len < SIZE_MAX / 4);
	size_t need = buf->len + n + 1;
	size_t capacity = buf->capacity ? buf->capacity * 2 : 64;
	if (capacity < need)
		capacity = need;
	char *ptr = realloc(buf->ptr, capacity);
	if (!ptr)
		abort();
	buf->ptr = ptr;
	buf->capacity = capacity;
	buf->ptr[buf->len] = '\0';
}

void buf_append_str(struct buf *buf, const char *s)
{
	buf_append(buf, s, strlen(s));
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	assert(n >= 0);
	char *at = buf_reserve(buf, (size_t)n);
	vsnprintf(at, (size_t)n + 1, format, args);
	buf->len += (size_t)n;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}

char *buf_take(struct buf *buf)
{
	buf_reserve(buf, 0);
	char *ptr = buf->ptr;
	ptr[buf->len] = '\0';
	*buf = (struct buf){ 0 };
	return ptr;
}
