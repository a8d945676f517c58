/* What would happen to a compiler command, for `llama explain`: inputs, outputs, key, engine, or the reason why it is local. Runs
 * nothing. */
#pragma once

#include "base/buf.h"
#include "wire/frame.h"

struct daemon;

void explain(struct daemon *daemon, const struct frame_request *request, struct buf *to);
