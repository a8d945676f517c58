/* The budget of cores: one slot for every command that runs on this machine, whether a client runs it or an engine. First come,
 * first served. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "base/list.h"

struct slots {
	unsigned total, used;
	unsigned n_waiting;
	struct list waiting; /* slot_waiter.link */
};

/* Embedded by who waits. */
struct slot_waiter {
	struct list link;
	void (*granted)(struct slot_waiter *waiter); /* from slots_give or slots_take's caller's loop turn: see slots_take */
};

void slots_init(struct slots *slots, unsigned total);
void slots_deinit(struct slots *slots); /* asserts that nobody waits or holds */

void slot_waiter_init(struct slot_waiter *waiter, void (*granted)(struct slot_waiter *waiter));

/* True: the slot is the caller's at once, `granted` will not run. False: `granted` runs later, from inside some slots_give. */
bool slots_take(struct slots *slots, struct slot_waiter *waiter);
/* Stop waiting; harmless when not waiting. */
void slots_leave(struct slots *slots, struct slot_waiter *waiter);
/* Give one slot back; the next waiter gets it before this returns. */
void slots_give(struct slots *slots);
