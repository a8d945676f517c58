/* Names that aren't there: where nothing was found when something was looked for, and whether it is still so.
 *
 * How it works. A watch is a directory with the names in it that were looked for in vain; a name below a directory that doesn't exist is, in the
 * nearest one that does, the first component that is missing. As long as the file view says that no name has appeared in the directory, all its
 * names hold, at the price of one stat; else each is asked for. What was concluded from absences rests on their watches: it holds while none of
 * them has changed since. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "files/view.h"

struct watches {
	struct view *view;  /* borrowed */
	struct map by_path; /* directory → struct watch */
	uint64_t clock;	    /* moments: moves when a watch changes, and by watches_moment */
};

void watches_init(struct watches *watches, struct view *view);
void watches_deinit(struct watches *watches); /* may be used again */

struct watch {
	uint64_t changed_at; /* the moment when a name was last seen to be another thing than before, and all were forgotten */
	uint64_t mark;	     /* for the user */
	uint64_t checked_at; /* the rest is private: the request that this was last checked for */
	struct view_place place;
	uint64_t state;	     /* view_names_state() when all names were as they are kept */
	struct map names;    /* name → struct vain, owned */
	bool is_directory;
	uint32_t path_len;
	char path[];
};

/* A new moment, later than all changes so far. */
uint64_t watches_moment(struct watches *watches);

/* Bring `watch` up to date, once per request. */
void watch_check(struct watches *watches, uint64_t since, struct watch *watch);

/* Whether nothing is at `path` (absolute, squeezed, `len` long), or, unless `strictly`, a directory. True: `ret` is what that rests on; it lives until
 * watches_deinit. */
bool watches_absent(
	struct watches *watches, uint64_t since, const char *path, size_t len, bool strictly, struct watch **ret);
