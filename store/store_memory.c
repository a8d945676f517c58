#include "store/store_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"

struct blob {
	struct digest digest; /* its hash is the key in the map */
	char bytes[];
};

struct store_memory {
	struct store store;
	pthread_mutex_t mutex;
	struct map blobs;   /* guarded by mutex, as are the blobs, which may be cleared */
	int64_t size_bytes; /* likewise */
};

static struct store_memory *self(struct store *store)
{
	return container_of(store, struct store_memory, store);
}

/* With the mutex held. */
static const struct blob *find(struct store_memory *memory, const struct digest *digest)
{
	const struct blob *blob = map_get(&memory->blobs, digest_slice(digest));
	return blob && blob->digest.size_bytes == digest->size_bytes ? blob : NULL;
}

static int memory_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err)
{
	struct store_memory *memory = self(store);
	pthread_mutex_lock(&memory->mutex);
	const struct blob *blob = find(memory, digest);
	if (blob)
		buf_append(ret, blob->bytes, (size_t)blob->digest.size_bytes);
	pthread_mutex_unlock(&memory->mutex);
	return blob ? 0 : STORE_MISS;
}

static int memory_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err)
{
	struct store_memory *memory = self(store);
	struct blob *blob = malloc(sizeof(*blob) + bytes.len);
	if (!blob)
		return error_set(err, ENOMEM, "cannot keep a blob of %zu bytes", bytes.len);
	blob->digest = *digest;
	if (bytes.len)
		memcpy(blob->bytes, bytes.ptr, bytes.len);
	pthread_mutex_lock(&memory->mutex);
	if (!map_get(&memory->blobs, digest_slice(digest))) {
		map_put(&memory->blobs, digest_slice(&blob->digest), blob);
		memory->size_bytes += (int64_t)bytes.len;
		blob = NULL;
	}
	pthread_mutex_unlock(&memory->mutex);
	free(blob);
	return 0;
}

static int memory_contains(struct store *store, const struct digest *digest)
{
	struct store_memory *memory = self(store);
	pthread_mutex_lock(&memory->mutex);
	bool found = find(memory, digest) != NULL;
	pthread_mutex_unlock(&memory->mutex);
	return found ? 0 : STORE_MISS;
}

int64_t store_memory_size(struct store *store)
{
	struct store_memory *memory = self(store);
	pthread_mutex_lock(&memory->mutex);
	int64_t size_bytes = memory->size_bytes;
	pthread_mutex_unlock(&memory->mutex);
	return size_bytes;
}

void store_memory_clear(struct store *store)
{
	struct store_memory *memory = self(store);
	pthread_mutex_lock(&memory->mutex);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&memory->blobs, &at));)
		free(e->value);
	map_deinit(&memory->blobs);
	memory->size_bytes = 0;
	pthread_mutex_unlock(&memory->mutex);
}

static void memory_free(struct store *store)
{
	struct store_memory *memory = self(store);
	store_memory_clear(store);
	pthread_mutex_destroy(&memory->mutex);
	free(memory);
}

static const struct store_ops memory_ops = {
	.name = "memory",
	.get = memory_get,
	.put = memory_put,
	.contains = memory_contains,
	.free = memory_free,
};

struct store *store_memory_new(void)
{
	struct store_memory *memory = calloc(1, sizeof(*memory));
	if (!memory)
		abort();
	memory->store.ops = &memory_ops;
	pthread_mutex_init(&memory->mutex, NULL);
	return &memory->store;
}
