/* The segments (cache/segment.h) that are on this machine: files of a directory, mapped, the youngest first. Their names sort by age. */
#pragma once

#include "cache/segment.h"

struct segments;

/* Make or open the directory; what is in it and no good is removed. At most `limit` segments are kept. */
struct segments *segments_open(const char *directory, size_t limit, struct error *err);
void segments_close(struct segments *segments); /* NULL is allowed */

bool segments_have(const struct segments *segments, const char *name);
const char *segments_youngest(const struct segments *segments); /* its name; "" when there is none */

/* Keep `plain`, which segment_unpack() gave. Blocking: waits for the disk; safe on any thread. Then segments_add() on the thread that looks. */
int segments_write(const struct segments *segments, const char *name, struct slice plain, struct error *err);
int segments_add(struct segments *segments, const char *name, struct error *err);

/* Walk the entries with this key, the youngest first: begin with *at = { 0 }. False: no more. */
struct segments_place {
	size_t segment, behind; /* private */
};
bool segments_next(const struct segments *segments, const struct digest *key, struct segments_place *at, struct segment_entry *ret);
