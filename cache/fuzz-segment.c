/* Any bytes as a segment's object, and as what is in it: refused, or every entry lies within it and is found by its key. */
#include <assert.h>
#include <stdint.h>

#include "cache/segment.h"
#include "wire/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct slice segment)
{
	size_t n = segment_count(segment);
	for (size_t i = 0; i < n; i++) {
		struct segment_entry entry = segment_at(segment, i);
		struct digest key = { .size_bytes = 0 };
		memcpy(key.hash, entry.key, sizeof(entry.key));
		assert(segment_find(segment, &key) <= i);
		assert(entry.head.ptr >= segment.ptr && entry.names.ptr + entry.names.len <= segment.ptr + segment.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf segment = { 0 }, object = { 0 };
	struct error err;
	if (segment_unpack(slice_of(data, size), &segment, &err) == 0)
		read_all(buf_slice(&segment));
	buf_reset(&segment);
	compress_append(slice_of(data, size), &object);
	if (segment_unpack(buf_slice(&object), &segment, &err) == 0)
		read_all(buf_slice(&segment));
	return 0;
}
