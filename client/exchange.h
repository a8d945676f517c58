/* One request, one answer. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "client/heartbeat.h"
#include "wire/frame.h"

struct answer {
	enum frame_type type; /* FRAME_DONE or FRAME_LOCAL: says which of the two is set */
	struct frame_done done;
	struct frame_local local;
};

/* Send `request` over the blocking socket `fd` and wait for the answer, as long as the daemon lives: a compilation may
 * take any time, and so may the wait for a core. `received` holds the bytes that the answer's slices point into. -1:
 * the daemon hung up, hangs, or speaks another protocol; whatever it did, nothing was committed. */
int exchange_request(int fd, const struct frame_request *request, struct heartbeat *heartbeat, struct arena *arena,
	struct buf *received, struct answer *ret, struct error *err);

/* Tell the daemon that the answer's renames were made. Best effort: nobody is left to hear of a failure. */
void exchange_committed(int fd);
