/* What S3 keeps: buckets, their objects and uploads in parts. Bytes are files of the state directory, one per object
 * and part, named by a number; all else is in memory, and ends with the process. Thread-safe, each call whole by
 * itself. */
#pragma once

#include <stdint.h>

#include "tests/cloud/server.h"

struct objects;

struct objects *objects_new(const char *dir, struct error *err); /* `dir` is borrowed, and made */
void objects_free(struct objects *objects);                      /* with the files; NULL is allowed */

enum objects_outcome {
	OBJECTS_NO_BUCKET = 1,
	OBJECTS_NO_UPLOAD,
	OBJECTS_NO_KEY,
	OBJECTS_THERE_ALREADY,
	OBJECTS_NOT_EMPTY,
};

/* An object, or a part of one. Never changes; its file goes with the last reference. */
struct object {
	_Atomic unsigned refs;
	struct objects *owner;
	char *key;               /* of a part: its number, five digits */
	char *etag;              /* without quotes */
	struct cloud_pair *meta; /* headers that are given back */
	size_t n_meta;
	int64_t size, modified_ns;
	uint64_t file;
};

/* A new object with one reference; its bytes are written. Copies everything. NULL: the disk failed. */
struct object *object_new(struct objects *objects, const char *key, const char *etag, const struct cloud_pair *meta,
	size_t n_meta, struct slice bytes, struct error *err);
void object_unref(struct object *object); /* NULL is allowed */
int object_read(const struct object *object, int64_t offset, size_t length, struct buf *ret,
	struct error *err); /* within its size */

int objects_create_bucket(struct objects *objects, const char *name); /* OBJECTS_THERE_ALREADY */
int objects_delete_bucket(struct objects *objects, const char *name); /* OBJECTS_NO_BUCKET, OBJECTS_NOT_EMPTY */
bool objects_has_bucket(struct objects *objects, const char *name);
typedef void bucket_fn(void *ctx, const char *name, int64_t created_ns);
void objects_visit_buckets(struct objects *objects, bucket_fn *fn, void *ctx); /* by name */

/* What was put under a subresource's name ("lifecycle"). `value` NULL takes it away. OBJECTS_NO_BUCKET. */
int objects_set_subresource(struct objects *objects, const char *bucket, const char *name, const struct slice *value);
/* 0, OBJECTS_NO_BUCKET, or OBJECTS_NO_KEY. */
int objects_get_subresource(struct objects *objects, const char *bucket, const char *name, struct buf *ret);

/* Takes the reference, whatever the outcome. With `once`, OBJECTS_THERE_ALREADY if there is one. OBJECTS_NO_BUCKET. */
int objects_put(struct objects *objects, const char *bucket, struct object *object, bool once);
/* A reference. OBJECTS_NO_BUCKET, OBJECTS_NO_KEY. */
int objects_get(struct objects *objects, const char *bucket, const char *key, struct object **ret);
int objects_delete(struct objects *objects, const char *bucket,
	const char *key); /* OBJECTS_NO_BUCKET; what isn't there is no matter */
/* All objects from the key `from` on, in order, until `fn` says false. OBJECTS_NO_BUCKET. The store is locked. */
typedef bool object_fn(void *ctx, const struct object *object);
int objects_visit(struct objects *objects, const char *bucket, const char *from, object_fn *fn, void *ctx);

/* Uploads in parts. `id` is the caller's. */
int objects_begin_upload(struct objects *objects, const char *bucket, const char *id, const char *key,
	const struct cloud_pair *meta, size_t n_meta);
/* Takes the reference to `part`. OBJECTS_NO_BUCKET, OBJECTS_NO_UPLOAD: none of that id for that key. */
int objects_put_part(struct objects *objects, const char *bucket, const char *id, const char *key, struct object *part);
/* In order, as objects_visit. */
int objects_visit_parts(
	struct objects *objects, const char *bucket, const char *id, const char *key, object_fn *fn, void *ctx);
/* The headers it began with, in `arena`. */
int objects_upload_meta(struct objects *objects, const char *bucket, const char *id, const char *key,
	struct arena *arena, struct cloud_pair **ret, size_t *n_ret);
int objects_end_upload(struct objects *objects, const char *bucket, const char *id, const char *key);
typedef void upload_fn(void *ctx, const char *id, const char *key, int64_t begun_ns);
int objects_visit_uploads(struct objects *objects, const char *bucket, upload_fn *fn, void *ctx);
