/* Any bytes as XML: every element that is found lies within them, and text survives being escaped. */
#include <assert.h>
#include <stdint.h>

#include "tests/cloud/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf again = { 0 };
	struct slice xml = slice_of(data, size), item;
	while (xml_next(&xml, "Object", &item)) {
		assert(item.len < size && xml.len < size);
		const char *key = xml_text(item, "Key", &arena);
		if (!key)
			continue;
		buf_reset(&again);
		xml_element(&again, "Key", key);
		const char *same = xml_text(buf_slice(&again), "Key", &arena);
		assert(same && strcmp(key, same) == 0);
	}
	return 0;
}
