/* A bucket in memory, which can be made to lose and to damage things. For tests only. */
#pragma once

#include "base/map.h"
#include "runtime/bucket.h"
#include "store/digest.h"

struct test_bucket {
	struct bucket bucket;
	struct map objects; /* by key */
	struct bucket_counters counters;
	unsigned damage;  /* so many of the next answers have a wrong byte in the middle */
	const char *deny; /* gets of keys that begin with this fail; NULL: none */
};

struct test_bucket *test_bucket_new(void);
void test_bucket_put(struct test_bucket *bucket, const char *key, struct slice body);
void test_bucket_remove(struct test_bucket *bucket, const char *key);
bool test_bucket_get(struct test_bucket *bucket, const char *key, struct slice *ret);
