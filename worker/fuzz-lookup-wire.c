/* Any bytes: refused, or a list that keeps the contract and comes back the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/path.h"
#include "worker/lookup_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf again = { 0 };
	struct lookups list, same;
	struct error err;
	if (lookup_wire_decode(slice_of(data, size), &arena, &list, &err) < 0)
		return 0;
	for (size_t i = 0; i < list.n; i++) {
		assert(strcmp(list.v[i].path, path_squeeze(&arena, list.v[i].path)) == 0);
		assert(i == 0 || lookup_compare(&list.v[i - 1], &list.v[i]) < 0);
	}
	lookup_wire_encode(&list, &again);
	assert(lookup_wire_decode(buf_slice(&again), &arena, &same, &err) == 0 && same.n == list.n);
	for (size_t i = 0; i < list.n; i++)
		assert(lookup_compare(&list.v[i], &same.v[i]) == 0);
	return 0;
}
