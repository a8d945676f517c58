/* The names of one directory, read at one time. Internal to files/. */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "files/view.h"

/* Reading more names than this is dearer than asking for the few that anybody wants to know. */
enum { LISTING_LIMIT = 20000 };

struct listing {
	struct map
		names; /* name → the same name in `memory`; the character before it is its type, see struct view_name */
	struct arena memory;
	/* The directory is on a file system that changes a directory's times whenever its names change, and a name that
	 * isn't listed is absent (no case folding, no names that appear when asked for). */
	bool trusted;
};

#define LISTING_INIT                                                                                                   \
	{                                                                                                              \
		{ 0 }, ARENA_INIT, false                                                                               \
	}

void listing_deinit(struct listing *listing); /* an empty listing is left */

/* Read the directory `fd` (closed in any case) into an empty `listing`. 0, LISTING_TOO_LONG, or -1 with errno (then it
 * is empty again). */
enum listing_outcome { LISTING_TOO_LONG = 1 };
int listing_read(int fd, struct listing *listing);

static inline bool listing_has(const struct listing *listing, struct slice name)
{
	return map_get(&listing->names, name) != NULL;
}

/* The names, sorted, in `arena`; they point into the listing. There are `names.n`. */
struct view_name *listing_sorted(const struct listing *listing, struct arena *arena);
struct digest listing_digest(const struct listing *listing);
