/* Compilations by which configure scripts, CMake and Meson ask what the compiler can do. They are many, tiny, and often
 * all that a session ever compiles: nobody starts a daemon for them. */
#pragma once

#include <stdbool.h>

/* Whether the command (argv ends in NULL) is such a probe, or names no file at all (`cc --version`). A guess by names:
 * right or wrong, it only decides whether a missing daemon is started. */
bool probe_is_likely(const char *cwd, const char *const *argv);
