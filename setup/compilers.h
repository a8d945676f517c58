/* The compilers of this machine. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"

struct compiler_found {
	const char *path; /* as PATH leads to it */
	const char *name; /* its last component */
	bool is_cxx;
};

/* All C and C++ compilers in the directories of `path` (a PATH), each once by what it really is and what it compiles: /bin/gcc and /usr/bin/gcc-12 may be
 * one. Named as people call them: gcc before cc or gcc-12. What leads to a wrapper (llamacc, ccache, a script) is passed over. In `arena`; in the order of PATH, then
 * by name. */
struct compiler_found *compilers_find(const char *path, struct arena *arena, size_t *ret_n);
