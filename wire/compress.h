/* One zstd frame, in memory. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Append `bytes` as a frame that knows its content's size. */
void compress_append(struct slice bytes, struct buf *ret);

/* Append the content of `frame`, which is one whole frame of known size, at most `limit` bytes. -1: it is not. */
int decompress_append(struct slice frame, uint64_t limit, struct buf *ret, struct error *err);
