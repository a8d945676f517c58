/* A manifest from anywhere: it is refused, or what it says can be encoded and decodes to the same. */
#include <stdlib.h>

#include "cache/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void collect(struct slice names, struct manifest *manifest, struct arena *arena, struct lookups *ret)
{
	size_t n = manifest->found.n;
	for (size_t i = 0; i < manifest->n_absences; i++)
		n += manifest->absences[i].n;
	*ret = (struct lookups){ arena_array(arena, struct lookup, n), manifest->found.n };
	if (ret->n)
		memcpy(ret->v, manifest->found.v, ret->n * sizeof(*ret->v));
	bool named = manifest_decode_names(names, manifest, NULL) == 0;
	for (size_t i = 0; named && i < manifest->n_absences; i++) {
		struct lookups absent = manifest_absent_lookups(&manifest->absences[i], arena);
		memcpy(ret->v + ret->n, absent.v, absent.n * sizeof(*absent.v));
		ret->n += absent.n;
	}
	lookups_sort(ret);
}

/* The bytes up to the first that says so are the head, the others the names. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	struct manifest manifest, again;
	struct lookups lookups, same;
	const uint8_t *end = size ? memchr(data, 0xfe, size) : NULL;
	size_t n = end ? (size_t)(end - data) : size;
	if (manifest_decode(slice_of(data, n), &arena, &manifest, NULL) < 0)
		return 0;
	collect(end ? slice_of(end + 1, size - n - 1) : slice_of("", 0), &manifest, &arena, &lookups);
	if (manifest_encode(manifest.result, &lookups, &head, &names, NULL) < 0)
		return 0; /* too long a path came together */
	if (manifest_decode(buf_slice(&head), &arena, &again, NULL) < 0 || !slice_equal(again.result, manifest.result))
		abort();
	collect(buf_slice(&names), &again, &arena, &same);
	if (same.n != lookups.n)
		abort();
	for (size_t i = 0; i < same.n; i++)
		if (lookup_compare(&same.v[i], &lookups.v[i]) != 0 || !digest_equal(&same.v[i].digest, &lookups.v[i].digest))
			abort();
	return 0;
}
