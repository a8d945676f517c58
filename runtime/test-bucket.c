#include "runtime/test-bucket.h"

#include <stdlib.h>

#include "base/list.h"

struct object {
	char *key;
	struct buf body;
};

static void free_object(struct object *object)
{
	if (!object)
		return;
	buf_deinit(&object->body);
	free(object->key);
	free(object);
}

void test_bucket_put(struct test_bucket *bucket, const char *key, struct slice body)
{
	struct object *object = calloc(1, sizeof(*object));
	object->key = strdup(key);
	buf_append_slice(&object->body, body);
	free_object(map_put(&bucket->objects, slice_str(object->key), object));
}

void test_bucket_remove(struct test_bucket *bucket, const char *key)
{
	free_object(map_remove(&bucket->objects, slice_str(key)));
}

bool test_bucket_get(struct test_bucket *bucket, const char *key, struct slice *ret)
{
	struct object *object = map_get(&bucket->objects, slice_str(key));
	if (object)
		*ret = buf_slice(&object->body);
	return object != NULL;
}

static void memory_get(struct bucket *base, struct bucket_get *gets, size_t n)
{
	struct test_bucket *bucket = container_of(base, struct test_bucket, bucket);
	for (size_t i = 0; i < n; i++) {
		struct slice body;
		bucket->counters.gets++;
		if (bucket->deny && strncmp(gets[i].key, bucket->deny, strlen(bucket->deny)) == 0) {
			gets[i].outcome = error_set(&gets[i].err, ECONNREFUSED, "%s", gets[i].key);
			continue;
		}
		if (!test_bucket_get(bucket, gets[i].key, &body)) {
			gets[i].outcome = BUCKET_ABSENT;
			continue;
		}
		size_t from = gets[i].offset < body.len ? gets[i].offset : body.len, length = body.len - from;
		if (gets[i].length > 0 && gets[i].length < length)
			length = gets[i].length;
		buf_append(&gets[i].body, body.ptr + from, length);
		bucket->counters.bytes_in += length;
		if (bucket->damage > 0 && length > 0) {
			bucket->damage--;
			gets[i].body.ptr[length / 2] ^= 1;
		}
	}
}

static void memory_put(struct bucket *base, struct bucket_put *puts, size_t n)
{
	struct test_bucket *bucket = container_of(base, struct test_bucket, bucket);
	for (size_t i = 0; i < n; i++) {
		bucket->counters.puts++;
		bucket->counters.bytes_out += puts[i].body.len;
		test_bucket_put(bucket, puts[i].key, puts[i].body);
	}
}

static struct bucket_counters memory_counters(struct bucket *base)
{
	return container_of(base, struct test_bucket, bucket)->counters;
}

static void memory_free(struct bucket *base)
{
	struct test_bucket *bucket = container_of(base, struct test_bucket, bucket);
	size_t at = 0;
	for (const struct map_entry *entry; (entry = map_next(&bucket->objects, &at));)
		free_object(entry->value);
	map_deinit(&bucket->objects);
	free(bucket);
}

struct test_bucket *test_bucket_new(void)
{
	static const struct bucket_ops ops = { memory_get, memory_put, memory_counters, memory_free };
	struct test_bucket *bucket = calloc(1, sizeof(*bucket));
	bucket->bucket.ops = &ops;
	return bucket;
}
