/* Becoming the real compiler. */
#pragma once

#include <stdnoreturn.h>

/* How many llamaccs are above this one: LLAMACC_NESTED, which local_run sets for the compilers that its compiler
 * starts. */
int local_depth(void);

/* Replace this process by `compiler` (an absolute path) with `argv`. Where even that fails, says so and exits as a
 * shell would: 127 when the file is gone, else 126. */
noreturn void local_run(const char *compiler, const char **argv);
