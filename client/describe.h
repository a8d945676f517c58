/* What the daemon must know about this process: gathered with few system calls, since it is gathered for every
 * compilation. */
#pragma once

#include "base/arena.h"
#include "client/resolve.h"
#include "wire/endpoint.h"
#include "wire/frame.h"

/* The request for `resolved`, run in `cwd`. Its strings live in `arena`, the environment, or where `resolved` has them.
 */
struct frame_request describe_request(const struct resolved *resolved, const char *cwd, const struct endpoint *endpoint,
	bool nested, struct arena *arena);
