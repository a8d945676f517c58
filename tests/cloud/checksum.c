#include "tests/cloud/checksum.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Reflected CRCs of up to 64 bits, by table. */
static uint64_t crc(uint64_t polynomial, uint64_t ones, struct slice bytes)
{
	uint64_t table[256];
	for (unsigned i = 0; i < 256; i++) {
		uint64_t r = i;
		for (int bit = 0; bit < 8; bit++)
			r = r & 1 ? r >> 1 ^ polynomial : r >> 1;
		table[i] = r;
	}
	uint64_t r = ones;
	for (size_t i = 0; i < bytes.len; i++)
		r = r >> 8 ^ table[(r ^ (unsigned char)bytes.ptr[i]) & 0xff];
	return r ^ ones;
}

static const char *base64(const unsigned char *bytes, size_t n, struct arena *arena)
{
	char *text = arena_alloc(arena, (n + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
	return text;
}

static const char *crc_base64(uint64_t value, size_t n, struct arena *arena)
{
	unsigned char bytes[8];
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(value >> 8 * (n - 1 - i));
	return base64(bytes, n, arena);
}

static unsigned digest(const EVP_MD *md, struct slice bytes, unsigned char *ret)
{
	unsigned n;
	if (EVP_Digest(bytes.len ? bytes.ptr : "", bytes.len, ret, &n, md, NULL) != 1)
		abort();
	return n;
}

static const char *digest_base64(const EVP_MD *md, struct slice bytes, struct arena *arena)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	return base64(hash, digest(md, bytes, hash), arena);
}

const char *checksum(const char *header, struct slice bytes, struct arena *arena)
{
	if (strcmp(header, "x-amz-checksum-crc32") == 0)
		return crc_base64(crc(0xedb88320, UINT32_MAX, bytes), 4, arena);
	if (strcmp(header, "x-amz-checksum-crc32c") == 0)
		return crc_base64(crc(0x82f63b78, UINT32_MAX, bytes), 4, arena);
	if (strcmp(header, "x-amz-checksum-crc64nvme") == 0)
		return crc_base64(crc(0x9a6c9329ac4bc9b5, UINT64_MAX, bytes), 8, arena);
	if (strcmp(header, "x-amz-checksum-sha1") == 0)
		return digest_base64(EVP_sha1(), bytes, arena);
	if (strcmp(header, "x-amz-checksum-sha256") == 0)
		return digest_base64(EVP_sha256(), bytes, arena);
	return NULL;
}

const char *checksum_md5_base64(struct slice bytes, struct arena *arena)
{
	return digest_base64(EVP_md5(), bytes, arena);
}

const char *checksum_md5_hex(struct slice bytes, struct arena *arena)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = digest(EVP_md5(), bytes, hash);
	char *text = arena_alloc(arena, 2 * n + 1);
	for (unsigned i = 0; i < n; i++)
		sprintf(text + 2 * i, "%02x", hash[i]);
	return text;
}

const char *checksum_of_parts(const char *const *md5_hex, size_t n, struct arena *arena)
{
	unsigned char *all = arena_alloc(arena, 16 * n + 1);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < 16; j++)
			if (sscanf(md5_hex[i] + 2 * j, "%2hhx", &all[16 * i + j]) != 1)
				return NULL;
	return arena_printf(arena, "%s-%zu", checksum_md5_hex(slice_of(all, 16 * n), arena), n);
}
