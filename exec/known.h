/* What is known to be in the bucket, as a file: a header that says which bucket, then records, only ever appended. A torn or damaged record ends the
 * file: what stood behind it is forgotten, and sent again. Bytes in, bytes out; exec/uplink.h reads and writes the file. */
#pragma once

#include "base/buf.h"
#include "store/digest.h"

enum known_kind {
	KNOWN_PACK = 1, /* a pack is there, with these blobs */
	KNOWN_ALONE,    /* a blob is there alone */
	KNOWN_GONE,     /* the object of this hash is not, whatever was said before */
};

struct known_record {
	enum known_kind kind;
	uint8_t hash[DIGEST_HASH_BYTES]; /* of the pack, or of the blob that stands alone */
	int64_t size_bytes;              /* as stored */
	int64_t stored_s;                /* since 1970 */
	const char *blobs;               /* KNOWN_PACK: n_blobs times DIGEST_HASH_BYTES; borrowed */
	size_t n_blobs;
};

/* Append the header of a new file about the bucket that `identity` stands for. */
void known_begin(const struct digest *identity, struct buf *file);
void known_add(const struct known_record *record, struct buf *file);

/* Go through the records, oldest first; each is valid during its call. How many bytes of the file are good; 0: it is no such file, or another bucket's. */
typedef void known_fn(void *ctx, const struct known_record *record);
size_t known_parse(struct slice file, const struct digest *identity, known_fn *fn, void *ctx);
