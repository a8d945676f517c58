#include "tests/cloud/objects.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"

/* Objects by key, in the order of bytes. */
struct index {
	struct object **objects; /* a reference each */
	size_t n, capacity;
};

struct upload {
	struct upload *next;
	char *id, *key;
	struct cloud_pair *meta;
	size_t n_meta;
	int64_t begun_ns;
	struct index parts;
};

struct subresource {
	struct subresource *next;
	char *name;
	struct buf value;
};

struct bucket {
	struct bucket *next; /* by name */
	char *name;
	int64_t created_ns;
	struct index index;
	struct upload *uploads;
	struct subresource *subresources;
};

struct objects {
	pthread_mutex_t lock;
	const char *dir;
	struct bucket *buckets;
	_Atomic uint64_t last_file;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct cloud_pair *copy_meta(const struct cloud_pair *meta, size_t n)
{
	struct cloud_pair *copy = must(calloc(n + 1, sizeof *copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = (struct cloud_pair){ must(strdup(meta[i].name)), must(strdup(meta[i].value)) };
	return copy;
}

static void free_meta(struct cloud_pair *meta, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((char *)(uintptr_t)meta[i].name);
		free((char *)(uintptr_t)meta[i].value);
	}
	free(meta);
}

static void file_path(const struct object *object, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%llu", object->owner->dir, (unsigned long long)object->file);
}

struct object *object_new(struct objects *objects, const char *key, const char *etag, const struct cloud_pair *meta,
	size_t n_meta, struct slice bytes, struct error *err)
{
	struct object *object = must(calloc(1, sizeof *object));
	*object = (struct object){ .refs = 1,
		.owner = objects,
		.key = must(strdup(key)),
		.etag = must(strdup(etag)),
		.meta = copy_meta(meta, n_meta),
		.n_meta = n_meta,
		.size = (int64_t)bytes.len,
		.modified_ns = clock_realtime_ns(),
		.file = ++objects->last_file };
	char path[PATH_MAX];
	file_path(object, path);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || file_write_fd(fd, bytes, err) < 0) {
		if (fd < 0)
			error_set(err, errno, "cannot create %s", path);
		object_unref(object);
		return NULL;
	}
	return object;
}

void object_unref(struct object *object)
{
	if (!object || --object->refs > 0)
		return;
	char path[PATH_MAX];
	file_path(object, path);
	unlink(path);
	free_meta(object->meta, object->n_meta);
	free(object->key);
	free(object->etag);
	free(object);
}

int object_read(const struct object *object, int64_t offset, size_t length, struct buf *ret, struct error *err)
{
	char path[PATH_MAX];
	file_path(object, path);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", path);
	char *to = buf_reserve(ret, length);
	for (size_t done = 0; done < length;) {
		ssize_t n = pread(fd, to + done, length - done, offset + (off_t)done);
		if (n <= 0 && errno != EINTR)
			return error_set(err, n < 0 ? errno : 0, "cannot read %s", path);
		done += n > 0 ? (size_t)n : 0;
	}
	ret->len += length;
	return 0;
}

/* Where `key` is, or would be. */
static size_t find(const struct index *index, const char *key)
{
	size_t low = 0, high = index->n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(index->objects[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct index *index, size_t at, const char *key)
{
	return at < index->n && strcmp(index->objects[at]->key, key) == 0;
}

/* Takes the reference. */
static void put(struct index *index, struct object *object)
{
	size_t at = find(index, object->key);
	if (is_at(index, at, object->key)) {
		object_unref(index->objects[at]);
	} else {
		if (index->n == index->capacity) {
			index->capacity = index->capacity * 2 + 16;
			index->objects = must(reallocarray(index->objects, index->capacity, sizeof(struct object *)));
		}
		memmove(index->objects + at + 1, index->objects + at, (index->n - at) * sizeof(struct object *));
		index->n++;
	}
	index->objects[at] = object;
}

static void visit(const struct index *index, const char *from, object_fn *fn, void *ctx)
{
	size_t i = find(index, from);
	while (i < index->n && fn(ctx, index->objects[i]))
		i++;
}

static void index_deinit(struct index *index)
{
	for (size_t i = 0; i < index->n; i++)
		object_unref(index->objects[i]);
	free(index->objects);
}

static void upload_free(struct upload *upload)
{
	index_deinit(&upload->parts);
	free_meta(upload->meta, upload->n_meta);
	free(upload->id);
	free(upload->key);
	free(upload);
}

static void bucket_free(struct bucket *bucket)
{
	index_deinit(&bucket->index);
	while (bucket->uploads) {
		struct upload *upload = bucket->uploads;
		bucket->uploads = upload->next;
		upload_free(upload);
	}
	while (bucket->subresources) {
		struct subresource *subresource = bucket->subresources;
		bucket->subresources = subresource->next;
		buf_deinit(&subresource->value);
		free(subresource->name);
		free(subresource);
	}
	free(bucket->name);
	free(bucket);
}

struct objects *objects_new(const char *dir, struct error *err)
{
	if (file_make_dirs(dir, 0700, err) < 0)
		return NULL;
	struct objects *objects = must(calloc(1, sizeof *objects));
	pthread_mutex_init(&objects->lock, NULL);
	objects->dir = dir;
	return objects;
}

void objects_free(struct objects *objects)
{
	if (!objects)
		return;
	while (objects->buckets) {
		struct bucket *bucket = objects->buckets;
		objects->buckets = bucket->next;
		bucket_free(bucket);
	}
	free(objects);
}

static void unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

/* Locked until the end of the block. */
#define LOCK(objects)                                                                                                  \
	__attribute__((cleanup(unlock))) pthread_mutex_t *lock_ = &(objects)->lock;                                    \
	pthread_mutex_lock(lock_)

/* Where the bucket's link is, or would be. */
static struct bucket **bucket_link(struct objects *objects, const char *name)
{
	struct bucket **link = &objects->buckets;
	while (*link && strcmp((*link)->name, name) < 0)
		link = &(*link)->next;
	return link;
}

static struct bucket *find_bucket(struct objects *objects, const char *name)
{
	struct bucket *bucket = *bucket_link(objects, name);
	return bucket && strcmp(bucket->name, name) == 0 ? bucket : NULL;
}

int objects_create_bucket(struct objects *objects, const char *name)
{
	LOCK(objects);
	struct bucket **link = bucket_link(objects, name);
	if (*link && strcmp((*link)->name, name) == 0)
		return OBJECTS_THERE_ALREADY;
	struct bucket *bucket = must(calloc(1, sizeof *bucket));
	bucket->name = must(strdup(name));
	bucket->created_ns = clock_realtime_ns();
	bucket->next = *link;
	*link = bucket;
	return 0;
}

int objects_delete_bucket(struct objects *objects, const char *name)
{
	LOCK(objects);
	struct bucket **link = bucket_link(objects, name), *bucket = *link;
	if (!bucket || strcmp(bucket->name, name) != 0)
		return OBJECTS_NO_BUCKET;
	if (bucket->index.n > 0 || bucket->uploads)
		return OBJECTS_NOT_EMPTY;
	*link = bucket->next;
	bucket_free(bucket);
	return 0;
}

bool objects_has_bucket(struct objects *objects, const char *name)
{
	LOCK(objects);
	return find_bucket(objects, name);
}

void objects_visit_buckets(struct objects *objects, bucket_fn *fn, void *ctx)
{
	LOCK(objects);
	for (const struct bucket *bucket = objects->buckets; bucket; bucket = bucket->next)
		fn(ctx, bucket->name, bucket->created_ns);
}

static struct subresource **subresource_link(struct bucket *bucket, const char *name)
{
	struct subresource **link = &bucket->subresources;
	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

int objects_set_subresource(
	struct objects *objects, const char *bucket_name, const char *name, const struct slice *value)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	struct subresource **link = subresource_link(bucket, name), *subresource = *link;
	if (subresource) {
		*link = subresource->next;
		buf_deinit(&subresource->value);
		free(subresource->name);
		free(subresource);
	}
	if (value) {
		subresource = must(calloc(1, sizeof *subresource));
		subresource->name = must(strdup(name));
		buf_append_slice(&subresource->value, *value);
		subresource->next = bucket->subresources;
		bucket->subresources = subresource;
	}
	return 0;
}

int objects_get_subresource(struct objects *objects, const char *bucket_name, const char *name, struct buf *ret)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	const struct subresource *subresource = *subresource_link(bucket, name);
	if (!subresource)
		return OBJECTS_NO_KEY;
	buf_append_slice(ret, buf_slice(&subresource->value));
	return 0;
}

int objects_put(struct objects *objects, const char *bucket_name, struct object *object, bool once)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	int r = !bucket                                                                         ? OBJECTS_NO_BUCKET
		: once && is_at(&bucket->index, find(&bucket->index, object->key), object->key) ? OBJECTS_THERE_ALREADY
												: 0;
	if (r == 0)
		put(&bucket->index, object);
	else
		object_unref(object);
	return r;
}

int objects_get(struct objects *objects, const char *bucket_name, const char *key, struct object **ret)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	size_t at = find(&bucket->index, key);
	if (!is_at(&bucket->index, at, key))
		return OBJECTS_NO_KEY;
	*ret = bucket->index.objects[at];
	(*ret)->refs++;
	return 0;
}

int objects_delete(struct objects *objects, const char *bucket_name, const char *key)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	struct index *index = &bucket->index;
	size_t at = find(index, key);
	if (is_at(index, at, key)) {
		object_unref(index->objects[at]);
		index->n--;
		memmove(index->objects + at, index->objects + at + 1, (index->n - at) * sizeof(struct object *));
	}
	return 0;
}

int objects_visit(struct objects *objects, const char *bucket_name, const char *from, object_fn *fn, void *ctx)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	visit(&bucket->index, from, fn, ctx);
	return 0;
}

int objects_begin_upload(struct objects *objects, const char *bucket_name, const char *id, const char *key,
	const struct cloud_pair *meta, size_t n_meta)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	struct upload *upload = must(calloc(1, sizeof *upload));
	*upload = (struct upload){ .next = bucket->uploads,
		.id = must(strdup(id)),
		.key = must(strdup(key)),
		.meta = copy_meta(meta, n_meta),
		.n_meta = n_meta,
		.begun_ns = clock_realtime_ns() };
	bucket->uploads = upload;
	return 0;
}

/* Where its link is. Locked. */
static int find_upload(
	struct objects *objects, const char *bucket_name, const char *id, const char *key, struct upload ***ret)
{
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	struct upload **link = &bucket->uploads;
	while (*link && (strcmp((*link)->id, id) != 0 || strcmp((*link)->key, key) != 0))
		link = &(*link)->next;
	*ret = link;
	return *link ? 0 : OBJECTS_NO_UPLOAD;
}

int objects_put_part(struct objects *objects, const char *bucket, const char *id, const char *key, struct object *part)
{
	LOCK(objects);
	struct upload **link;
	int r = find_upload(objects, bucket, id, key, &link);
	if (r == 0)
		put(&(*link)->parts, part);
	else
		object_unref(part);
	return r;
}

int objects_visit_parts(
	struct objects *objects, const char *bucket, const char *id, const char *key, object_fn *fn, void *ctx)
{
	LOCK(objects);
	struct upload **link;
	int r = find_upload(objects, bucket, id, key, &link);
	if (r == 0)
		visit(&(*link)->parts, "", fn, ctx);
	return r;
}

int objects_upload_meta(struct objects *objects, const char *bucket, const char *id, const char *key,
	struct arena *arena, struct cloud_pair **ret, size_t *n_ret)
{
	LOCK(objects);
	struct upload **link;
	int r = find_upload(objects, bucket, id, key, &link);
	if (r != 0)
		return r;
	*n_ret = (*link)->n_meta;
	*ret = arena_array(arena, struct cloud_pair, *n_ret + 1);
	for (size_t i = 0; i < *n_ret; i++)
		(*ret)[i] = (struct cloud_pair){ arena_strdup(arena, (*link)->meta[i].name),
			arena_strdup(arena, (*link)->meta[i].value) };
	return 0;
}

int objects_end_upload(struct objects *objects, const char *bucket, const char *id, const char *key)
{
	LOCK(objects);
	struct upload **link;
	int r = find_upload(objects, bucket, id, key, &link);
	if (r == 0) {
		struct upload *upload = *link;
		*link = upload->next;
		upload_free(upload);
	}
	return r;
}

int objects_visit_uploads(struct objects *objects, const char *bucket_name, upload_fn *fn, void *ctx)
{
	LOCK(objects);
	struct bucket *bucket = find_bucket(objects, bucket_name);
	if (!bucket)
		return OBJECTS_NO_BUCKET;
	for (const struct upload *upload = bucket->uploads; upload; upload = upload->next)
		fn(ctx, upload->id, upload->key, upload->begun_ns);
	return 0;
}
