/* A command in words, for `llama explain`. */
#pragma once

#include "base/buf.h"
#include "compiler/command.h"

/* Appended to `to`, one fact a line. */
void command_describe(const struct command *command, struct buf *to);

const char *language_name(enum language language);
