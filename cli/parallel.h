/* Giving a build tool a -j when its user gave none. */
#pragma once

#include "base/arena.h"

enum parallel {
	PARALLEL_ADDED,
	PARALLEL_GIVEN,	  /* the user has decided: on the command line, in MAKEFLAGS, or by a make above */
	PARALLEL_UNKNOWN, /* not a tool that we know */
};

/* `argv` (ends in NULL) is a command; `makeflags` and `cmake_level` are MAKEFLAGS and CMAKE_BUILD_PARALLEL_LEVEL, or
 * NULL. `ret` is `argv` itself, or a copy in `arena` with the option put in. Knows make, gmake, ninja, samu, `cmake
 * --build` and `meson compile`. */
enum parallel parallel_add(char *const *argv, const char *makeflags, const char *cmake_level, unsigned width,
	struct arena *arena, char *const **ret);
