/* A manifest: the verified look-ups of one run, and the result they led to, as bytes that can be kept and sent.
 *
 * Two parts. The head is all that a check needs as long as directories can be listed: what was found, and of what was absent
 * the directories, each with the hashes of the names. There are several times as many absent names as found ones, and
 * hashes are looked up without making a path of each. The names themselves, the second part, are read only where a directory
 * can't tell, or a name there has the hash of an absent one.
 *
 * Head, format 2 (integers are LEB128, at most 10 bytes; a path is absolute, at most 4095 bytes long, without NUL):
 *
 *	byte    2, the format
 *	integer length of the result, then the result: an encoded ActionResult and what goes with it (cache/result.h)
 *	integer number of look-ups, then each, in the order of their paths:
 *		byte    kind, plus 8 if a digest follows
 *		integer how many bytes the path shares with the one before it
 *		integer how many other bytes follow, then these
 *		integer size and 32 bytes hash: the digest
 *	integer number of directories in which names were absent, then each:
 *		integer how many bytes the path shares with the one before it
 *		integer how many other bytes follow, then these
 *		integer number of names, then the hash of each (view_name_hash)
 *
 * Names: those of each directory in turn, each with a NUL behind it.
 *
 * No I/O here. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "files/lookups.h"

/* Absent names of one directory. */
struct manifest_absences {
	const char *directory; /* in the arena */
	const unsigned char *hashes; /* n times VIEW_NAME_HASH_BYTES; borrowed from the head */
	size_t n;
	const char *names; /* n strings, one behind the other; borrowed; NULL before manifest_decode_names() */
};

struct manifest {
	struct slice result;  /* borrowed from the head */
	struct lookups found; /* and absent names that no directory answers for: "..", or longer than a name can be */
	struct manifest_absences *absences;
	size_t n_absences;
};

/* Append the encoding of a result and all look-ups, which are sorted. -1: a look-up can't be kept: it is SPECIAL, or its path is not absolute or
 * too long. */
int manifest_encode(struct slice result, const struct lookups *lookups, struct buf *head, struct buf *names, struct error *err);

/* What of an encoded head follows its result: the same look-ups are the same bytes there, and in the names. */
struct slice manifest_questions(struct slice head);

/* Append a head with another result and the same look-ups. */
void manifest_replace_result(struct slice head, struct slice result, struct buf *ret);

/* Decode all of `head`. -1: malformed; SPECIAL look-ups are, too. */
int manifest_decode(struct slice head, struct arena *arena, struct manifest *ret, struct error *err);
/* Fill in the names. -1: malformed, or other names than the head's. */
int manifest_decode_names(struct slice names, struct manifest *manifest, struct error *err);

/* The look-ups of one directory, sorted as the names are, in `arena`; after manifest_decode_names(). */
struct lookups manifest_absent_lookups(const struct manifest_absences *absences, struct arena *arena);
