/* What would become of a compiler command. */
#pragma once

#include "cli/control.h"

/* Append to `ret` what a daemon, started if none runs, says of the command `argv` run here. -1: there is no such compiler, or no daemon. */
int explain_command(const struct control *control, int argc, char **argv, struct buf *ret, struct error *err);
