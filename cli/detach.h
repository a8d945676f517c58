/* From a process of somebody's build or shell to one of our own. */
#pragma once

#include "base/error.h"

/* Drop every environment variable that is not on the documented list: what the daemon needs to find its files and to
 * speak the user's language, nothing of the build that happened to start it. */
int detach_reduce_environment(struct error *err);

/* Raise the limit of open files as far as it goes; `before_ret` is what it was, for the commands that we run, 0 for no limit. */
int detach_raise_limits(unsigned *before_ret, struct error *err);

/* A session of its own, cwd /, 0–2 on /dev/null, everything else closed, umask 077, signals as by default. */
int detach_from_caller(struct error *err);
