/* Any bytes as a pack: its index is refused, or every entry lies within it and gives its blob or an error. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "store/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice pack = slice_of(data, size);
	struct pack_entry *entries;
	size_t n;
	struct error err;
	if (pack_index_parse(pack, pack.len, &entries, &n, &err) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct pack_entry *entry = &entries[i];
		assert(entry->offset + entry->stored <= pack.len);
		if (entry->digest.size_bytes > 1 << 20)
			continue; /* a claim costs its room */
		_cleanup_buf_ struct buf blob = { 0 };
		if (pack_blob(entry, slice_of(pack.ptr + entry->offset, entry->stored), &blob, &err) == 0)
			assert(blob.len == (uint64_t)entry->digest.size_bytes);
	}
	free(entries);
	return 0;
}
