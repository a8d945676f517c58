/* Owned, growing bytes. Always followed by a NUL that `len` does not count, so `ptr` of a non-empty buffer may be used as a
 * string. `{ 0 }` is an empty buffer. Growth aborts when memory is exhausted. */
#pragma once

#include <stdarg.h>
#include <stdint.h>

#include "base/slice.h"

struct buf {
	char *ptr; /* owned; NULL while nothing was ever added */
	size_t len;
	size_t capacity;
};

void buf_deinit(struct buf *buf); /* frees and returns to `{ 0 }`; NULL is allowed */
void buf_reset(struct buf *buf);  /* len = 0, memory kept */

void buf_grow(struct buf *buf, size_t n); /* for buf_reserve */

/* Make room for `n` more bytes and return where they go; the caller adds what it wrote to `len`. */
static inline char *buf_reserve(struct buf *buf, size_t n)
{
	if (n >= buf->capacity - buf->len) /* there is a NUL, too */
		buf_grow(buf, n);
	return buf->ptr + buf->len;
}

static inline void buf_append(struct buf *buf, const void *bytes, size_t n)
{
	char *at = buf_reserve(buf, n);
	if (n)
		memcpy(at, bytes, n);
	at[n] = '\0';
	buf->len += n;
}

static inline void buf_append_slice(struct buf *buf, struct slice s)
{
	buf_append(buf, s.ptr, s.len);
}

static inline void buf_append_char(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_append_str(struct buf *buf, const char *s);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* The bytes as a NUL-terminated heap string that the caller frees; the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf);

static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){ buf->ptr, buf->len };
}

/* The bytes as a string, valid until the next change; "" when empty. */
static inline const char *buf_str(const struct buf *buf)
{
	return buf->ptr ? buf->ptr : "";
}

#define _cleanup_buf_ __attribute__((cleanup(buf_deinit)))
