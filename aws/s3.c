/* How it works: an operation makes one call after another, each ending in a function that begins the next or finishes. Only the parts of a large object
 * travel side by side. Retries of a call are below us (call.h). */
#include "aws/s3.h"

#include <stdlib.h>

#include "aws/s3_answer.h"
#include "base/list.h"

enum {
	PARTS_AT_A_TIME = 4,
	PARTS_MAX = 10000,
	COMPLETE_ATTEMPTS = 3,
	PAGE_KEYS = 1000,
	PAGES_MAX = 100000,
	KEY_SHOWN = 24,
};
#define MULTIPART_FROM ((size_t)16 << 20)
#define PART_BYTES     ((size_t)8 << 20)
#define OBJECT_LIMIT   ((size_t)1 << 30)
#define RANGE_LIMIT    ((size_t)64 << 20) /* of what a store that ignores ranges may send */

/* Of one client. */
struct s3_state {
	struct list ops;
	struct s3_counters counters;
	bool unconditional; /* this store refuses If-None-Match */
};

struct part {
	struct s3_op *op;
	struct aws_op *call;
	unsigned number;
	const char *etag; /* NULL: not there yet */
};

struct s3_op {
	struct list link;
	struct s3_state *state;
	struct aws *aws;
	struct arena arena;
	const char *bucket, *prefix, *key; /* of a list: its prefix below the bucket's */
	const char *verb;		   /* for people */
	const char *permission;
	uint64_t *counter;
	s3_done_fn *fn;
	s3_list_fn *list_fn;
	void *ctx;
	struct aws_op *call;
	uint64_t offset, length; /* get */
	struct slice body;	 /* put */
	bool once, conditional;	 /* asked for; in the call under way */
	/* a large put */
	const char *upload;
	struct part *parts;
	size_t n_parts, next_part, n_done, part_bytes;
	unsigned n_complete;
	/* list */
	const char *after, *token;
	size_t limit, n_keys, capacity, n_pages;
	struct s3_key *keys;
};

static void op_free(struct s3_op *op)
{
	list_remove(&op->link);
	arena_deinit(&op->arena);
	free(op->parts);
	free(op->keys);
	free(op);
}

static void stop_calls(struct s3_op *op)
{
	aws_cancel(op->call);
	op->call = NULL;
	for (size_t i = 0; i < op->n_parts; i++) {
		aws_cancel(op->parts[i].call);
		op->parts[i].call = NULL;
	}
}

static void free_state(void *object)
{
	struct s3_state *state = object;
	struct s3_op *op;
	list_for_each (op, &state->ops, struct s3_op, link) {
		stop_calls(op);
		op_free(op);
	}
	free(state);
}

static struct s3_state *state_of(struct aws *aws)
{
	struct s3_state *state = aws_attached(aws, "s3");
	if (state)
		return state;
	state = calloc(1, sizeof *state);
	if (!state)
		abort();
	list_init(&state->ops);
	aws_attach(aws, "s3", state, free_state);
	return state;
}

struct s3_counters s3_counters(const struct aws *aws)
{
	const struct s3_state *state = aws_attached(aws, "s3");
	return state ? state->counters : (struct s3_counters){ 0 };
}

static struct s3_op *op_new(
	const struct s3_bucket *bucket, const char *key, const char *verb, const char *permission, void *ctx)
{
	struct s3_op *op = calloc(1, sizeof *op);
	if (!op)
		abort();
	op->aws = bucket->aws;
	op->state = state_of(bucket->aws);
	op->arena = (struct arena)ARENA_INIT;
	op->bucket = arena_strdup(&op->arena, bucket->name);
	op->prefix = arena_strdup(&op->arena, bucket->prefix ? bucket->prefix : "");
	op->key = arena_strdup(&op->arena, key);
	op->verb = verb;
	op->permission = permission;
	op->counter = &op->state->counters.others;
	op->ctx = ctx;
	list_append(&op->state->ops, &op->link);
	return op;
}

/* Calls. */

static void count(struct s3_op *op, const struct aws_answer *answer)
{
	struct s3_counters *counters = &op->state->counters;
	*op->counter += answer ? answer->attempts : 1;
	if (answer) {
		counters->bytes_in += answer->response->bytes_received;
		counters->bytes_out += answer->response->bytes_sent;
	}
}

void s3_address(struct aws *aws, const char *bucket, const char *key, struct arena *arena, struct aws_call *ret)
{
	bool custom = true;
	aws_config_endpoint(aws_config(aws), "s3", arena, &custom); /* that there is none call.c says */
	bool in_host = !custom && !strchr(bucket, '.');		    /* a certificate's * stands for no dot */
	ret->service = "s3";
	ret->host_prefix = in_host ? arena_printf(arena, "%s.", bucket) : NULL;
	const char *base = in_host ? "" : arena_printf(arena, "/%s", bucket);
	ret->path = key ? arena_printf(arena, "%s/%s", base, key) : *base ? base : "/";
}

/* `key` NULL: the bucket itself. */
static struct aws_op *call(
	struct s3_op *op, const char *method, const char *key, const struct aws_call *more, aws_done_fn *fn, void *ctx)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_call call = *more;
	s3_address(op->aws, op->bucket, key ? arena_printf(&arena, "%s%s", op->prefix, key) : NULL, &arena, &call);
	call.method = method;
	call.timeout_ms = 60000 + (int64_t)(call.body.len / HTTP_SLOWEST_BYTES_PER_MS);
	return aws_start(op->aws, &call, fn, ctx);
}

static void finish(struct s3_op *op, int outcome, struct buf *body, const struct error *err)
{
	struct buf none = { 0 };
	list_remove(&op->link); /* out of free_state's sight */
	if (op->list_fn)
		op->list_fn(op->ctx, outcome, op->keys, op->n_keys, err);
	else
		op->fn(op->ctx, outcome, body ? body : &none, err);
	op_free(op);
}

static void fail(struct s3_op *op, const struct error *why)
{
	struct error err = *why;
	/* Of a digest the beginning is enough to find it. */
	error_wrap(&err, "cannot %s s3://%s/%s%.*s%s", op->verb, op->bucket, op->prefix, KEY_SHOWN, op->key, strlen(op->key) > KEY_SHOWN ? "…" : "");
	op->n_keys = 0;
	finish(op, -1, NULL, &err);
}

/* It isn't for the rights that they lack, but for what they are. */
static bool is_no_key(const char *code)
{
	static const char *const codes[] = { "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken",
		"TokenRefreshRequired", "RequestTimeTooSkewed", NULL };
	for (size_t i = 0; codes[i]; i++)
		if (strcmp(codes[i], code) == 0)
			return true;
	return false;
}

/* What an answer that helps nobody means, and what to do about it. */
static void explain(struct s3_op *op, const struct aws_answer *answer, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const struct http_response *response = answer->response;
	struct s3_complaint complaint = s3_answer_complaint(buf_slice(&response->body), &arena);
	const char *header = http_header(response, "x-amz-bucket-region"), *here = aws_config(op->aws)->region;
	const char *code = *complaint.code ? complaint.code : answer->code, *colon = *complaint.message ? ": " : "";
	const char *region = header && s3_is_region(header) ? header : complaint.region;
	int status = answer->status;
	if (*region && (!here || strcmp(region, here) != 0) && (status < 400 || status == 400 || status == 403)) {
		error_set(err, 0, "the bucket is in the region %s, not in %s: set `region` to it", region,
			here ? here : "the one configured");
		err->code = EINVAL;
	} else if (status == 301 || status == 307 || status == 308) {
		error_set(err, 0,
			"the store sends us elsewhere (%d): the bucket is in another region, or has just been created; "
			"see `region` and the endpoint",
			status);
		err->code = EINVAL;
	} else if (strcmp(code, "NoSuchBucket") == 0) {
		error_set(err, 0,
			"there is no such bucket: create it in this region (%s), or set `bucket` to one that exists",
			here ? here : "none is configured");
		err->code = ENOENT;
	} else if (is_no_key(code)) {
		error_set(err, 0, "the credentials are refused (%s%s%.120s): renew them, and see that this machine's clock is right", code,
			colon, complaint.message);
		err->code = EACCES;
	} else if (status == 401 || status == 403) {
		error_set(err, 0,
			"denied (%s%s%.120s): the credentials need %s on arn:aws:s3:::%s/*, and s3:ListBucket on the "
			"bucket, without which what is absent is denied too",
			*code ? code : "no reason given", colon, complaint.message, op->permission, op->bucket);
		err->code = EACCES;
	} else {
		error_set(err, 0, "the store answers %d%s%s%s%.200s after %u attempt%s", status, *code ? " " : "", code,
			colon, complaint.message, answer->attempts, answer->attempts == 1 ? "" : "s");
		err->code = status == 503 || status == 429 ? EAGAIN : EIO;
	}
}

static void refuse(struct s3_op *op, const struct aws_answer *answer)
{
	struct error err;
	explain(op, answer, &err);
	fail(op, &err);
}

static bool is_success(const struct aws_answer *answer)
{
	return answer->status >= 200 && answer->status < 300;
}

static bool is_absent(const struct aws_answer *answer)
{
	return answer->status == 404 && strcmp(answer->code, "NoSuchBucket") != 0;
}

/* Get. */

/* Of an answer with all of the object, what was asked for. -1: that is not there. */
static int cut(struct s3_op *op, struct buf *body, struct error *err)
{
	if (op->offset > body->len)
		return error_set(err, ERANGE, "the object has %zu bytes, and from %llu on was asked for", body->len,
			(unsigned long long)op->offset);
	body->len -= op->offset;
	if (op->length && op->length < body->len)
		body->len = op->length;
	if (op->offset)
		memmove(body->ptr, body->ptr + op->offset, body->len);
	if (body->ptr)
		body->ptr[body->len] = '\0';
	return 0;
}

static void on_got(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	op->call = NULL;
	count(op, answer);
	if (!answer) {
		fail(op, err);
		return;
	}
	if (is_absent(answer)) {
		finish(op, S3_ABSENT, NULL, NULL);
		return;
	}
	struct error why;
	struct buf *body = &answer->response->body;
	int rc = 0;
	if (answer->status == 206) {
		const char *range = http_header(answer->response, "content-range");
		unsigned long long from;
		if (range && sscanf(range, "bytes %llu-", &from) == 1 && from != op->offset)
			rc = error_set(&why, EBADMSG, "another range was sent: %.60s", range);
		else if (op->length && body->len > op->length)
			rc = error_set(&why, EBADMSG, "%zu bytes were sent, and %llu asked for", body->len,
				(unsigned long long)op->length);
	} else if (answer->status == 200) {
		rc = cut(op, body, &why);
	} else if (answer->status == 416) {
		rc = error_set(&why, ERANGE, "the object has no byte %llu", (unsigned long long)op->offset);
	} else {
		explain(op, answer, &why);
		rc = -1;
	}
	if (rc < 0)
		fail(op, &why);
	else
		finish(op, 0, body, NULL);
}

struct s3_op *s3_get(
	const struct s3_bucket *bucket, const char *key, uint64_t offset, uint64_t length, s3_done_fn *fn, void *ctx)
{
	struct s3_op *op = op_new(bucket, key, "get", "s3:GetObject", ctx);
	op->fn = fn;
	op->counter = &op->state->counters.gets;
	op->offset = offset;
	op->length = length;
	bool part = offset || length;
	char range[64];
	if (length)
		snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)offset,
			(unsigned long long)(offset + length - 1));
	else
		snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)offset);
	struct aws_call get = {
		.headers = &(struct aws_pair){ "range", range },
		.n_headers = part,
		.response_limit = !length		 ? OBJECT_LIMIT
				  : length > RANGE_LIMIT ? length
							 : RANGE_LIMIT,
	};
	op->call = call(op, "GET", key, &get, on_got, op);
	return op;
}

/* Head, delete. */

static void on_plain(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	op->call = NULL;
	count(op, answer);
	if (!answer)
		fail(op, err);
	else if (is_success(answer))
		finish(op, 0, NULL, NULL);
	else if (is_absent(answer))
		finish(op, S3_ABSENT, NULL, NULL);
	else
		refuse(op, answer);
}

struct s3_op *s3_head(const struct s3_bucket *bucket, const char *key, s3_done_fn *fn, void *ctx)
{
	struct s3_op *op = op_new(bucket, key, "look for", "s3:GetObject", ctx);
	op->fn = fn;
	op->call = call(op, "HEAD", key, &(struct aws_call){ 0 }, on_plain, op);
	return op;
}

struct s3_op *s3_delete(const struct s3_bucket *bucket, const char *key, s3_done_fn *fn, void *ctx)
{
	struct s3_op *op = op_new(bucket, key, "delete", "s3:DeleteObject", ctx);
	op->fn = fn;
	op->call = call(op, "DELETE", key, &(struct aws_call){ 0 }, on_plain, op);
	return op;
}

/* Put. */

static const struct aws_pair if_absent = { "if-none-match", "*" };

/* The answer to a conditional request is that conditions are unknown here; then they won't be made again. */
static bool is_no_condition(struct s3_op *op, const struct aws_answer *answer)
{
	if (!op->conditional || (answer->status != 501 && strcmp(answer->code, "NotImplemented") != 0))
		return false;
	op->state->unconditional = true;
	return true;
}

static void on_put(void *ctx, struct aws_answer *answer, const struct error *err);

static void put_whole(struct s3_op *op)
{
	op->conditional = op->once && !op->state->unconditional;
	struct aws_call put = { .headers = &if_absent, .n_headers = op->conditional, .body = op->body };
	op->call = call(op, "PUT", op->key, &put, on_put, op);
}

static void on_put(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	op->call = NULL;
	count(op, answer);
	if (!answer)
		fail(op, err);
	else if (is_success(answer))
		finish(op, 0, NULL, NULL);
	else if (op->conditional && answer->status == 412)
		finish(op, S3_EXISTS, NULL, NULL);
	else if (is_no_condition(op, answer))
		put_whole(op);
	else
		refuse(op, answer);
}

/* In parts: what is there already is found out first, because the condition counts only at the end. */

static void on_aborted(void *ctx, struct aws_answer *answer, const struct error *err)
{
	/* What couldn't be aborted the bucket's lifecycle clears away. */
	struct s3_op *op = ctx;
	op->call = NULL;
	count(op, answer);
	op_free(op);
}

/* On its own: nobody waits for it. */
static void abort_upload(const struct s3_op *op)
{
	if (!op->upload)
		return;
	struct s3_op *abortion = op_new(&(struct s3_bucket){ op->aws, op->bucket, op->prefix }, op->key, "abort",
		"s3:AbortMultipartUpload", NULL);
	struct aws_pair query = { "uploadId", op->upload };
	abortion->call = call(
		abortion, "DELETE", op->key, &(struct aws_call){ .query = &query, .n_query = 1 }, on_aborted, abortion);
}

static void fail_parts(struct s3_op *op, const struct aws_answer *answer, const struct error *err)
{
	struct error why;
	if (answer)
		explain(op, answer, &why);
	else
		why = *err;
	stop_calls(op);
	abort_upload(op);
	fail(op, &why);
}

static void on_completed(void *ctx, struct aws_answer *answer, const struct error *err);

static void complete_parts(struct s3_op *op)
{
	struct buf list = { 0 };
	buf_append_str(&list, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < op->n_parts; i++)
		buf_printf(&list, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", op->parts[i].number,
			op->parts[i].etag);
	buf_append_str(&list, "</CompleteMultipartUpload>");
	struct slice body = slice_of(arena_strndup(&op->arena, list.ptr, list.len), list.len);
	buf_deinit(&list);
	op->conditional = op->once && !op->state->unconditional;
	op->n_complete++;
	struct aws_pair query = { "uploadId", op->upload };
	struct aws_call post = {
		.query = &query, .n_query = 1, .headers = &if_absent, .n_headers = op->conditional, .body = body
	};
	op->call = call(op, "POST", op->key, &post, on_completed, op);
}

/* The upload is gone: completed by an attempt whose answer was lost, if what is there has our size. */
static void on_found(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	op->call = NULL;
	op->state->counters.others += answer ? answer->attempts : 1;
	const char *length = answer && is_success(answer) ? http_header(answer->response, "content-length") : NULL;
	if (length && strtoull(length, NULL, 10) == op->body.len) {
		finish(op, 0, NULL, NULL);
		return;
	}
	struct error why;
	error_set(&why, EIO, "the store has forgotten the parts");
	fail(op, answer ? &why : err);
}

static void on_completed(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	op->call = NULL;
	count(op, answer);
	if (answer && is_success(answer)) {
		/* The status is sent before the work is done; the body has the last word. */
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		if (!*s3_answer_complaint(buf_slice(&answer->response->body), &arena).code)
			finish(op, 0, NULL, NULL);
		else if (op->n_complete < COMPLETE_ATTEMPTS)
			complete_parts(op);
		else
			fail_parts(op, answer, NULL);
	} else if (answer && op->conditional && answer->status == 412) {
		abort_upload(op);
		finish(op, S3_EXISTS, NULL, NULL);
	} else if (answer && is_no_condition(op, answer)) {
		complete_parts(op);
	} else if (answer && strcmp(answer->code, "NoSuchUpload") == 0) {
		op->call = call(op, "HEAD", op->key, &(struct aws_call){ 0 }, on_found, op);
	} else {
		fail_parts(op, answer, err);
	}
}

static void on_part(void *ctx, struct aws_answer *answer, const struct error *err);

static void put_parts(struct s3_op *op)
{
	while (op->next_part < op->n_parts && op->next_part - op->n_done < PARTS_AT_A_TIME) {
		struct part *part = &op->parts[op->next_part];
		size_t from = op->next_part++ * op->part_bytes, left = op->body.len - from;
		char number[16];
		snprintf(number, sizeof number, "%u", part->number);
		struct aws_pair query[] = { { "partNumber", number }, { "uploadId", op->upload } };
		struct aws_call put = {
			.query = query,
			.n_query = 2,
			.body = slice_of(op->body.ptr + from, left < op->part_bytes ? left : op->part_bytes),
		};
		part->call = call(op, "PUT", op->key, &put, on_part, part);
	}
	if (op->n_done == op->n_parts)
		complete_parts(op);
}

static bool is_legible(const char *etag)
{
	for (; *etag; etag++) {
		if (*etag < '!' || *etag > '~' || *etag == '<' || *etag == '&')
			return false;
	}
	return true;
}

static void on_part(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct part *part = ctx;
	struct s3_op *op = part->op;
	part->call = NULL;
	count(op, answer);
	const char *etag = answer && is_success(answer) ? http_header(answer->response, "etag") : NULL;
	if (!etag || !is_legible(etag)) {
		fail_parts(op, answer, err);
		return;
	}
	part->etag = arena_strdup(&op->arena, etag);
	op->n_done++;
	put_parts(op);
}

static void on_created(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	struct error why;
	op->call = NULL;
	count(op, answer);
	if (!answer || !is_success(answer)) {
		fail_parts(op, answer, err);
		return;
	}
	if (s3_answer_upload(buf_slice(&answer->response->body), &op->arena, &op->upload, &why) < 0) {
		fail(op, &why);
		return;
	}
	op->part_bytes = PART_BYTES;
	while (op->part_bytes < (op->body.len + PARTS_MAX - 1) / PARTS_MAX)
		op->part_bytes *= 2;
	op->n_parts = (op->body.len + op->part_bytes - 1) / op->part_bytes;
	op->parts = calloc(op->n_parts, sizeof *op->parts);
	if (!op->parts)
		abort();
	for (size_t i = 0; i < op->n_parts; i++)
		op->parts[i] = (struct part){ .op = op, .number = i + 1 };
	put_parts(op);
}

static void create_upload(struct s3_op *op)
{
	struct aws_pair query = { "uploads", NULL };
	op->call = call(op, "POST", op->key, &(struct aws_call){ .query = &query, .n_query = 1 }, on_created, op);
}

static void on_looked(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	op->call = NULL;
	op->state->counters.others += answer ? answer->attempts : 1;
	if (!answer)
		fail(op, err);
	else if (is_success(answer))
		finish(op, S3_EXISTS, NULL, NULL);
	else
		create_upload(op); /* whatever it was: it is told in full there */
}

struct s3_op *s3_put(
	const struct s3_bucket *bucket, const char *key, struct slice body, bool once, s3_done_fn *fn, void *ctx)
{
	struct s3_op *op = op_new(bucket, key, "put", "s3:PutObject", ctx);
	op->fn = fn;
	op->counter = &op->state->counters.puts;
	op->body = body;
	op->once = once;
	if (body.len < MULTIPART_FROM)
		put_whole(op);
	else if (once)
		op->call = call(op, "HEAD", key, &(struct aws_call){ 0 }, on_looked, op);
	else
		create_upload(op);
	return op;
}

/* List. */

static void on_page(void *ctx, struct aws_answer *answer, const struct error *err);

static void list_page(struct s3_op *op)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	size_t left = op->limit - op->n_keys;
	struct aws_pair query[5] = {
		{ "list-type", "2" },
		{ "prefix", arena_printf(&arena, "%s%s", op->prefix, op->key) },
		{ "max-keys", arena_printf(&arena, "%zu", left < PAGE_KEYS ? left : PAGE_KEYS) },
	};
	size_t n = 3;
	if (op->token)
		query[n++] = (struct aws_pair){ "continuation-token", op->token };
	else if (op->after)
		query[n++] = (struct aws_pair){ "start-after", arena_printf(&arena, "%s%s", op->prefix, op->after) };
	op->n_pages++;
	op->call = call(op, "GET", NULL, &(struct aws_call){ .query = query, .n_query = n }, on_page, op);
}

/* False: a key that wasn't asked for. */
static bool add_key(struct s3_op *op, const struct s3_key *key)
{
	size_t n = strlen(op->prefix);
	if (strncmp(key->name, op->prefix, n) != 0 || strncmp(key->name + n, op->key, strlen(op->key)) != 0)
		return false;
	if (op->n_keys == op->capacity) {
		op->capacity = op->capacity ? 2 * op->capacity : 64;
		op->keys = reallocarray(op->keys, op->capacity, sizeof *op->keys);
		if (!op->keys)
			abort();
	}
	op->keys[op->n_keys++] = (struct s3_key){ key->name + n, key->size_bytes, key->modified_s };
	return true;
}

static void on_page(void *ctx, struct aws_answer *answer, const struct error *err)
{
	struct s3_op *op = ctx;
	struct s3_page page;
	struct error why;
	op->call = NULL;
	count(op, answer);
	if (!answer) {
		fail(op, err);
		return;
	}
	if (answer->status != 200) {
		refuse(op, answer);
		return;
	}
	if (s3_answer_page(buf_slice(&answer->response->body), &op->arena, &page, &why) < 0) {
		fail(op, &why);
		return;
	}
	for (size_t i = 0; i < page.n && op->n_keys < op->limit; i++) {
		if (!add_key(op, &page.keys[i])) {
			error_set(&why, EBADMSG, "the list has keys that don't begin so");
			fail(op, &why);
			return;
		}
	}
	if (!page.truncated || op->n_keys == op->limit) {
		finish(op, 0, NULL, NULL);
		return;
	}
	if (!*page.token || (op->token && strcmp(op->token, page.token) == 0) || op->n_pages == PAGES_MAX) {
		error_set(&why, EBADMSG, "the list doesn't go on, and isn't at its end");
		fail(op, &why);
		return;
	}
	op->token = page.token;
	list_page(op);
}

struct s3_op *s3_list(
	const struct s3_bucket *bucket, const char *prefix, const char *after, size_t limit, s3_list_fn *fn, void *ctx)
{
	struct s3_op *op = op_new(bucket, prefix, "list", "s3:ListBucket", ctx);
	op->list_fn = fn;
	op->after = after ? arena_strdup(&op->arena, after) : NULL;
	op->limit = limit;
	list_page(op);
	return op;
}

void s3_cancel(struct s3_op *op)
{
	if (!op)
		return;
	stop_calls(op);
	abort_upload(op);
	op_free(op);
}
