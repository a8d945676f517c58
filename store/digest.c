#include "store/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Fetching the algorithm costs more than hashing a small file, so it is done once and kept as long as the process
 * lives. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		abort(); /* a libcrypto without SHA-256 can't be worked with */
}

struct digest_hash {
	EVP_MD_CTX *context;
	int64_t size_bytes;
};

static void hash_init(struct digest_hash *hash)
{
	pthread_once(&sha256_once, fetch_sha256);
	hash->context = EVP_MD_CTX_new();
	hash->size_bytes = 0;
	if (!hash->context || !EVP_DigestInit_ex2(hash->context, sha256, NULL))
		abort();
}

static void hash_finish(struct digest_hash *hash, struct digest *ret)
{
	if (ret) {
		if (!EVP_DigestFinal_ex(hash->context, ret->hash, NULL))
			abort();
		ret->size_bytes = hash->size_bytes;
	}
	EVP_MD_CTX_free(hash->context);
}

struct digest_hash *digest_hash_new(void)
{
	struct digest_hash *hash = malloc(sizeof(*hash));
	if (!hash)
		abort();
	hash_init(hash);
	return hash;
}

void digest_hash_add(struct digest_hash *hash, struct slice bytes)
{
	if (bytes.len && !EVP_DigestUpdate(hash->context, bytes.ptr, bytes.len))
		abort();
	hash->size_bytes += (int64_t)bytes.len;
}

void digest_hash_end(struct digest_hash *hash, struct digest *ret)
{
	hash_finish(hash, ret);
	free(hash);
}

struct digest digest_of(struct slice bytes)
{
	struct digest_hash hash;
	struct digest digest;
	hash_init(&hash);
	digest_hash_add(&hash, bytes);
	hash_finish(&hash, &digest);
	return digest;
}

int digest_fd(int fd, struct digest *ret, struct error *err)
{
	struct digest_hash hash;
	hash_init(&hash);
	char bytes[64 * 1024];
	for (;;) {
		ssize_t n = read(fd, bytes, sizeof(bytes));
		if (n < 0) {
			if (errno == EINTR)
				continue;
			error_set(err, errno, "cannot read file");
			hash_finish(&hash, NULL);
			return -1;
		}
		if (n == 0)
			break;
		digest_hash_add(&hash, slice_of(bytes, (size_t)n));
	}
	hash_finish(&hash, ret);
	return 0;
}

void digest_hex(const struct digest *digest, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < DIGEST_HASH_BYTES; i++) {
		*ret++ = digits[digest->hash[i] >> 4];
		*ret++ = digits[digest->hash[i] & 15];
	}
	*ret = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse_hex(struct slice hex, struct digest *ret)
{
	uint8_t hash[DIGEST_HASH_BYTES];
	if (hex.len != DIGEST_HEX_CHARS)
		return -1;
	for (size_t i = 0; i < DIGEST_HASH_BYTES; i++) {
		int high = hex_value(hex.ptr[2 * i]), low = hex_value(hex.ptr[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret->hash, hash, sizeof(hash));
	return 0;
}
