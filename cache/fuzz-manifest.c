/* A manifest from anywhere: it is refused, or it encodes to something that decodes to the same. */
#include <stdlib.h>

#include "cache/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf encoded = { 0 }, text = { 0 };
	struct manifest manifest, again;
	if (manifest_decode(slice_of(data, size), &arena, &manifest, NULL) < 0)
		return 0;
	manifest_print(&manifest, &text);
	if (manifest_encode(&manifest, &encoded, NULL) < 0 ||
		manifest_decode(buf_slice(&encoded), &arena, &again, NULL) < 0 ||
		again.lookups.n != manifest.lookups.n || !slice_equal(again.result, manifest.result))
		abort();
	for (size_t i = 0; i < again.lookups.n; i++)
		if (lookup_compare(&again.lookups.v[i], &manifest.lookups.v[i]) != 0 ||
			!digest_equal(&again.lookups.v[i].digest, &manifest.lookups.v[i].digest))
			abort();
	return 0;
}
