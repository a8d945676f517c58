/* The life of a request.
 *
 *	ARRIVED    waits for the others that came in the same turn of the loop: what one of them has the file system asked serves all.
 *	           The plan is made: local at once, or on to
 *	TOOLCHAIN  waits for the compiler to be observed (the first time, or after an upgrade)
 *	NATIVE     asks the compiler what -march=native means here (once per toolchain and flags)
 *	           the cache is asked; a hit is prepared and answered
 *	SHARE      waits for what others have shared, and for a result of theirs
 *	FILES      waits for large files to be hashed, wherever some must be; what it was about to do is done again then
 *	SLOT       waits for a core
 *	SEARCH     waits for the compiler to tell its search path           (sandbox only, once per set of flags)
 *	SCAN       the compiler's own -M runs at home, observed              (sandbox only, where the closure can't tell)
 *	RUN        the command runs on the engine                           (again after INPUTS_REPEAT, twice at most)
 *	CHECK      the same command runs at home, for verify = N
 *	ANSWERED   DONE was sent: the client commits, or hangs up
 *	LOCAL_SLOT waits for a core to hand to the client
 *	LOCAL      LOCAL was sent: the client has become the compiler; its process is watched
 *
 * A request outlives its connection: it ends when nothing of it runs any more. A hang-up before DONE cuts short what runs. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

struct daemon;
struct connection;

/* The request in this frame payload has arrived. -1: malformed. */
int request_start(struct daemon *daemon, struct connection *connection, struct slice payload, struct error *err);
/* Take up all that have arrived; once in each turn of the loop, after everything was read. */
void requests_begin(struct daemon *daemon);
/* Once a second: local commands that take no processor time while others wait for a core lose theirs. */
void requests_review(struct daemon *daemon);
