/* A build tree that names its compilers by path is out of the masquerade's reach. */
#pragma once

#include "base/arena.h"

enum tree {
	TREE_UNKNOWN, /* neither file that we can read */
	TREE_FINE,
	TREE_NAMES_COMPILER,
};

/* Whether the tree in `directory` does so: its CMakeCache.txt, else its build.ninja, has a compiler with an absolute
 * path, and llamacc is not before it. Then `fact` says which (a clause: "CMakeCache.txt names /usr/bin/cc"), and
 * `remedy` is a command that changes it. Both in `arena`. */
enum tree tree_examine(
	const char *directory, const char *llamacc, struct arena *arena, const char **fact, const char **remedy);
