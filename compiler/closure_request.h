/* What of a command tells which files it reads, beside its search path: where a closure begins. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "compiler/command.h"
#include "compiler/skeleton.h"

struct closure_request {
	const char *cwd;     /* absolute, squeezed */
	const char *source;  /* the same */
	enum language language;
	bool implicit;	     /* the compiler includes <stdc-predef.h> by itself (gcc) */
	bool no_source_dir;  /* -I-: "name" isn't looked for beside its includer */
	const char **forced; /* -include and -imacros, as given, in order */
	size_t n_forced;
	const char **dirs; /* where the assembler and #embed look as well: -I, -Wa,-I, --embed-dir; as given */
	size_t n_dirs;
	struct skeleton_macro *macros; /* -D */
	size_t n_macros;
};

/* In `arena`; strings of the command are borrowed. */
void closure_request_of(
	const struct command *command, const char *cwd, const char *source, struct arena *arena, struct closure_request *ret);
