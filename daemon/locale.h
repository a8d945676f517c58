/* The files that libc reads inside itself, where no interposer sees them: locales and message catalogues. They are inputs of what is
 * printed, in the languages the environment asks for. */
#pragma once

#include "base/arena.h"
#include "files/view.h"

/* Absolute paths of the files that exist for `env` (NAME=value, NULL-terminated); nothing for C and POSIX. NULL: too large to mirror (a
 * locale archive of all languages, or more than 512 files). In `arena`; NULL-terminated. */
const char *const *locale_files(struct view *view, uint64_t since, const char *const *env, struct arena *arena);
