/* REAPI digests: SHA-256 and size. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

enum { DIGEST_HASH_BYTES = 32, DIGEST_HEX_CHARS = 64 };

struct digest {
	uint8_t hash[DIGEST_HASH_BYTES];
	int64_t size_bytes;
};

struct digest digest_of(struct slice bytes);

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->size_bytes == b->size_bytes && memcmp(a->hash, b->hash, DIGEST_HASH_BYTES) == 0;
}

/* Of what is left to read of `fd`; reads to the end. */
int digest_fd(int fd, struct digest *ret, struct error *err);

/* Lower-case hex of the hash, with a NUL: 65 bytes. */
void digest_hex(const struct digest *digest, char *ret);
/* The reverse of exactly 64 lower-case hex characters; -1 when they are not. `size_bytes` is left alone. */
int digest_parse_hex(struct slice hex, struct digest *ret);

/* Hashing in pieces; `digest_hash_end` frees the state, also when ret is NULL. */
struct digest_hash;
struct digest_hash *digest_hash_new(void);
void digest_hash_add(struct digest_hash *hash, struct slice bytes);
void digest_hash_end(struct digest_hash *hash, struct digest *ret);

/* The key of a digest in a struct map; borrows. */
static inline struct slice digest_slice(const struct digest *digest)
{
	return slice_of(digest->hash, DIGEST_HASH_BYTES);
}
