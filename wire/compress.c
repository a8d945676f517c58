#include "wire/compress.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

/* zstd's own default: for headers and objects what it saves beyond that costs more time than the bytes do. */
enum { LEVEL = 3 };

/* A unit's source goes up a line that is the narrower way, and is read from end to end at home anyway. */
enum { DICTIONARY_LEVEL = 6 };

/* A context is some 100 KB to set up, so each thread keeps its own. */
static pthread_key_t compressing, decompressing;

static void free_compressing(void *context)
{
	ZSTD_freeCCtx(context);
}

static void free_decompressing(void *context)
{
	ZSTD_freeDCtx(context);
}

static void make_keys(void)
{
	if (pthread_key_create(&compressing, free_compressing) != 0 || pthread_key_create(&decompressing, free_decompressing) != 0)
		abort();
}

static void *thread_context(pthread_key_t *key)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_keys);
	void *context = pthread_getspecific(*key);
	if (!context) {
		context = key == &compressing ? (void *)ZSTD_createCCtx() : (void *)ZSTD_createDCtx();
		if (!context || pthread_setspecific(*key, context) != 0)
			abort();
	}
	return context;
}

void compress_append(struct slice bytes, struct buf *ret)
{
	size_t bound = ZSTD_compressBound(bytes.len);
	char *to = buf_reserve(ret, bound);
	size_t n = ZSTD_compressCCtx(thread_context(&compressing), to, bound, bytes.ptr, bytes.len, LEVEL);
	if (ZSTD_isError(n))
		abort(); /* the room suffices, so only memory can have run out */
	ret->len += n;
	ret->ptr[ret->len] = '\0';
}

struct dictionary *dictionary_new(struct slice bytes)
{
	ZSTD_CDict *dictionary = ZSTD_createCDict(bytes.ptr, bytes.len, DICTIONARY_LEVEL);
	if (!dictionary)
		abort();
	return (struct dictionary *)dictionary;
}

void dictionary_free(struct dictionary *dictionary)
{
	ZSTD_freeCDict((ZSTD_CDict *)dictionary);
}

void compress_append_with(const struct dictionary *dictionary, struct slice bytes, struct buf *ret)
{
	size_t bound = ZSTD_compressBound(bytes.len);
	char *to = buf_reserve(ret, bound);
	size_t n = ZSTD_compress_usingCDict(thread_context(&compressing), to, bound, bytes.ptr, bytes.len, (const ZSTD_CDict *)dictionary);
	if (ZSTD_isError(n))
		abort();
	ret->len += n;
	ret->ptr[ret->len] = '\0';
}

int decompress_append(struct slice frame, uint64_t limit, struct buf *ret, struct error *err)
{
	return decompress_append_with(slice_of(NULL, 0), frame, limit, ret, err);
}

int decompress_append_with(struct slice dictionary, struct slice frame, uint64_t limit, struct buf *ret, struct error *err)
{
	unsigned long long size = ZSTD_getFrameContentSize(frame.ptr, frame.len);
	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
		return error_set(err, EBADMSG, "no zstd frame of known size");
	if (size > limit)
		return error_set(err, EMSGSIZE, "%llu bytes decompressed, %llu allowed", size, (unsigned long long)limit);
	char *to = buf_reserve(ret, size);
	size_t n = ZSTD_decompress_usingDict(thread_context(&decompressing), to, size, frame.ptr, frame.len, dictionary.ptr, dictionary.len);
	if (ZSTD_isError(n) || n != size)
		return error_set(err, EBADMSG, "damaged zstd frame: %s", ZSTD_isError(n) ? ZSTD_getErrorName(n) : "it ends early");
	ret->len += n;
	ret->ptr[ret->len] = '\0';
	return 0;
}
