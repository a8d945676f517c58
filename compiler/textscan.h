/* A quick look at source text for what -M can't tell: uses of __DATE__, __TIME__, __TIMESTAMP__, and files that the assembler or #embed will
 * read. It errs on the side of finding: comments and #if are not considered. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"

struct textscan {
	bool date_time;	       /* __DATE__ or __TIME__ occurs */
	bool timestamp;	       /* __TIMESTAMP__ occurs */
	const char **embedded; /* names in `.incbin "…"`, `.include "…"`, `#embed "…"`, as written; NULL-terminated */
	size_t n_embedded;
	bool unresolved; /* .incbin/.include/#embed whose name is not a plain string (a macro, <…>, part of a larger literal) */
};

void textscan(struct slice text, struct arena *arena, struct textscan *ret);
