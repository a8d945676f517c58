/* -march=native and friends, as explicit flags: the answer of `cc -### -march=native …` (gcc: the cc1 line's -march=… -mno-… --param …;
 * clang: -target-cpu/-target-feature). */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "compiler/command.h"

/* The argv to ask the compiler with (argv[0] = compiler; stderr is the answer). */
const char **native_query(const struct command *command, struct arena *arena);

/* Put explicit flags in place of the native ones in argv, key_args and scan_argv. `answer` is the compiler's stderr. -1: not understood → local. */
int native_apply(struct command *command, struct slice answer, struct arena *arena, struct error *err);
