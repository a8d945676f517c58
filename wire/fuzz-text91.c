/* Any text: refused, or the one text of some bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "wire/text91.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf bytes = { 0 }, text = { 0 };
	if (text91_read(slice_of(data, size), &bytes) < 0)
		return 0;
	text91_append(buf_slice(&bytes), &text);
	if (!slice_equal(buf_slice(&text), slice_of(data, size)))
		abort();
	return 0;
}
