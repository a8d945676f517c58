/* Computed includes: the file names that the tokens behind #include can become.
 *
 * Macros are expanded as the preprocessor does it (arguments first, # and ##, variadic ones, then the result again), but over all definitions that
 * anybody has seen, since which branch of an #if defines a name isn't known: the answer is every name that some choice of definitions gives. It is
 * bounded in steps and in names. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/map.h"
#include "compiler/skeleton.h"

/* Definitions, of which one name may have several. `{ 0 }` is none. */
struct definitions {
	struct map map; /* name → the first of its list, in the arena */
	struct arena arena;
};

void definitions_deinit(struct definitions *definitions);

/* Macros are borrowed, strings and all. */
void definitions_add(struct definitions *definitions, const struct skeleton_macro *macros, size_t n);

enum { EXPAND_NAMES_LIMIT = 64 };

struct expand_name {
	enum skeleton_form form; /* quote or angle */
	const char *name;	 /* in the arena */
};

/* The names that `tokens`, of an item of `kind`, can become, each once, at most EXPAND_NAMES_LIMIT of them, into `ret`; returns how many. For the
 * assembler literals are joined and unescaped. `exhausted` (NULL allowed) is set when there may be more. */
size_t expand(enum skeleton_kind kind, const char *tokens, const struct definitions *definitions, struct arena *arena, struct expand_name *ret,
	bool *exhausted);

/* Whether the tokens begin with anything but a macro that nobody defines: such an #include only stands in a branch that isn't taken. */
bool expand_is_defined(const char *tokens, const struct definitions *definitions);
