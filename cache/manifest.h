/* A manifest: the verified look-ups of one run, and the result they led to, as bytes that can be kept and sent.
 *
 * Format 1 (integers are LEB128, at most 10 bytes):
 *
 *	byte    1, the format
 *	integer length of the result, then the result: an encoded ActionResult and what goes with it (cache/result.h)
 *	integer number of look-ups, then each, in the order of their paths:
 *		byte    kind, plus 8 if a digest follows
 *		integer how many bytes the path shares with the one before it
 *		integer how many other bytes follow, then these; the path is absolute, at most 4095 bytes long, without NUL
 *		integer size and 32 bytes hash: the digest
 *
 * No I/O here. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "files/lookups.h"

struct manifest {
	struct slice result; /* borrowed */
	struct lookups lookups;
};

/* Append the encoding. `lookups` are sorted by path. -1: a look-up can't be kept: it is SPECIAL, or its path is not
 * absolute or too long. */
int manifest_encode(const struct manifest *manifest, struct buf *ret, struct error *err);

/* Decode all of `bytes`. Paths go to `arena`, the result points into `bytes`. -1: malformed; SPECIAL look-ups are, too.
 */
int manifest_decode(struct slice bytes, struct arena *arena, struct manifest *ret, struct error *err);

/* Append one line per look-up, fit to read: kind, digest, path. */
void manifest_print(const struct manifest *manifest, struct buf *ret);
