/* Packs: many blobs as one object. Everything that was new at one moment travels as one, so that a worker that has nothing needs a handful of
 * requests and not hundreds.
 *
 *	"LLPK" version:u32 n:u32 reserved:u32        all numbers little-endian
 *	n entries, sorted by hash: hash[32] size:u64 offset:u64 stored:u64
 *	the blobs: each a zstd frame of its own, or as it is when stored == size
 *
 * A pack is named by the SHA-256 of its bytes. Blobs are verified one by one as they are read, so a range of a pack can be trusted as
 * much as the whole. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "store/digest.h"
#include "store/store.h"

enum {
	PACK_HEADER_BYTES = 16,
	PACK_ENTRY_BYTES = 56,
	PACK_ENTRIES_LIMIT = 1 << 20,
	PACK_ALONE_BYTES = 8 << 20, /* a blob from this size on is an object of its own: its zstd frame, or its bytes */
};

/* Writing: add blobs, then end. */
struct pack_writer;
struct pack_writer *pack_writer_new(void);
void pack_writer_free(struct pack_writer *writer); /* NULL is allowed */
/* Compress a blob and keep it; one that is in already is ignored. */
void pack_writer_add(struct pack_writer *writer, const struct digest *digest, struct slice bytes);
/* Take over a blob as another pack has it, without compressing it again. */
struct pack_entry;
void pack_writer_add_stored(struct pack_writer *writer, const struct pack_entry *entry, struct slice stored);
size_t pack_writer_count(const struct pack_writer *writer);
size_t pack_writer_bytes(const struct pack_writer *writer); /* about as many as the pack will have */
/* Append the pack; the writer is empty afterwards. */
void pack_writer_end(struct pack_writer *writer, struct buf *ret);

/* Reading. */
struct pack_entry {
	struct digest digest;
	uint64_t offset, stored; /* from the pack's beginning */
};

/* How many bytes header and entries have, by the header's 16 bytes; -1 malformed. */
int64_t pack_index_bytes(struct slice header, struct error *err);
/* The entries, in a malloc'ed array sorted by hash; checked for order, bounds against `pack_bytes`, and overlap. -1 malformed. */
int pack_index_parse(struct slice index, uint64_t pack_bytes, struct pack_entry **ret, size_t *n_ret, struct error *err);
/* Append the blob that is stored as `stored`, verified. */
int pack_blob(const struct pack_entry *entry, struct slice stored, struct buf *ret, struct error *err);

/* A blob that stands alone, to and from its stored form: a zstd frame, or its bytes if those are no more; verified. */
void pack_alone_write(struct slice bytes, struct buf *ret);
int pack_alone_read(const struct digest *digest, struct slice stored, struct buf *ret, struct error *err);

/* Keys in a bucket, without prefix; sharded by hex. "pack/ab/<hex>", "blob/ab/<hex>-<size>". With a NUL; at most 128 bytes. */
void pack_key(const uint8_t hash[static DIGEST_HASH_BYTES], char ret[static 128]);
void pack_key_alone(const struct digest *digest, char ret[static 128]);
