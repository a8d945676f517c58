/* Any bytes have a skeleton, which comes back from its bytes; any bytes that are a skeleton are its bytes. */
#include <assert.h>
#include <stdint.h>

#include "compiler/skeleton.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct skeleton *skeleton, struct slice bytes)
{
	_cleanup_buf_ struct buf again = { 0 };
	skeleton_encode(skeleton, &again);
	assert(slice_equal(buf_slice(&again), bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf bytes = { 0 };
	struct slice input = slice_of(data, size);
	struct skeleton skeleton;

	skeleton_make(input, &arena, &skeleton);
	skeleton_encode(&skeleton, &bytes);
	assert(skeleton_decode(buf_slice(&bytes), &arena, &skeleton) == 0);
	expect_same(&skeleton, buf_slice(&bytes));
	if (skeleton_decode(input, &arena, &skeleton) == 0)
		expect_same(&skeleton, input);
	return 0;
}
