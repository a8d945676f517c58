/* Response files (`@file`), expanded as the drivers do: in place, nested, quoted by libiberty's buildargv (gcc) or LLVM's
 * TokenizeGNUCommandLine (clang). */
#pragma once

#include "compiler/command.h"
#include "compiler/strlist.h"

/* Split the text of one file into arguments, added to `ret`; everything in `arena`. 0, or -1 for bytes on which the two drivers' notions of white
 * space differ (NUL, vertical tab, form feed, a byte order mark). */
int response_split(struct slice text, enum compiler_family family, struct arena *arena, struct strlist *ret);

/* argv of `request` with every @file replaced by its contents. -1: a file can't be read, they nest without end, or the result would be too
 * long for execve. */
int response_expand(const struct command_request *request, struct arena *arena, struct strlist *ret);
