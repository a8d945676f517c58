/* Any bytes as a form: what it says is found by its name, and nothing twice. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "tests/cloud/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct query_form form;
	if (query_parse(slice_of(data, size), &arena, &form, NULL) < 0)
		return 0;
	for (size_t i = 0; i < form.n; i++)
		assert(*form.pairs[i].name && query_get(&form, form.pairs[i].name) == form.pairs[i].value);
	query_member(&form, &arena, "Tags", 1, "Key");
	return 0;
}
