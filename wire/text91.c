#include "wire/text91.h"

#include <stdint.h>

enum { BASE = 91, PAIR_BITS = 13, SINGLE_BITS = 6 };

static char character(unsigned digit)
{
	return digit == '\\' - '#' ? '!' : (char)('#' + digit);
}

/* Of what is no digit: BASE or more. */
static unsigned digit(char c)
{
	return c == '!' ? '\\' - '#' : c == '\\' ? BASE : (unsigned)(unsigned char)c - '#';
}

void text91_append(struct slice bytes, struct buf *ret)
{
	char *to = buf_reserve(ret, bytes.len / PAIR_BITS * 16 + 2 * PAIR_BITS);
	char *at = to;
	uint32_t bits = 0;
	unsigned n = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		bits |= (uint32_t)(unsigned char)bytes.ptr[i] << n;
		n += 8;
		if (n < PAIR_BITS)
			continue;
		uint32_t v = bits & ((1 << PAIR_BITS) - 1);
		*at++ = character(v % BASE);
		*at++ = character(v / BASE);
		bits >>= PAIR_BITS;
		n -= PAIR_BITS;
	}
	if (n > 0)
		*at++ = character(bits % BASE);
	if (n > SINGLE_BITS)
		*at++ = character(bits / BASE);
	ret->len += (size_t)(at - to);
	ret->ptr[ret->len] = '\0';
}

int text91_read(struct slice text, struct buf *ret)
{
	char *to = buf_reserve(ret, text.len / 16 * PAIR_BITS + PAIR_BITS);
	char *at = to;
	uint32_t bits = 0;
	unsigned n = 0;
	for (size_t i = 0; i < text.len; i += 2) {
		bool single = i + 1 == text.len;
		unsigned low = digit(text.ptr[i]), high = single ? 0 : digit(text.ptr[i + 1]), width = single ? SINGLE_BITS : PAIR_BITS;
		uint32_t v = low + high * BASE;
		if (low >= BASE || high >= BASE || v >> width)
			return -1;
		bits |= v << n;
		for (n += width; n >= 8; n -= 8, bits >>= 8)
			*at++ = (char)bits;
	}
	/* With more bits left than this the last character had nothing to say, or one would have done for two. */
	if (bits != 0 || n >= (text.len % 2 == 1 ? SINGLE_BITS : PAIR_BITS - SINGLE_BITS))
		return -1;
	ret->len += (size_t)(at - to);
	ret->ptr[ret->len] = '\0';
	return 0;
}
