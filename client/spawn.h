/* Starting the daemon from a client. */
#pragma once

#include "base/error.h"
#include "wire/endpoint.h"

/* Start `llama daemon`, found beside this program, detached from the build, and connect to it: waits up to two seconds.
 * Of many clients at once one starts it and the others wait; a start that failed is remembered for a minute, in which
 * nobody tries again. Returns the socket as endpoint_connect does, or -1. */
int spawn_daemon(const struct endpoint *endpoint, struct error *err);
