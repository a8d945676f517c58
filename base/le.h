/* Numbers as bytes, the least significant first: what our own files and objects have. */
#pragma once

#include <endian.h>
#include <stdint.h>

#include "base/buf.h"

static inline void le_put_u32(struct buf *to, uint32_t n)
{
	n = htole32(n);
	buf_append(to, &n, sizeof(n));
}

static inline void le_put_u64(struct buf *to, uint64_t n)
{
	n = htole64(n);
	buf_append(to, &n, sizeof(n));
}

/* `at` need not be aligned. */
static inline uint32_t le_get_u32(const void *at)
{
	uint32_t n;
	memcpy(&n, at, sizeof(n));
	return le32toh(n);
}

static inline uint64_t le_get_u64(const void *at)
{
	uint64_t n;
	memcpy(&n, at, sizeof(n));
	return le64toh(n);
}
