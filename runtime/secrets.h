/* What the runtime knows and no compiler may: the function's credentials. They come in the environment, which the kernel shows to every process of our
 * user; compilers have our user, and a source may ask for any file (`.incbin "/proc/self/environ"`). */
#pragma once

#include "base/error.h"

/* First of all, before there are threads: nobody may look into this process, trace it, or have it leave a core file. Take all variables of AWS's out of
 * the environment, write over the bytes they came in, and return them as an environment of its own, which lives until the process ends. Fails if the
 * process can't be closed. NULL then. */
char **secrets_take(struct error *err);
