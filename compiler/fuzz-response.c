#include <stdint.h>

#include "compiler/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum compiler_family families[] = { FAMILY_GCC, FAMILY_CLANG };
	for (size_t i = 0; i < 2; i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct strlist args = { 0 };
		response_split(slice_of(data, size), families[i], &arena, &args);
	}
	return 0;
}
