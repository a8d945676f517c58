/* What a compiler prints of its search path is parsed; directories come out absolute, and every one of them is among the look-ups. */
#include <assert.h>
#include <stdint.h>

#include "compiler/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_looked_up(const struct search *search, const char *path)
{
	for (size_t i = 0; i < search->lookups.n; i++)
		if (search->lookups.v[i].kind == LOOKUP_DIRECTORY && strcmp(search->lookups.v[i].path, path) == 0)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct search search;
	/* The text is both answers at once. */
	struct slice text = slice_of(data, size);
	if (search_parse(text, text, "/project", &arena, &search, NULL) < 0)
		return 0;
	for (size_t i = 0; i < search.n_bracket; i++) {
		assert(search.bracket[i][0] == '/');
		assert(is_looked_up(&search, search.bracket[i]));
	}
	for (size_t i = 0; i < search.n_macros; i++)
		assert(search.macros[i].name && search.macros[i].body);
	return 0;
}
