/* A result from anywhere: it is refused, or it encodes to something that decodes. */
#include <stdlib.h>

#include "cache/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf encoded = { 0 };
	struct cache_result result, again;
	if (result_decode(slice_of(data, size), &arena, &result, NULL) < 0)
		return 0;
	result_encode(&result, &encoded);
	if (result_decode(buf_slice(&encoded), &arena, &again, NULL) < 0 || again.n_outputs != result.n_outputs ||
		strcmp(again.depfile_targets, result.depfile_targets) != 0)
		abort();
	return 0;
}
