/* Any bytes in aws-chunked encoding: parsed or refused, and what is parsed lies within them. */
#include <assert.h>

#include "tests/cloud/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct chunked chunked;
	struct error err;
	if (chunked_parse(slice_of(data, size), &arena, &chunked, &err) < 0)
		return 0;
	size_t n = 0;
	for (size_t i = 0; i < chunked.n; i++) {
		assert(chunked.chunks[i].bytes.len == 0 ||
			(chunked.chunks[i].bytes.ptr > (const char *)data &&
				chunked.chunks[i].bytes.ptr + chunked.chunks[i].bytes.len < (const char *)data + size));
		n += chunked.chunks[i].bytes.len;
	}
	assert(n == chunked.n_bytes && chunked.n > 0 && chunked.chunks[chunked.n - 1].bytes.len == 0);
	return 0;
}
