/* Any bytes as the file of what is in the bucket: what is read of it, written again, is what was read. */
#include <assert.h>
#include <stdint.h>

#include "exec/known.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(void *ctx, const struct known_record *record)
{
	known_add(record, ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest identity = { .size_bytes = 0 };
	_cleanup_buf_ struct buf copy = { 0 };
	known_begin(&identity, &copy);
	size_t good = known_parse(slice_of(data, size), &identity, again, &copy);
	assert(good <= size);
	if (good > 0)
		assert(slice_equal(buf_slice(&copy), slice_of(data, good)));
	return 0;
}
