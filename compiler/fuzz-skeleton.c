/* Any bytes have a skeleton, and every string in it has an end and a meaning. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "compiler/skeleton.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct skeleton skeleton;
	skeleton_make(slice_of(data, size), &arena, &skeleton);
	for (size_t i = 0; i < skeleton.n_items; i++) {
		const struct skeleton_item *item = &skeleton.items[i];
		assert(item->kind <= SKELETON_ASSEMBLER && item->form <= SKELETON_COMPUTED);
		assert(strlen(item->name) <= size && !strchr(item->name, '\n'));
	}
	for (size_t i = 0; i < skeleton.n_macros; i++) {
		const struct skeleton_macro *macro = &skeleton.macros[i];
		assert(*macro->name && strlen(macro->name) + strlen(macro->body) <= size);
	}
	return 0;
}
