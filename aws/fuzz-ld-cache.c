/* Any bytes as the loader's cache: a path found is a string inside it. */
#include <assert.h>
#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "aws/libraries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "libc.so.6", "liba.so", "" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *path = libraries_in_cache(slice_of(data, size), EM_X86_64, names[i]);
		assert(!path || (path >= (const char *)data && path + strlen(path) < (const char *)data + size));
	}
	return 0;
}
