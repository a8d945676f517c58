/* Any bytes, as one piece and in small ones: the same entries and contents, or the same refusal. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take_entry(void *ctx, const struct tar_entry *entry, struct error *err)
{
	(void)err;
	assert(entry->size_bytes >= 0 && entry->path && entry->target);
	buf_printf(ctx, "%d %s %s %o %lld\n", entry->kind, entry->path, entry->target, (unsigned)entry->mode,
		(long long)entry->size_bytes);
	return 0;
}

static void take_content(void *ctx, struct slice piece)
{
	buf_append_slice(ctx, piece);
}

static int take(const uint8_t *data, size_t size, size_t piece, struct buf *ret)
{
	struct error err;
	int result = 0;
	struct tar_reader *reader = tar_reader_new(take_entry, take_content, ret);
	for (size_t at = 0; at < size && result == 0; at += piece)
		result = tar_reader_feed(reader, slice_of(data + at, size - at < piece ? size - at : piece), &err);
	if (result == 0)
		result = tar_reader_end(reader, &err);
	tar_reader_free(reader);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf whole = { 0 }, pieces = { 0 };
	int result = take(data, size, size ? size : 1, &whole);
	assert(take(data, size, 13, &pieces) == result);
	assert(slice_equal(buf_slice(&whole), buf_slice(&pieces)));
	return 0;
}
