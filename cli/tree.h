/* A build tree that names its compilers by path is out of the masquerade's reach. */
#pragma once

#include "base/arena.h"

/* Whether the tree in `directory` does so: its CMakeCache.txt, else its build.ninja, has a compiler with an absolute
 * path, and llamacc is not before it. `fact` says which (a clause: "CMakeCache.txt names /usr/bin/cc"), `remedy` is a
 * command that changes it. Both in `arena`. */
bool tree_names_compiler(
	const char *directory, const char *llamacc, struct arena *arena, const char **fact, const char **remedy);
