/* Bytes as printable ASCII that JSON takes as it is: 13 bits are two characters of 91, so the text is 23 % longer than the bytes (base64's
 * is 33 %).
 *
 * The bytes are one little-endian number, of which each pair of characters has the next 13 bits: v % 91, then v / 91. Of what is left at the
 * end up to 6 bits are one character, more are a pair; bits beyond are zero: there is one text for any bytes. Digit d is the character '#' + d, but '!' where that is a backslash. */
#pragma once

#include "base/buf.h"

void text91_append(struct slice bytes, struct buf *ret);

/* Append the bytes; -1, with `ret` as it was: nothing is written so. */
int text91_read(struct slice text, struct buf *ret);
