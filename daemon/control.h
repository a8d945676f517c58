/* The verbs of `llama`'s other subcommands: status, stats, stop, cache, explain. See docs/INTERFACES.md. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

struct daemon;
struct connection;

/* Answer the control frame in this payload. -1: malformed. */
int control_answer(struct daemon *daemon, struct connection *connection, struct slice payload, struct error *err);
