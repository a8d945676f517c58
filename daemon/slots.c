#include "daemon/slots.h"

#include <assert.h>

void slots_init(struct slots *slots, unsigned total)
{
	assert(total > 0);
	*slots = (struct slots){ .total = total };
	list_init(&slots->waiting);
}

void slots_deinit(struct slots *slots)
{
	assert(slots->used == 0 && list_empty(&slots->waiting));
}

void slot_waiter_init(struct slot_waiter *waiter, void (*granted)(struct slot_waiter *waiter))
{
	list_init(&waiter->link);
	waiter->granted = granted;
}

bool slots_take(struct slots *slots, struct slot_waiter *waiter)
{
	if (slots->used < slots->total) {
		slots->used++;
		return true;
	}
	list_append(&slots->waiting, &waiter->link);
	slots->n_waiting++;
	return false;
}

void slots_leave(struct slots *slots, struct slot_waiter *waiter)
{
	if (list_empty(&waiter->link))
		return;
	list_remove(&waiter->link);
	slots->n_waiting--;
}

void slots_give(struct slots *slots)
{
	assert(slots->used > 0);
	struct slot_waiter *next = list_first(&slots->waiting, struct slot_waiter, link);
	if (!next) {
		slots->used--;
		return;
	}
	slots_leave(slots, next);
	next->granted(next);
}
