/* Look-ups as bytes, for a worker that isn't on this machine: kinds and paths in the list's order, each path by what it shares with the one before.
 * Digests don't travel: home fills them (files/snapshot_answer.h). */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "files/lookups.h"

enum { LOOKUP_WIRE_LIMIT = 1 << 20 }; /* look-ups in one list */

void lookup_wire_encode(const struct lookups *lookups, struct buf *ret);
/* Paths and list in `arena`; digests zero. -1: malformed, not sorted, doubles, a path that is not absolute or not squeezed. */
int lookup_wire_decode(struct slice bytes, struct arena *arena, struct lookups *ret, struct error *err);
