#include <stdint.h>

#include "compiler/textscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct textscan scan;
	textscan(slice_of(data, size), &arena, &scan);
	return 0;
}
