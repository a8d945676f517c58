#include "cache/key.h"

#include <stdlib.h>

struct key {
	struct digest_hash *hash;
};

/* Little-endian everywhere: keys are shared between machines. */
static void put_number(uint8_t ret[8], uint64_t n)
{
	for (size_t i = 0; i < 8; i++)
		ret[i] = (uint8_t)(n >> (8 * i));
}

static void add_counted(struct key *key, struct slice bytes)
{
	uint8_t length[8];
	put_number(length, bytes.len);
	digest_hash_add(key->hash, slice_of(length, sizeof(length)));
	digest_hash_add(key->hash, bytes);
}

struct key *key_new(const char *kind)
{
	struct key *key = malloc(sizeof(*key));
	if (!key)
		abort();
	key->hash = digest_hash_new();
	key_add_str(key, "kind", kind);
	return key;
}

void key_add_bytes(struct key *key, const char *tag, struct slice value)
{
	add_counted(key, slice_str(tag));
	add_counted(key, value);
}

void key_add_str(struct key *key, const char *tag, const char *value)
{
	key_add_bytes(key, tag, slice_str(value));
}

void key_add_number(struct key *key, const char *tag, uint64_t value)
{
	uint8_t bytes[8];
	put_number(bytes, value);
	key_add_bytes(key, tag, slice_of(bytes, sizeof(bytes)));
}

void key_add_digest(struct key *key, const char *tag, const struct digest *value)
{
	uint8_t bytes[DIGEST_HASH_BYTES + 8];
	memcpy(bytes, value->hash, DIGEST_HASH_BYTES);
	put_number(bytes + DIGEST_HASH_BYTES, (uint64_t)value->size_bytes);
	key_add_bytes(key, tag, slice_of(bytes, sizeof(bytes)));
}

struct digest key_end(struct key *key)
{
	struct digest digest;
	digest_hash_end(key->hash, &digest);
	free(key);
	digest.size_bytes = 0;
	return digest;
}
