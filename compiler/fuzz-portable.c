/* Any bytes may be an output: they are searched within their bounds, and those that begin with the path are never taken for portable. */
#include <assert.h>
#include <stdint.h>

#include "compiler/portable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice output = slice_of(data, size);
	enum portable why = portable_examine(output, "/base/directory");
	if (size >= sizeof("/base/di") - 1 && memcmp(data, "/base/di", sizeof("/base/di") - 1) == 0)
		assert(why == PORTABLE_CONTAINS_PATH);
	return 0;
}
