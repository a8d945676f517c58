#include "tests/cloud/s3.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "tests/cloud/checksum.h"
#include "tests/cloud/objects.h"
#include "tests/cloud/xml.h"

enum { KEY_MAX = 1024, META_MAX = 16, PAGE_MAX = 1000, PART_MIN = 5 << 20, PART_NUMBER_MAX = 10000 };

struct s3 {
	struct objects *objects;
	struct arena arena;
};

/* A request as S3 reads it. */
struct call {
	struct cloud *cloud;
	struct objects *objects;
	struct cloud_request *request;
	struct cloud_response *response;
	struct arena *arena;
	const char *bucket, *key; /* NULL: none */
	const struct operation *operation;
};

enum scope { SERVICE, BUCKET, OBJECT };

struct operation {
	const char *name, *method;
	enum scope scope;
	const char *query;  /* must be there; NULL: nothing must */
	const char *header; /* the same */
	void (*handle)(struct call *call);
	/* Of a bucket's subresource: its name is `query`; the error if there is none, NULL: `body` it is then. */
	const char *absent, *body;
};

struct s3 *s3_new(const struct cloud *cloud, struct error *err)
{
	struct s3 *s3 = calloc(1, sizeof *s3);
	if (!s3)
		abort();
	s3->objects = objects_new(arena_printf(&s3->arena, "%s/s3", cloud->state_dir), err);
	if (!s3->objects) {
		s3_free(s3);
		return NULL;
	}
	return s3;
}

void s3_free(struct s3 *s3)
{
	if (!s3)
		return;
	objects_free(s3->objects);
	arena_deinit(&s3->arena);
	free(s3);
}

/* ---- What is asked for ---- */

/* The bucket in the host's name ("bucket.s3.us-east-1.amazonaws.com", "bucket.s3.localhost"), in the arena; NULL: it is
 * in the path. */
static const char *host_bucket(const struct cloud_request *request)
{
	static const char *const ends[] = { ".s3.localhost", ".amazonaws.com" };
	const char *host = cloud_header(request, "host");
	size_t n = host ? strcspn(host, ":") : 0;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		size_t end = strlen(ends[i]);
		if (n <= end || strncmp(host + n - end, ends[i], end) != 0)
			continue;
		char *bucket = arena_strndup(request->arena, host, n - end);
		if (strcmp(ends[i], ".amazonaws.com") == 0) {
			char *dot = strstr(bucket, ".s3");
			if (!dot)
				return NULL;
			*dot = '\0';
		}
		return bucket;
	}
	return NULL;
}

static enum scope find_scope(const struct cloud_request *request, const char **bucket, const char **key)
{
	const char *at = request->path + 1;
	*bucket = host_bucket(request);
	*key = NULL;
	if (!*bucket) {
		size_t n = strcspn(at, "/");
		if (n == 0)
			return SERVICE;
		*bucket = arena_strndup(request->arena, at, n);
		at += n + (at[n] == '/');
	}
	if (!*at)
		return BUCKET;
	*key = at;
	return OBJECT;
}

/* Subresources that change what a request means, and that this S3 doesn't have: they may not be taken for the plain
 * operation. */
static const char *const unknown_queries[] = { "accelerate", "acl", "analytics", "attributes", "cors", "encryption",
	"intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging", "metrics", "notification",
	"object-lock", "ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock", "replication",
	"requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "uploadId", "uploads",
	"versionId", "versioning", "versions", "website" };

static const struct operation *find_operation(const struct cloud_request *request, enum scope scope);

const char *s3_operation(const struct cloud_request *request)
{
	const char *bucket, *key;
	const struct operation *operation = find_operation(request, find_scope(request, &bucket, &key));
	return operation ? operation->name : NULL;
}

const char *s3_resource(struct cloud *cloud, const struct cloud_request *request)
{
	const char *bucket, *key;
	switch (find_scope(request, &bucket, &key)) {
	case SERVICE:
		break;
	case BUCKET:
		return arena_printf(request->arena, "\"arn:aws:s3:::%s\"", bucket);
	case OBJECT:
		return arena_printf(request->arena, "\"arn:aws:s3:::%s/%s\"", bucket, key);
	}
	return "*";
}

struct objects *s3_objects(struct s3 *s3)
{
	return s3->objects;
}

static void add_name(void *ctx, const char *name, int64_t created_ns)
{
	json_array_append_new(ctx, json_string(name));
}

json_t *s3_names(struct s3 *s3)
{
	json_t *names = json_array();
	objects_visit_buckets(s3->objects, add_name, names);
	return names;
}

/* ---- Answers ---- */

#define fail(call, ...) cloud_error((call)->request, (call)->response, __VA_ARGS__)

static void fail_outcome(struct call *call, int outcome)
{
	switch ((enum objects_outcome)outcome) {
	case OBJECTS_NO_BUCKET:
		fail(call, 404, "NoSuchBucket", "The specified bucket does not exist");
		break;
	case OBJECTS_NO_UPLOAD:
		fail(call, 404, "NoSuchUpload",
			"The specified upload does not exist. The upload ID may be invalid, or the upload may have "
			"been "
			"aborted or completed.");
		break;
	case OBJECTS_NO_KEY:
		fail(call, 404, "NoSuchKey", "The specified key does not exist.");
		break;
	case OBJECTS_THERE_ALREADY:
		fail(call, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
		break;
	case OBJECTS_NOT_EMPTY:
		fail(call, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty");
		break;
	}
}

static void fail_disk(struct call *call, const struct error *err)
{
	fprintf(stderr, "llama-cloud: %s\n", err->text);
	fail(call, 500, "InternalError", "%s", err->text);
}

static const char *iso_time(struct arena *arena, int64_t ns)
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[40];
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
	return arena_printf(arena, "%s.%03dZ", text, (int)(ns / 1000000 % 1000));
}

static const char *http_time(struct arena *arena, int64_t ns)
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[40];
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&s, &tm));
	return arena_strdup(arena, text);
}

/* Begin an XML answer; its end is the caller's. */
static struct buf *begin_xml(struct call *call, const char *root)
{
	cloud_add_header(call->response, "Content-Type", "application/xml");
	buf_printf(&call->response->body,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%s xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
		root);
	return &call->response->body;
}

static void quote_etag(struct buf *to, const char *element, const char *etag)
{
	buf_printf(to, "<%s>&quot;%s&quot;</%s>", element, etag, element);
}

/* ---- Bodies ---- */

/* Hold the body against every checksum that came with it. False: refused. */
static bool check_body(struct call *call)
{
	const struct cloud_request *request = call->request;
	if (cloud_header(request, "transfer-encoding") && !cloud_header(request, "x-amz-decoded-content-length")) {
		fail(call, 501, "NotImplemented",
			"A header you provided implies functionality that is not implemented: Transfer-Encoding");
		return false;
	}
	const char *md5 = cloud_header(request, "content-md5");
	if (md5 && strcmp(md5, checksum_md5_base64(request->body, call->arena)) != 0) {
		fail(call, 400, "BadDigest", "The Content-MD5 you specified did not match what we received.");
		return false;
	}
	for (size_t i = 0; i < request->n_headers; i++) {
		const char *computed = checksum(request->headers[i].name, request->body, call->arena);
		if (computed && strcmp(computed, request->headers[i].value) != 0) {
			fail(call, 400, "BadDigest", "The %s you specified did not match the calculated checksum.",
				request->headers[i].name);
			return false;
		}
	}
	return true;
}

/* The headers that an object keeps. False: refused. */
static bool collect_meta(struct call *call, struct cloud_pair **ret, size_t *n)
{
	static const char *const kept[] = { "content-type", "content-encoding", "content-disposition",
		"content-language", "cache-control", "expires", "x-amz-website-redirect-location" };
	const struct cloud_request *request = call->request;
	struct cloud_pair *meta = arena_array(call->arena, struct cloud_pair, META_MAX + 1);
	*n = 0;
	for (size_t i = 0; i < request->n_headers; i++) {
		const char *name = request->headers[i].name, *value = request->headers[i].value;
		bool keep = strncmp(name, "x-amz-meta-", 11) == 0 || checksum(name, slice_of(NULL, 0), call->arena);
		for (size_t j = 0; j < sizeof kept / sizeof kept[0]; j++)
			keep = keep || strcmp(name, kept[j]) == 0;
		/* The encoding of the way here is not the object's. */
		if (strcmp(name, "content-encoding") == 0 && strncmp(value, "aws-chunked", 11) == 0) {
			value += 11 + strspn(value + 11, ", ");
			keep = *value;
		}
		if (!keep)
			continue;
		if (*n == META_MAX) {
			fail(call, 400, "MetadataTooLarge",
				"Your metadata headers exceed the maximum allowed metadata size.");
			return false;
		}
		meta[(*n)++] = (struct cloud_pair){ name, value };
	}
	*ret = meta;
	return true;
}

/* Whether `If-None-Match: *` was given; any other condition on a write is refused. False in `ok`: answered. */
static bool wants_once(struct call *call, bool *ok)
{
	const char *condition = cloud_header(call->request, "if-none-match");
	*ok = (!condition || strcmp(condition, "*") == 0) && !cloud_header(call->request, "if-match");
	if (!*ok)
		fail(call, 501, "NotImplemented",
			"A header you provided implies functionality that is not implemented: only If-None-Match: *");
	return condition;
}

/* ---- Buckets ---- */

bool s3_is_bucket_name(const char *name)
{
	size_t n = strlen(name);
	return n >= 3 && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n && name[0] != '.' &&
	       name[0] != '-' && name[n - 1] != '.' && name[n - 1] != '-' && !strstr(name, "..");
}

static void append_bucket(void *ctx, const char *name, int64_t created_ns)
{
	struct call *call = ctx;
	struct buf *body = &call->response->body;
	buf_append_str(body, "<Bucket>");
	xml_element(body, "Name", name);
	xml_element(body, "CreationDate", iso_time(call->arena, created_ns));
	buf_append_str(body, "</Bucket>");
}

static void list_buckets(struct call *call)
{
	struct buf *body = begin_xml(call, "ListAllMyBucketsResult");
	buf_append_str(body, "<Owner><ID>" CLOUD_ACCOUNT "</ID></Owner><Buckets>");
	objects_visit_buckets(call->objects, append_bucket, call);
	buf_append_str(body, "</Buckets></ListAllMyBucketsResult>");
}

static void create_bucket(struct call *call)
{
	if (!s3_is_bucket_name(call->bucket)) {
		fail(call, 400, "InvalidBucketName", "The specified bucket is not valid.");
		return;
	}
	/* us-east-1 may not be named, any other region must be. */
	const char *place = xml_text(call->request->body, "LocationConstraint", call->arena);
	bool east = strcmp(call->cloud->region, "us-east-1") == 0;
	if (place && (east || strcmp(place, call->cloud->region) != 0)) {
		fail(call, 400, "InvalidLocationConstraint", "The specified location-constraint is not valid");
		return;
	}
	if (!place && !east) {
		fail(call, 400, "IllegalLocationConstraintException",
			"The unspecified location constraint is incompatible for the region specific endpoint this "
			"request was sent to.");
		return;
	}
	/* In us-east-1, and there only, the owner may create a bucket twice. */
	if (objects_create_bucket(call->objects, call->bucket) != 0 && !east) {
		fail(call, 409, "BucketAlreadyOwnedByYou",
			"Your previous request to create the named bucket succeeded and you already own it.");
		return;
	}
	cloud_add_header(call->response, "Location", arena_printf(call->arena, "/%s", call->bucket));
}

static void delete_bucket(struct call *call)
{
	int r = objects_delete_bucket(call->objects, call->bucket);
	call->response->status = 204;
	if (r != 0)
		fail_outcome(call, r);
}

static void head_bucket(struct call *call)
{
	if (!objects_has_bucket(call->objects, call->bucket))
		fail_outcome(call, OBJECTS_NO_BUCKET);
	else
		cloud_add_header(call->response, "x-amz-bucket-region", call->cloud->region);
}

static void get_location(struct call *call)
{
	if (!objects_has_bucket(call->objects, call->bucket)) {
		fail_outcome(call, OBJECTS_NO_BUCKET);
		return;
	}
	struct buf *body = begin_xml(call, "LocationConstraint");
	xml_append(body, strcmp(call->cloud->region, "us-east-1") == 0 ? "" : call->cloud->region);
	buf_append_str(body, "</LocationConstraint>");
}

static void put_subresource(struct call *call)
{
	if (!check_body(call))
		return;
	int r = objects_set_subresource(call->objects, call->bucket, call->operation->query, &call->request->body);
	if (strcmp(call->operation->query, "policy") == 0)
		call->response->status = 204;
	if (r != 0)
		fail_outcome(call, r);
}

static void get_subresource(struct call *call)
{
	const struct operation *operation = call->operation;
	int r = objects_get_subresource(call->objects, call->bucket, operation->query, &call->response->body);
	if (r == OBJECTS_NO_KEY && operation->body) {
		buf_append_str(&call->response->body, operation->body);
		r = 0;
	}
	if (r == OBJECTS_NO_KEY)
		fail(call, 404, operation->absent, "The bucket has no such configuration");
	else if (r != 0)
		fail_outcome(call, r);
	else
		cloud_add_header(call->response, "Content-Type",
			strcmp(operation->query, "policy") == 0 ? "application/json" : "application/xml");
}

static void delete_subresource(struct call *call)
{
	int r = objects_set_subresource(call->objects, call->bucket, call->operation->query, NULL);
	call->response->status = 204;
	if (r != 0)
		fail_outcome(call, r);
}

/* ---- Lists ---- */

struct listing {
	struct call *call;
	const char *prefix, *delimiter; /* "" is none */
	const char *after;              /* "": from the start */
	size_t limit;
	bool encode;
	bool versions; /* ListObjectVersions: each object is its only one */
	size_t n;
	bool truncated;
	const char *last; /* key or common prefix, in the arena */
	struct buf contents, prefixes;
};

/* As encoding-type=url asks for: '/' stays. */
static void append_key(struct buf *to, const char *element, const char *key, bool encoded)
{
	if (!encoded) {
		xml_element(to, element, key);
		return;
	}
	buf_printf(to, "<%s>", element);
	for (const char *p = key; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.~/*", c))
			buf_append_char(to, (char)c);
		else
			buf_printf(to, "%%%02X", c);
	}
	buf_printf(to, "</%s>", element);
}

static bool list_one(void *ctx, const struct object *object)
{
	struct listing *listing = ctx;
	struct arena *arena = listing->call->arena;
	size_t prefix = strlen(listing->prefix), delimiter = strlen(listing->delimiter);
	if (strncmp(object->key, listing->prefix, prefix) != 0)
		return false; /* past them: the walk began at the first */
	const char *cut = delimiter ? strstr(object->key + prefix, listing->delimiter) : NULL;
	const char *common = cut ? arena_strndup(arena, object->key, (size_t)(cut - object->key) + delimiter) : NULL;
	if (strcmp(object->key, listing->after) <= 0)
		return true;
	/* Of a common prefix that is on an earlier page, or has just been listed. */
	if (common && (strcmp(common, listing->after) == 0 || (listing->last && strcmp(common, listing->last) == 0)))
		return true;
	if (listing->n == listing->limit) {
		listing->truncated = true;
		return false;
	}
	listing->n++;
	if (common) {
		buf_append_str(&listing->prefixes, "<CommonPrefixes>");
		append_key(&listing->prefixes, "Prefix", common, listing->encode);
		buf_append_str(&listing->prefixes, "</CommonPrefixes>");
		listing->last = common;
		return true;
	}
	struct buf *to = &listing->contents;
	const char *element = listing->versions ? "Version" : "Contents";
	buf_printf(to, "<%s>", element);
	append_key(to, "Key", object->key, listing->encode);
	if (listing->versions)
		buf_append_str(to, "<VersionId>null</VersionId><IsLatest>true</IsLatest>");
	xml_element(to, "LastModified", iso_time(arena, object->modified_ns));
	quote_etag(to, "ETag", object->etag);
	buf_printf(to, "<Size>%lld</Size><StorageClass>STANDARD</StorageClass></%s>", (long long)object->size, element);
	listing->last = arena_strdup(arena, object->key);
	return true;
}

static const char *to_token(struct arena *arena, const char *text)
{
	char *token = arena_alloc(arena, 2 * strlen(text) + 1), *to = token;
	for (const char *p = text; *p; p++)
		to += sprintf(to, "%02x", (unsigned char)*p);
	*to = '\0';
	return token;
}

/* NULL: none of ours. */
static const char *from_token(struct arena *arena, const char *token)
{
	size_t n = strlen(token);
	if (n % 2 || strspn(token, "0123456789abcdef") != n)
		return NULL;
	char *text = arena_zalloc(arena, n / 2 + 1);
	for (size_t i = 0; i < n / 2; i++)
		if (sscanf(token + 2 * i, "%2hhx", (unsigned char *)text + i) != 1)
			return NULL;
	return text;
}

/* max-keys, or as many as a page may have. False: answered. */
static bool read_limit(struct call *call, size_t *ret)
{
	const char *limit = cloud_query(call->request, "max-keys");
	char *end = NULL;
	unsigned long n = limit ? strtoul(limit, &end, 10) : PAGE_MAX;
	if (limit && (end == limit || *end || limit[0] == '-')) {
		fail(call, 400, "InvalidArgument", "Provided max-keys not an integer or within integer range");
		return false;
	}
	*ret = n < PAGE_MAX ? n : PAGE_MAX;
	return true;
}

/* Of a bucket without versions: every object has one, "null". */
static void list_versions(struct call *call)
{
	const struct cloud_request *request = call->request;
	const char *prefix = cloud_query(request, "prefix"), *after = cloud_query(request, "key-marker"),
		   *encoding = cloud_query(request, "encoding-type");
	struct listing listing = { .call = call,
		.prefix = prefix ? prefix : "",
		.delimiter = "",
		.after = after ? after : "",
		.encode = encoding && strcmp(encoding, "url") == 0,
		.versions = true };
	if (cloud_query(request, "delimiter")) {
		fail(call, 501, "NotImplemented", "This S3 lists versions without a delimiter only.");
		return;
	}
	if (!read_limit(call, &listing.limit))
		return;
	int r = objects_visit(call->objects, call->bucket,
		strcmp(listing.after, listing.prefix) > 0 ? listing.after : listing.prefix, list_one, &listing);
	if (r != 0) {
		fail_outcome(call, r);
		return;
	}
	struct buf *body = begin_xml(call, "ListVersionsResult");
	xml_element(body, "Name", call->bucket);
	append_key(body, "Prefix", listing.prefix, listing.encode);
	append_key(body, "KeyMarker", listing.after, listing.encode);
	if (listing.encode)
		xml_element(body, "EncodingType", "url");
	buf_printf(body, "<MaxKeys>%zu</MaxKeys><IsTruncated>%s</IsTruncated>", listing.limit,
		listing.truncated && listing.limit ? "true" : "false");
	if (listing.truncated && listing.last) {
		append_key(body, "NextKeyMarker", listing.last, listing.encode);
		xml_element(body, "NextVersionIdMarker", "null");
	}
	buf_append_slice(body, buf_slice(&listing.contents));
	buf_append_str(body, "</ListVersionsResult>");
	buf_deinit(&listing.contents);
}

static void list_objects(struct call *call)
{
	const struct cloud_request *request = call->request;
	const char *prefix = cloud_query(request, "prefix"), *delimiter = cloud_query(request, "delimiter"),
		   *after = cloud_query(request, "start-after");
	const char *token = cloud_query(request, "continuation-token");
	const char *encoding = cloud_query(request, "encoding-type"), *version = cloud_query(request, "list-type");
	struct listing listing = { .call = call,
		.prefix = prefix ? prefix : "",
		.delimiter = delimiter ? delimiter : "",
		.after = after ? after : "",
		.limit = PAGE_MAX,
		.encode = encoding && strcmp(encoding, "url") == 0 };
	if (strcmp(version, "2") != 0) {
		fail(call, 400, "InvalidArgument", "Invalid List Type specified in Query");
		return;
	}
	if (!read_limit(call, &listing.limit))
		return;
	if (token && !(listing.after = from_token(call->arena, token))) {
		fail(call, 400, "InvalidArgument", "The continuation token provided is incorrect");
		return;
	}
	int r = objects_visit(call->objects, call->bucket,
		strcmp(listing.after, listing.prefix) > 0 ? listing.after : listing.prefix, list_one, &listing);
	if (r != 0) {
		fail_outcome(call, r);
		return;
	}
	struct buf *body = begin_xml(call, "ListBucketResult");
	xml_element(body, "Name", call->bucket);
	append_key(body, "Prefix", listing.prefix, listing.encode);
	if (delimiter)
		append_key(body, "Delimiter", delimiter, listing.encode);
	if (after)
		append_key(body, "StartAfter", after, listing.encode);
	if (token)
		xml_element(body, "ContinuationToken", token);
	if (listing.encode)
		xml_element(body, "EncodingType", "url");
	buf_printf(body, "<KeyCount>%zu</KeyCount><MaxKeys>%zu</MaxKeys><IsTruncated>%s</IsTruncated>", listing.n,
		listing.limit, listing.truncated && listing.limit ? "true" : "false");
	if (listing.truncated && listing.last)
		xml_element(body, "NextContinuationToken", to_token(call->arena, listing.last));
	buf_append_slice(body, buf_slice(&listing.contents));
	buf_append_slice(body, buf_slice(&listing.prefixes));
	buf_append_str(body, "</ListBucketResult>");
	buf_deinit(&listing.contents);
	buf_deinit(&listing.prefixes);
}

/* ---- Objects ---- */

static void put_object(struct call *call)
{
	struct cloud_pair *meta;
	size_t n_meta;
	bool ok, once = wants_once(call, &ok);
	if (!ok || !check_body(call) || !collect_meta(call, &meta, &n_meta))
		return;
	if (!objects_has_bucket(call->objects, call->bucket)) {
		fail_outcome(call, OBJECTS_NO_BUCKET);
		return;
	}
	struct error err;
	const char *etag = checksum_md5_hex(call->request->body, call->arena);
	struct object *object = object_new(call->objects, call->key, etag, meta, n_meta, call->request->body, &err);
	if (!object) {
		fail_disk(call, &err);
		return;
	}
	int r = objects_put(call->objects, call->bucket, object, once);
	if (r != 0) {
		fail_outcome(call, r);
		return;
	}
	cloud_add_header(call->response, "ETag", arena_printf(call->arena, "\"%s\"", etag));
	cloud_add_header(call->response, "x-amz-server-side-encryption", "AES256");
	for (size_t i = 0; i < n_meta; i++)
		if (strncmp(meta[i].name, "x-amz-checksum-", 15) == 0)
			cloud_add_header(call->response, meta[i].name, meta[i].value);
}

/* The object that is asked for; NULL: answered. */
static struct object *find_object(struct call *call, const char *bucket, const char *key)
{
	struct object *object = NULL;
	int r = objects_get(call->objects, bucket, key, &object);
	if (r == 0 && faults_strike(call->cloud->faults, "s3", call->operation->name, FAULT_LOST, call->arena, NULL)) {
		object_unref(object);
		objects_delete(call->objects, bucket, key);
		r = OBJECTS_NO_KEY;
	}
	if (r == 0)
		return object;
	fail_outcome(call, r);
	return NULL;
}

/* `"a", W/"b", *` names `etag`. */
static bool names_etag(const char *condition, const char *etag)
{
	const char *at = strstr(condition, etag);
	return strcmp(condition, "*") == 0 || (at && (at == condition || at[-1] == '"'));
}

/* "bytes=1-2", "bytes=1-", "bytes=-2". 1: there is no (single) range. -1: none that the object has. */
static int parse_range(const char *text, int64_t size, int64_t *first, int64_t *last)
{
	char *end;
	if (!text || strncmp(text, "bytes=", 6) != 0)
		return 1;
	text += 6;
	if (*text == '-') {
		int64_t n = strtoll(text + 1, &end, 10);
		if (end == text + 1 || *end)
			return 1;
		*first = n < size ? size - n : 0;
		*last = size - 1;
		return n > 0 && size > 0 ? 0 : -1;
	}
	*first = strtoll(text, &end, 10);
	if (end == text || *end != '-')
		return 1;
	text = end + 1;
	*last = *text ? strtoll(text, &end, 10) : INT64_MAX;
	if (*text ? *end != '\0' || *last < *first : false)
		return 1;
	if (*last >= size)
		*last = size - 1;
	return *first < size ? 0 : -1;
}

static void describe_object(struct call *call, const struct object *object, bool whole)
{
	struct cloud_response *response = call->response;
	bool has_type = false;
	const char *mode = cloud_header(call->request, "x-amz-checksum-mode");
	cloud_add_header(response, "ETag", arena_printf(call->arena, "\"%s\"", object->etag));
	cloud_add_header(response, "Last-Modified", http_time(call->arena, object->modified_ns));
	cloud_add_header(response, "Accept-Ranges", "bytes");
	cloud_add_header(response, "x-amz-server-side-encryption", "AES256");
	for (size_t i = 0; i < object->n_meta; i++) {
		const char *name = object->meta[i].name, *value = object->meta[i].value;
		bool is_checksum = strncmp(name, "x-amz-checksum-", 15) == 0;
		if (is_checksum && (!whole || !mode || strcasecmp(mode, "ENABLED") != 0))
			continue;
		has_type |= strcmp(name, "content-type") == 0;
		cloud_add_header(response, arena_strdup(call->arena, name), arena_strdup(call->arena, value));
	}
	if (!has_type)
		cloud_add_header(response, "Content-Type", "binary/octet-stream");
}

static void get_object(struct call *call)
{
	struct cloud_response *response = call->response;
	struct object *object = find_object(call, call->bucket, call->key);
	if (!object)
		return;
	const char *match = cloud_header(call->request, "if-match"),
		   *none_match = cloud_header(call->request, "if-none-match");
	int64_t first = 0, last = object->size - 1;
	int range = parse_range(cloud_header(call->request, "range"), object->size, &first, &last);
	struct error err;
	if (match && !names_etag(match, object->etag)) {
		fail_outcome(call, OBJECTS_THERE_ALREADY);
	} else if (none_match && names_etag(none_match, object->etag)) {
		response->status = 304;
		describe_object(call, object, false);
	} else if (range < 0) {
		fail(call, 416, "InvalidRange", "The requested range is not satisfiable");
		cloud_add_header(
			response, "Content-Range", arena_printf(call->arena, "bytes */%lld", (long long)object->size));
	} else {
		describe_object(call, object, range != 0);
		if (range == 0) {
			response->status = 206;
			cloud_add_header(response, "Content-Range",
				arena_printf(call->arena, "bytes %lld-%lld/%lld", (long long)first, (long long)last,
					(long long)object->size));
		} else {
			first = 0;
			last = object->size - 1;
		}
		size_t length = (size_t)(last - first + 1);
		if (strcmp(call->request->method, "HEAD") == 0)
			response->content_length = (int64_t)length;
		else if (object_read(object, first, length, &response->body, &err) < 0)
			fail_disk(call, &err);
	}
	object_unref(object);
}

static void delete_object(struct call *call)
{
	int r = objects_delete(call->objects, call->bucket, call->key);
	call->response->status = 204;
	if (r != 0)
		fail_outcome(call, r);
}

static void copy_object(struct call *call)
{
	struct cloud_request source = { .arena = call->arena, .method = "GET" };
	const char *from = cloud_header(call->request, "x-amz-copy-source"), *bucket, *key;
	source.target = from[0] == '/' ? from : arena_printf(call->arena, "/%s", from);
	if (server_parse_target(&source, NULL) < 0 || find_scope(&source, &bucket, &key) != OBJECT) {
		fail(call, 400, "InvalidArgument",
			"Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
		return;
	}
	bool ok, once = wants_once(call, &ok);
	struct object *object = ok ? find_object(call, bucket, key) : NULL;
	if (!object)
		return;
	const char *directive = cloud_header(call->request, "x-amz-metadata-directive");
	struct cloud_pair *meta = object->meta;
	size_t n_meta = object->n_meta;
	struct buf bytes = { 0 };
	struct error err;
	struct object *copy = NULL;
	if (!directive || strcmp(directive, "REPLACE") != 0 || collect_meta(call, &meta, &n_meta)) {
		if (object_read(object, 0, (size_t)object->size, &bytes, &err) == 0)
			copy = object_new(
				call->objects, call->key, object->etag, meta, n_meta, buf_slice(&bytes), &err);
		if (!copy)
			fail_disk(call, &err);
	}
	const char *modified = copy ? iso_time(call->arena, copy->modified_ns) : NULL;
	int r = copy ? objects_put(call->objects, call->bucket, copy, once) : 0;
	if (r != 0) {
		fail_outcome(call, r);
	} else if (copy) {
		struct buf *body = begin_xml(call, "CopyObjectResult");
		xml_element(body, "LastModified", modified);
		quote_etag(body, "ETag", object->etag);
		buf_append_str(body, "</CopyObjectResult>");
	}
	buf_deinit(&bytes);
	object_unref(object);
}

static bool has_checksum(const struct call *call)
{
	bool found = cloud_header(call->request, "content-md5");
	for (size_t i = 0; i < call->request->n_headers; i++)
		found |= checksum(call->request->headers[i].name, slice_of(NULL, 0), call->arena) != NULL;
	return found;
}

static void delete_objects(struct call *call)
{
	if (!has_checksum(call)) {
		fail(call, 400, "InvalidRequest",
			"Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
		return;
	}
	if (!check_body(call))
		return;
	if (!objects_has_bucket(call->objects, call->bucket)) {
		fail_outcome(call, OBJECTS_NO_BUCKET);
		return;
	}
	struct slice xml = call->request->body, item;
	const char *quiet = xml_text(xml, "Quiet", call->arena);
	struct buf *body = begin_xml(call, "DeleteResult");
	size_t n = 0;
	while (xml_next(&xml, "Object", &item)) {
		const char *key = xml_text(item, "Key", call->arena);
		if (!key || ++n > 1000) {
			fail(call, 400, "MalformedXML",
				"The XML you provided was not well-formed or did not validate against our published "
				"schema");
			return;
		}
		const char *version = xml_text(item, "VersionId", call->arena);
		if (version && strcmp(version, "null") != 0) {
			buf_append_str(body, "<Error>");
			xml_element(body, "Key", key);
			xml_element(body, "VersionId", version);
			buf_append_str(body, "<Code>NoSuchVersion</Code><Message>The specified version does not exist.</Message></Error>");
			continue;
		}
		objects_delete(call->objects, call->bucket, key);
		if (!quiet || strcmp(quiet, "true") != 0) {
			buf_append_str(body, "<Deleted>");
			xml_element(body, "Key", key);
			buf_append_str(body, "</Deleted>");
		}
	}
	if (n == 0)
		fail(call, 400, "MalformedXML", "The XML you provided names no object");
	else
		buf_append_str(body, "</DeleteResult>");
}

/* ---- Uploads in parts ---- */

static void create_upload(struct call *call)
{
	struct cloud_pair *meta;
	size_t n_meta;
	if (!collect_meta(call, &meta, &n_meta))
		return;
	const char *id = cloud_new_id(call->arena);
	int r = objects_begin_upload(call->objects, call->bucket, id, call->key, meta, n_meta);
	if (r != 0) {
		fail_outcome(call, r);
		return;
	}
	const char *algorithm = cloud_header(call->request, "x-amz-checksum-algorithm");
	if (algorithm)
		cloud_add_header(call->response, "x-amz-checksum-algorithm", algorithm);
	struct buf *body = begin_xml(call, "InitiateMultipartUploadResult");
	xml_element(body, "Bucket", call->bucket);
	xml_element(body, "Key", call->key);
	xml_element(body, "UploadId", id);
	buf_append_str(body, "</InitiateMultipartUploadResult>");
}

static void upload_part(struct call *call)
{
	const char *id = cloud_query(call->request, "uploadId"), *number = cloud_query(call->request, "partNumber");
	int n = strspn(number, "0123456789") == strlen(number) && strlen(number) <= 5 ? atoi(number) : 0;
	if (!id || n < 1 || n > PART_NUMBER_MAX) {
		fail(call, 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
		return;
	}
	if (cloud_header(call->request, "x-amz-copy-source")) {
		fail(call, 501, "NotImplemented",
			"A header you provided implies functionality that is not implemented: x-amz-copy-source");
		return;
	}
	if (!check_body(call))
		return;
	struct error err;
	const char *etag = checksum_md5_hex(call->request->body, call->arena);
	struct object *part = object_new(
		call->objects, arena_printf(call->arena, "%05d", n), etag, NULL, 0, call->request->body, &err);
	if (!part) {
		fail_disk(call, &err);
		return;
	}
	int r = objects_put_part(call->objects, call->bucket, id, call->key, part);
	if (r != 0) {
		fail_outcome(call, r);
		return;
	}
	cloud_add_header(call->response, "ETag", arena_printf(call->arena, "\"%s\"", etag));
	for (size_t i = 0; i < call->request->n_headers; i++)
		if (strncmp(call->request->headers[i].name, "x-amz-checksum-", 15) == 0 &&
			checksum(call->request->headers[i].name, slice_of(NULL, 0), call->arena))
			cloud_add_header(
				call->response, call->request->headers[i].name, call->request->headers[i].value);
}

struct parts {
	struct object **all;
	size_t n, capacity;
};

static bool take_part(void *ctx, const struct object *object)
{
	struct parts *parts = ctx;
	if (parts->n == PART_NUMBER_MAX)
		return false;
	struct object *part = (struct object *)(uintptr_t)object;
	part->refs++;
	parts->all[parts->n++] = part;
	return true;
}

static void free_parts(struct parts *parts)
{
	for (size_t i = 0; i < parts->n; i++)
		object_unref(parts->all[i]);
}

/* Append the parts that the request's XML lists to `bytes`, and their MD5s. False: answered. */
static bool join_parts(struct call *call, const struct parts *parts, struct buf *bytes, const char **etags, size_t *n)
{
	struct slice xml = call->request->body, item;
	const char *before = "";
	struct error err;
	*n = 0;
	while (xml_next(&xml, "Part", &item)) {
		const char *number = xml_text(item, "PartNumber", call->arena),
			   *etag = xml_text(item, "ETag", call->arena);
		if (!number || !etag || *n == PART_NUMBER_MAX) {
			fail(call, 400, "MalformedXML", "The XML you provided was not well-formed");
			return false;
		}
		number = arena_printf(call->arena, "%05d", atoi(number));
		size_t i = 0;
		while (i < parts->n && strcmp(parts->all[i]->key, number) != 0)
			i++;
		if (i == parts->n || !names_etag(etag, parts->all[i]->etag)) {
			fail(call, 400, "InvalidPart",
				"One or more of the specified parts could not be found, or its entity tag is another.");
			return false;
		}
		if (strcmp(before, number) >= 0) {
			fail(call, 400, "InvalidPartOrder", "The list of parts was not in ascending order.");
			return false;
		}
		struct slice rest = xml, more;
		if (parts->all[i]->size < PART_MIN && xml_next(&rest, "Part", &more)) {
			fail(call, 400, "EntityTooSmall",
				"Your proposed upload is smaller than the minimum allowed size");
			return false;
		}
		if (object_read(parts->all[i], 0, (size_t)parts->all[i]->size, bytes, &err) < 0) {
			fail_disk(call, &err);
			return false;
		}
		before = number;
		etags[(*n)++] = parts->all[i]->etag;
	}
	if (*n == 0)
		fail(call, 400, "MalformedXML", "The XML you provided lists no part");
	return *n > 0;
}

static void complete_upload(struct call *call)
{
	const char *id = cloud_query(call->request, "uploadId");
	struct parts parts = { .all = arena_array(call->arena, struct object *, PART_NUMBER_MAX) };
	struct cloud_pair *meta;
	size_t n_meta, n = 0;
	bool ok, once = wants_once(call, &ok);
	if (!ok)
		return;
	int r = objects_upload_meta(call->objects, call->bucket, id, call->key, call->arena, &meta, &n_meta);
	if (r == 0)
		r = objects_visit_parts(call->objects, call->bucket, id, call->key, take_part, &parts);
	if (r != 0) {
		fail_outcome(call, r);
		return;
	}
	struct buf bytes = { 0 };
	struct error err;
	const char **etags = arena_array(call->arena, const char *, PART_NUMBER_MAX);
	if (join_parts(call, &parts, &bytes, etags, &n)) {
		const char *etag = checksum_of_parts(etags, n, call->arena);
		struct object *object = object_new(
			call->objects, call->key, etag, meta, n_meta, buf_slice(&bytes), &err);
		r = object ? objects_put(call->objects, call->bucket, object, once) : -1;
		if (r < 0) {
			fail_disk(call, &err);
		} else if (r > 0) {
			fail_outcome(call, r);
		} else {
			objects_end_upload(call->objects, call->bucket, id, call->key);
			struct buf *body = begin_xml(call, "CompleteMultipartUploadResult");
			xml_element(body, "Location", arena_printf(call->arena, "/%s/%s", call->bucket, call->key));
			xml_element(body, "Bucket", call->bucket);
			xml_element(body, "Key", call->key);
			quote_etag(body, "ETag", etag);
			buf_append_str(body, "</CompleteMultipartUploadResult>");
		}
	}
	buf_deinit(&bytes);
	free_parts(&parts);
}

static void abort_upload(struct call *call)
{
	int r = objects_end_upload(call->objects, call->bucket, cloud_query(call->request, "uploadId"), call->key);
	call->response->status = 204;
	if (r != 0)
		fail_outcome(call, r);
}

static bool append_part(void *ctx, const struct object *part)
{
	struct call *call = ctx;
	struct buf *body = &call->response->body;
	buf_printf(body, "<Part><PartNumber>%d</PartNumber>", atoi(part->key));
	xml_element(body, "LastModified", iso_time(call->arena, part->modified_ns));
	quote_etag(body, "ETag", part->etag);
	buf_printf(body, "<Size>%lld</Size></Part>", (long long)part->size);
	return true;
}

static void list_parts(struct call *call)
{
	const char *id = cloud_query(call->request, "uploadId");
	struct buf *body = begin_xml(call, "ListPartsResult");
	xml_element(body, "Bucket", call->bucket);
	xml_element(body, "Key", call->key);
	xml_element(body, "UploadId", id);
	buf_append_str(body, "<IsTruncated>false</IsTruncated>");
	int r = objects_visit_parts(call->objects, call->bucket, id, call->key, append_part, call);
	buf_append_str(body, "</ListPartsResult>");
	if (r != 0)
		fail_outcome(call, r);
}

static void append_upload(void *ctx, const char *id, const char *key, int64_t begun_ns)
{
	struct call *call = ctx;
	struct buf *body = &call->response->body;
	buf_append_str(body, "<Upload>");
	xml_element(body, "Key", key);
	xml_element(body, "UploadId", id);
	xml_element(body, "Initiated", iso_time(call->arena, begun_ns));
	buf_append_str(body, "</Upload>");
}

static void list_uploads(struct call *call)
{
	struct buf *body = begin_xml(call, "ListMultipartUploadsResult");
	xml_element(body, "Bucket", call->bucket);
	buf_append_str(body, "<IsTruncated>false</IsTruncated>");
	int r = objects_visit_uploads(call->objects, call->bucket, append_upload, call);
	buf_append_str(body, "</ListMultipartUploadsResult>");
	if (r != 0)
		fail_outcome(call, r);
}

/* ---- The table: of those that fit, the first ---- */

#define SUBRESOURCE(words, query, absent, body)                                                                        \
	{ "PutBucket" words, "PUT", BUCKET, query, NULL, put_subresource, NULL, NULL },                                \
		{ "GetBucket" words, "GET", BUCKET, query, NULL, get_subresource, absent, body },                      \
	{                                                                                                              \
		"DeleteBucket" words, "DELETE", BUCKET, query, NULL, delete_subresource, NULL, NULL                    \
	}

static const struct operation operations[] = {
	{ "ListBuckets", "GET", SERVICE, NULL, NULL, list_buckets, NULL, NULL },
	SUBRESOURCE("LifecycleConfiguration", "lifecycle", "NoSuchLifecycleConfiguration", NULL),
	SUBRESOURCE("Encryption", "encryption", NULL,
		"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</"
		"SSEAlgorithm>"
		"</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"),
	SUBRESOURCE("PublicAccessBlock", "publicAccessBlock", "NoSuchPublicAccessBlockConfiguration", NULL),
	SUBRESOURCE("Policy", "policy", "NoSuchBucketPolicy", NULL),
	SUBRESOURCE("Tagging", "tagging", "NoSuchTagSet", NULL),
	SUBRESOURCE("OwnershipControls", "ownershipControls", "OwnershipControlsNotFoundError", NULL),
	{ "GetBucketVersioning", "GET", BUCKET, "versioning", NULL, get_subresource, NULL,
		"<VersioningConfiguration/>" },
	{ "GetBucketLocation", "GET", BUCKET, "location", NULL, get_location, NULL, NULL },
	{ "ListMultipartUploads", "GET", BUCKET, "uploads", NULL, list_uploads, NULL, NULL },
	{ "ListObjectVersions", "GET", BUCKET, "versions", NULL, list_versions, NULL, NULL },
	{ "ListObjectsV2", "GET", BUCKET, "list-type", NULL, list_objects, NULL, NULL },
	{ "DeleteObjects", "POST", BUCKET, "delete", NULL, delete_objects, NULL, NULL },
	{ "CreateBucket", "PUT", BUCKET, NULL, NULL, create_bucket, NULL, NULL },
	{ "DeleteBucket", "DELETE", BUCKET, NULL, NULL, delete_bucket, NULL, NULL },
	{ "HeadBucket", "HEAD", BUCKET, NULL, NULL, head_bucket, NULL, NULL },
	{ "UploadPart", "PUT", OBJECT, "partNumber", NULL, upload_part, NULL, NULL },
	{ "CreateMultipartUpload", "POST", OBJECT, "uploads", NULL, create_upload, NULL, NULL },
	{ "CompleteMultipartUpload", "POST", OBJECT, "uploadId", NULL, complete_upload, NULL, NULL },
	{ "AbortMultipartUpload", "DELETE", OBJECT, "uploadId", NULL, abort_upload, NULL, NULL },
	{ "ListParts", "GET", OBJECT, "uploadId", NULL, list_parts, NULL, NULL },
	{ "CopyObject", "PUT", OBJECT, NULL, "x-amz-copy-source", copy_object, NULL, NULL },
	{ "PutObject", "PUT", OBJECT, NULL, NULL, put_object, NULL, NULL },
	{ "GetObject", "GET", OBJECT, NULL, NULL, get_object, NULL, NULL },
	{ "HeadObject", "HEAD", OBJECT, NULL, NULL, get_object, NULL, NULL },
	{ "DeleteObject", "DELETE", OBJECT, NULL, NULL, delete_object, NULL, NULL },
};

static const struct operation *find_operation(const struct cloud_request *request, enum scope scope)
{
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		const struct operation *operation = &operations[i];
		if (operation->scope != scope || strcmp(operation->method, request->method) != 0 ||
			(operation->query && !cloud_query(request, operation->query)) ||
			(operation->header && !cloud_header(request, operation->header)))
			continue;
		for (size_t j = 0; !operation->query && j < sizeof unknown_queries / sizeof unknown_queries[0]; j++)
			if (cloud_query(request, unknown_queries[j]))
				return NULL;
		return operation;
	}
	return NULL;
}

void s3_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	struct call call = { .cloud = cloud,
		.objects = cloud->s3->objects,
		.request = request,
		.response = response,
		.arena = request->arena };
	enum scope scope = find_scope(request, &call.bucket, &call.key);
	call.operation = find_operation(request, scope);
	if (!call.operation)
		fail(&call, 501, "NotImplemented", "A request you made implies functionality that is not implemented.");
	else if (call.key && strlen(call.key) > KEY_MAX)
		fail(&call, 400, "KeyTooLongError", "Your key is too long");
	else
		call.operation->handle(&call);
}
