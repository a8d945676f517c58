/* Look-ups: what the processes of one job asked of the file system, and what they were told. They are the exact inputs
 * of a result. The list is sorted by path, then kind, without doubles. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "store/digest.h"

enum lookup_kind {
	LOOKUP_ABSENT = 1, /* no such name (ENOENT, ENOTDIR): digest is zero */
	LOOKUP_FILE,	   /* a regular file, through symlinks: digest of its content */
	LOOKUP_DIRECTORY,  /* exists and is a directory: digest as of LOOKUP_LINK, because compilers compare inodes: of two
			    * names of one directory on a search path the second is dropped */
	LOOKUP_LISTING,	   /* a directory whose names were read: digest of the sorted "type name\0" lines */
	LOOKUP_LINK, /* where symlinks lead was asked (readlink, realpath, lstat; gcc asks it of every system header):
		      * digest of the last component's target and the path without symlinks, see files/links.h; zero
		      * when no component of the path is a symlink */
	LOOKUP_SPECIAL, /* device, FIFO, socket, or an error other than absence: never cacheable, never remote; digest
			   is zero */
};

struct lookup {
	const char *path; /* absolute, squeezed, `..` kept; in the list's arena */
	enum lookup_kind kind;
	struct digest digest; /* zero until somebody filled it */
};

struct lookups {
	struct lookup *v; /* in an arena named by the producer */
	size_t n;
};

const char *lookup_kind_name(enum lookup_kind kind);
int lookup_compare(const void *a, const void *b); /* for qsort: path, then kind */
/* Sort and drop doubles. A path found as file and absent both keeps both entries, as does one found with two digests:
 * such a job changed its own inputs, and no check of the list will ever succeed. */
void lookups_sort(struct lookups *lookups);
