/* Segments: results that were published together, as one object of a bucket. A segment says everything but the outputs: for each key the verified
 * look-ups and the result (cache/manifest.h), and the pack (store/pack.h) that holds what the result names. So whoever has the segment
 * knows without asking anybody what is to be had, and fetches one object for a hit.
 *
 * The object is a zstd frame, because the results of one project look up the same things. In it, numbers little-endian:
 *	"LLSG" version:u32 n:u32 reserved:u32
 *	n entries, sorted by key: key[32] pack[32] pack_bytes:u64 offset:u64 head:u32 names:u32
 *	heads and names, at their entry's offset, names behind the head
 *
 * No I/O here. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "store/digest.h"

enum { SEGMENT_BYTES_LIMIT = 256 << 20 }; /* decompressed */

struct segment_entry {
	uint8_t key[DIGEST_HASH_BYTES];
	uint8_t pack[DIGEST_HASH_BYTES]; /* SHA-256 of the pack; its name follows from that */
	uint64_t pack_bytes;
	struct slice head, names; /* see manifest_encode() */
};

struct segment_writer;
struct segment_writer *segment_writer_new(void);
void segment_writer_free(struct segment_writer *writer); /* NULL is allowed */
void segment_writer_add(struct segment_writer *writer, const struct segment_entry *entry); /* copies */
size_t segment_writer_count(const struct segment_writer *writer);
/* Append the object; the writer is empty afterwards. */
void segment_writer_end(struct segment_writer *writer, struct buf *ret);

/* Decompress an object and check its structure: entries in order, within bounds. What an entry's head says is checked when it is used. -1: malformed. */
int segment_unpack(struct slice object, struct buf *ret, struct error *err);

/* The same check of what was kept since. */
int segment_check(struct slice segment, struct error *err);

/* A reader of what segment_unpack() gave; borrowed. */
size_t segment_count(struct slice segment);
struct segment_entry segment_at(struct slice segment, size_t i);
/* The first entry with this key, or segment_count(). Others with the same key follow. */
size_t segment_find(struct slice segment, const struct digest *key);
