/* The first line is expanded under the definitions in the others ("NAME body", "NAME(a,b) body"): it ends, and gives names. */
#include <assert.h>
#include <stdint.h>

#include "compiler/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void define(struct skeleton_macro *macro, char *line)
{
	char *after = line + strcspn(line, " (");
	*macro = (struct skeleton_macro){ .name = line };
	if (*after == '(') {
		*after++ = '\0';
		macro->parameters = after;
		after += strcspn(after, ")");
	}
	if (*after)
		*after++ = '\0';
	macro->body = after;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct expand_name names[EXPAND_NAMES_LIMIT];
	struct skeleton_macro macros[64];
	struct definitions definitions = { 0 };
	size_t n_macros = 0;
	bool exhausted;
	char *text = arena_strndup(&arena, (const char *)data, size), *tokens = strsep(&text, "\n");
	for (char *line; n_macros < 64 && (line = strsep(&text, "\n"));)
		define(&macros[n_macros++], line);
	definitions_add(&definitions, macros, n_macros);
	for (int kind = SKELETON_INCLUDE; kind <= SKELETON_ASSEMBLER; kind++) {
		size_t n = expand((enum skeleton_kind)kind, tokens, &definitions, &arena, names, &exhausted);
		assert(n <= EXPAND_NAMES_LIMIT);
		for (size_t i = 0; i < n; i++)
			assert(names[i].name && names[i].form != SKELETON_COMPUTED);
	}
	definitions_deinit(&definitions);
	return 0;
}
