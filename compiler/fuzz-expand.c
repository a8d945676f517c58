/* The first line is expanded under the definitions in the others ("NAME body", "NAME(a,b) body"): it ends, and gives names. */
#include <assert.h>
#include <stdint.h>

#include "compiler/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct table {
	struct skeleton_macro macros[64];
	size_t n;
};

static size_t find(void *ctx, struct slice name, const struct skeleton_macro **ret, size_t max)
{
	const struct table *table = ctx;
	size_t n = 0;
	for (size_t i = 0; i < table->n && n < max; i++)
		if (slice_equal_str(name, table->macros[i].name))
			ret[n++] = &table->macros[i];
	return n;
}

static void define(struct table *table, char *line)
{
	char *after = line + strcspn(line, " (");
	struct skeleton_macro *macro = &table->macros[table->n++];
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
	struct table table = { .n = 0 };
	bool exhausted;
	char *text = arena_strndup(&arena, (const char *)data, size), *tokens = strsep(&text, "\n");
	for (char *line; table.n < 64 && (line = strsep(&text, "\n"));)
		define(&table, line);
	for (int kind = SKELETON_INCLUDE; kind <= SKELETON_ASSEMBLER; kind++) {
		size_t n = expand((enum skeleton_kind)kind, tokens, find, &table, &arena, names, &exhausted);
		assert(n <= EXPAND_NAMES_LIMIT);
		for (size_t i = 0; i < n; i++)
			assert(names[i].name && names[i].form != SKELETON_COMPUTED);
	}
	return 0;
}
