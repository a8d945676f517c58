/* What forbids the sandbox its namespaces on this machine, and what would allow them: the common cases, each known by its switch. */
#pragma once

#include "base/buf.h"

/* Append to `to` lines with a fact and the commands that change it. `root` stands before the paths of /proc ("" but in tests); `profile` is
 * the installed AppArmor profile, NULL when there is none. */
void namespaces_advise(const char *root, const char *profile, struct buf *to);
