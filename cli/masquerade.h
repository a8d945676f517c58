/* A directory of compiler names, each a link to llamacc, to be put first on PATH: so that a build which says `gcc` gets
 * us. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

/* Make the directory for what `path` (a PATH) has below `parent`: exactly the compiler names (gcc, c++, clang-14,
 * x86_64-linux-gnu-gcc, …) that are found there besides ourselves, so that no name exists with us that wouldn't
 * without; and llamacc and llamac++, so that `make CC=llamacc` needs them nowhere else. Same names, same directory: it
 * stays, because CMake writes the compiler's full path into a tree that must go on working afterwards. `ret` is in
 * `arena`. */
int masquerade_make(const char *parent, const char *llamacc, const char *path, struct arena *arena, const char **ret,
	struct error *err);

/* The file that `name` means on `path` when we are not there, or NULL. In `arena`. */
const char *masquerade_real(const char *llamacc, const char *path, const char *name, struct arena *arena);
