/* Any bytes: parsed or refused, and what is parsed is safe to hand to the file system. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "store/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *entries;
	size_t n;
	struct error err;
	if (tree_parse_directory(slice_of(data, size), &arena, &entries, &n, &err) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		assert(*entries[i].name && !strchr(entries[i].name, '/'));
		assert(strcmp(entries[i].name, ".") != 0 && strcmp(entries[i].name, "..") != 0);
		assert(entries[i].digest.size_bytes >= 0);
		assert((entries[i].kind == TREE_SYMLINK) == (entries[i].target != NULL));
		if (i > 0 && entries[i].kind == entries[i - 1].kind)
			assert(strcmp(entries[i - 1].name, entries[i].name) < 0);
	}
	return 0;
}
