/* One zstd frame, in memory; also with a dictionary: any bytes that are like those to come. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Append `bytes` as a frame that knows its content's size. */
void compress_append(struct slice bytes, struct buf *ret);

/* Append the content of `frame`, which is one whole frame of known size, at most `limit` bytes. -1: it is not. */
int decompress_append(struct slice frame, uint64_t limit, struct buf *ret, struct error *err);

/* Ready for compressing, on any threads at once. It copies the bytes. */
struct dictionary;
struct dictionary *dictionary_new(struct slice bytes);
void dictionary_free(struct dictionary *dictionary); /* NULL is allowed */

/* As without one, but for less text: a level that costs more time. */
void compress_append_with(const struct dictionary *dictionary, struct slice bytes, struct buf *ret);
int decompress_append_with(struct slice dictionary, struct slice frame, uint64_t limit, struct buf *ret, struct error *err);
