/* What would happen to a compiler command, for `llama explain`: inputs, outputs, key, engine, or the reason why it is local. Compiles
 * nothing, but a compiler that is new here is observed first. */
#pragma once

#include "base/slice.h"

struct daemon;
struct connection;

/* Answer the control frame in `payload`, which is well-formed and has a request, on `connection`: now, or when the compiler has been
 * observed. */
void explain(struct daemon *daemon, struct connection *connection, struct slice payload);
