/* Large files are hashed on the thread pool, so that the loop goes on: a compiler's library or a precompiled header takes long
 * enough to be noticed by a thousand clients. Small ones are hashed at once: all headers of a large project together take less.
 *
 * Use: a step that can be done again is framed,
 *	hashing_begin(hashing);
 *	… questions to the view: those about a large file that must be read fail with EAGAIN …
 *	if (hashing_wait(hashing, &waiter))
 *		return;
 * Then nothing that came of the step is to be believed; waiter.fn does it again, from the beginning and with the same `since`. A
 * file is put off mostly once for one step, at most twice; what stands in its way then (it can't be read, it changes all the time)
 * is told by the view. Outside of such a frame the view reads everything itself. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "files/view.h"

struct hashing;

/* Both are borrowed. At hashing_free() nothing may be under way: the loop has ended. */
struct hashing *hashing_new(uv_loop_t *loop, struct view *view);
void hashing_free(struct hashing *hashing);

struct hashing_waiter {
	struct list link; /* list_init() */
	void (*fn)(struct hashing_waiter *waiter);
	uint64_t until; /* the last reading that it waits for */
};

void hashing_begin(struct hashing *hashing);
/* True: something asked since hashing_begin() is still to be read; `waiter->fn` is called once, from the loop, when all that is under
 * way now has been. False: all answers are good. */
bool hashing_wait(struct hashing *hashing, struct hashing_waiter *waiter);
/* It doesn't wait any more; what is being read is read to its end. */
void hashing_leave(struct hashing_waiter *waiter);

/* hashing_begin(), and have all files read that were found, for what comes after. */
void hashing_begin_with(struct hashing *hashing, uint64_t since, const struct lookups *lookups);
