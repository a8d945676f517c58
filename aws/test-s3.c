#include "aws/test-client.h"

#include "aws/s3.h"
#include "base/cleanup.h"

/* A bucket ("/bucket") with a handful of objects. `fault` says what it gets wrong. */
static struct {
	char key[128];
	struct buf body;
} objects[64];
static size_t n_objects;
static struct {
	bool ignores_range, ignores_condition, refuses_condition, fails_complete_once, loses_completion, fails_part,
		lists_strangers, goes_nowhere, shifts_range;
	int status; /* of every answer; with `body` */
	const char *head, *body;
} fault;
static struct {
	unsigned parts, completed, aborted, created, heads, conditional;
	size_t largest_part;
	char target[512], range[64];
} seen;
static struct buf upload_parts[64];

static struct buf *find(const char *key)
{
	for (size_t i = 0; i < n_objects; i++) {
		if (strcmp(objects[i].key, key) == 0)
			return &objects[i].body;
	}
	return NULL;
}

static void store(const char *key, struct slice body)
{
	struct buf *there = find(key);
	if (!there) {
		snprintf(objects[n_objects].key, sizeof objects[0].key, "%s", key);
		there = &objects[n_objects++].body;
	}
	buf_reset(there);
	buf_append_slice(there, body);
}

static void answer_error(struct server_reply *reply, int status, const char *code)
{
	reply->status = status;
	buf_printf(&reply->body, "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>It is so</Message></Error>",
		code);
}

static const char *parameter(const char *target, const char *name, char value[static 256])
{
	const char *at = strchr(target, '?');
	size_t n = strlen(name);
	while (at && *at) {
		at++;
		if (strncmp(at, name, n) == 0 && (at[n] == '=' || at[n] == '&' || !at[n])) {
			const char *from = at[n] == '=' ? at + n + 1 : at + n;
			size_t k = 0;
			for (; *from && *from != '&' && k < 255; from++) {
				unsigned c = (unsigned char)*from;
				if (c == '%' && sscanf(from + 1, "%2x", &c) == 1)
					from += 2;
				value[k++] = c;
			}
			value[k] = '\0';
			return value;
		}
		at = strchr(at, '&');
	}
	return NULL;
}

static void answer_list(const char *target, struct server_reply *reply)
{
	char prefix[256], after[256] = "", token[256], max[256];
	parameter(target, "prefix", prefix);
	parameter(target, "start-after", after);
	parameter(target, "max-keys", max);
	if (parameter(target, "continuation-token", token))
		snprintf(after, sizeof after, "%s", token);
	const char *from = after, *last = "";
	unsigned n = 0, limit = atoi(max) < 3 ? atoi(max) : 3; /* pages of three */
	bool more = false;
	buf_append_str(&reply->body,
		"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (;;) {
		const char *next = NULL;
		size_t size = 0;
		for (size_t i = 0; i < n_objects; i++) {
			const char *key = objects[i].key;
			if (strncmp(key, prefix, strlen(prefix)) == 0 && strcmp(key, from) > 0 &&
				(!next || strcmp(key, next) < 0)) {
				next = key;
				size = objects[i].body.len;
			}
		}
		if (!next)
			break;
		if (n++ == limit) {
			more = true;
			break;
		}
		buf_printf(&reply->body,
			"<Contents><Key>%s%s</Key><LastModified>2027-01-15T08:00:00.000Z</LastModified><Size>%zu</"
			"Size></Contents>",
			fault.lists_strangers ? "x" : "", next, size);
		from = last = next;
	}
	buf_printf(&reply->body, "<IsTruncated>%s</IsTruncated>", more ? "true" : "false");
	if (more)
		buf_printf(&reply->body, "<NextContinuationToken>%s</NextContinuationToken>",
			fault.goes_nowhere ? "a" : last);
	buf_append_str(&reply->body, "</ListBucketResult>");
}

static void serve(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	char value[1024], number[256], key[256];
	snprintf(seen.target, sizeof seen.target, "%s", request->target);
	snprintf(seen.range, sizeof seen.range, "%.63s", server_header(request, "range", value));
	bool conditional = strcmp(server_header(request, "if-none-match", value), "*") == 0;
	seen.conditional += conditional;
	bool put = strcmp(request->method, "PUT") == 0, post = strcmp(request->method, "POST") == 0;
	if (fault.status) {
		reply->status = fault.status;
		buf_append_str(&reply->head, fault.head ? fault.head : "");
		buf_append_str(&reply->body, fault.body ? fault.body : "");
		return;
	}
	if (strncmp(request->target, "/bucket", 7) != 0) {
		answer_error(reply, 404, "NoSuchBucket");
		return;
	}
	if (conditional && fault.refuses_condition) {
		answer_error(reply, 501, "NotImplemented");
		return;
	}
	if (fault.ignores_condition)
		conditional = false;
	if (request->target[7] != '/') {
		answer_list(request->target, reply);
		return;
	}
	snprintf(key, sizeof key, "%.*s", (int)strcspn(request->target + 8, "?"), request->target + 8);
	struct buf *there = find(key);
	if (post && parameter(request->target, "uploads", number)) {
		seen.created++;
		buf_append_str(&reply->body,
			"<InitiateMultipartUploadResult><UploadId>an id</UploadId></InitiateMultipartUploadResult>");
	} else if (put && parameter(request->target, "partNumber", number)) {
		int i = atoi(number);
		assert_in_range(i, 1, 63);
		if (fault.fails_part && i == 2) {
			answer_error(reply, 400, "InvalidPart");
			return;
		}
		seen.parts++;
		seen.largest_part = request->body.len > seen.largest_part ? request->body.len : seen.largest_part;
		buf_reset(&upload_parts[i]);
		buf_append_slice(&upload_parts[i], request->body);
		buf_printf(&reply->head, "ETag: \"part%d\"\r\n", i);
	} else if (post) {
		struct buf whole = { 0 };
		parameter(request->target, "uploadId", value);
		assert_string_equal(value, "an id");
		for (unsigned i = 1; i <= seen.parts; i++) {
			char expected[96];
			snprintf(expected, sizeof expected,
				"<Part><PartNumber>%u</PartNumber><ETag>\"part%u\"</ETag></Part>", i, i);
			assert_non_null(memmem(request->body.ptr, request->body.len, expected, strlen(expected)));
			buf_append_slice(&whole, buf_slice(&upload_parts[i]));
		}
		if (conditional && there)
			answer_error(reply, 412, "PreconditionFailed");
		else if (fault.loses_completion && (store(key, buf_slice(&whole)), true))
			answer_error(reply, 404, "NoSuchUpload");
		else if (fault.fails_complete_once && !seen.completed)
			answer_error(reply, 200, "InternalError");
		else
			store(key, buf_slice(&whole));
		seen.completed++;
		buf_deinit(&whole);
	} else if (put) {
		if (conditional && there)
			answer_error(reply, 412, "PreconditionFailed");
		else
			store(key, request->body);
	} else if (strcmp(request->method, "DELETE") == 0) {
		seen.aborted += parameter(request->target, "uploadId", number) != NULL;
		reply->status = 204;
	} else if (!there) {
		answer_error(reply, 404, "NoSuchKey");
	} else if (strcmp(request->method, "HEAD") == 0) {
		seen.heads++;
		buf_append_slice(&reply->body, buf_slice(there)); /* for its length */
	} else if (*seen.range && !fault.ignores_range) {
		size_t from = 0, to = there->len - 1;
		sscanf(seen.range, "bytes=%zu-%zu", &from, &to);
		if (from >= there->len) {
			answer_error(reply, 416, "InvalidRange");
			return;
		}
		to = to < there->len ? to : there->len - 1;
		reply->status = 206;
		buf_printf(&reply->head, "Content-Range: bytes %zu-%zu/%zu\r\n", from + fault.shifts_range, to,
			there->len);
		buf_append(&reply->body, there->ptr + from, to - from + 1);
	} else {
		buf_append_slice(&reply->body, buf_slice(there));
	}
}

static struct client client;
static struct s3_bucket bucket;

static struct outcome {
	unsigned calls;
	int outcome, code;
	struct buf body;
	char text[600], keys[512];
	size_t n_keys;
	int64_t size_bytes, modified_s;
} out;

static void on_done(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	out.calls++;
	out.outcome = outcome;
	assert_true((outcome < 0) == (err != NULL));
	if (err) {
		out.code = err->code;
		snprintf(out.text, sizeof out.text, "%s", err->text);
	}
	buf_deinit(&out.body);
	out.body = *body;
	*body = (struct buf){ 0 };
}

static void on_keys(void *ctx, int outcome, const struct s3_key *keys, size_t n, const struct error *err)
{
	struct buf none = { 0 };
	on_done(ctx, outcome, &none, err);
	out.n_keys = n;
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(out.keys);
		snprintf(out.keys + at, sizeof out.keys - at, "%s ", keys[i].name);
		out.size_bytes = keys[i].size_bytes;
		out.modified_s = keys[i].modified_s;
	}
}

static struct s3_op *begun(struct s3_op *op)
{
	assert_int_equal(out.calls, 0);
	return op;
}

static void reset(void)
{
	buf_deinit(&out.body);
	out = (struct outcome){ 0 };
}

static int end_of(struct s3_op *op)
{
	begun(op);
	client_run_until(&client, &out.calls);
	assert_int_equal(out.calls, 1);
	return out.outcome;
}

static int get(const char *key, uint64_t offset, uint64_t length)
{
	reset();
	return end_of(s3_get(&bucket, key, offset, length, on_done, NULL));
}

static int put(const char *key, struct slice body, bool once)
{
	reset();
	return end_of(s3_put(&bucket, key, body, once, on_done, NULL));
}

static int list(const char *prefix, const char *after, size_t limit)
{
	reset();
	return end_of(s3_list(&bucket, prefix, after, limit, on_keys, NULL));
}

static int set_up(void **state)
{
	memset(&fault, 0, sizeof fault);
	memset(&seen, 0, sizeof seen);
	reset();
	client_begin(&client, serve, NULL, NULL);
	bucket = (struct s3_bucket){ client.aws, "bucket", "our/" };
	return 0;
}

static int tear_down(void **state)
{
	client_end(&client);
	reset();
	for (size_t i = 0; i < 64; i++) {
		buf_deinit(&objects[i].body);
		buf_deinit(&upload_parts[i]);
	}
	n_objects = 0;
	return 0;
}

static void s3__what_is_put_can_be_got(void **state)
{
	assert_int_equal(put("a/b", slice_str("hello"), false), 0);
	assert_string_equal(seen.target, "/bucket/our/a/b");
	assert_int_equal(get("a/b", 0, 0), 0);
	assert_string_equal(buf_str(&out.body), "hello");
	assert_string_equal(seen.range, "");
	assert_int_equal(put("empty", (struct slice){ 0 }, true), 0);
	assert_int_equal(get("empty", 0, 0), 0);
	assert_int_equal(out.body.len, 0);
	struct s3_counters counters = s3_counters(client.aws);
	assert_int_equal(counters.gets, 2);
	assert_int_equal(counters.puts, 2);
	assert_int_equal(counters.others, 0);
	assert_true(counters.bytes_in > 5 && counters.bytes_out > 5);
}

static void s3__what_is_not_there_is_absent(void **state)
{
	assert_int_equal(get("a", 0, 0), S3_ABSENT);
	reset();
	assert_int_equal(end_of(s3_head(&bucket, "a", on_done, NULL)), S3_ABSENT);
	put("a", slice_str("x"), false);
	reset();
	assert_int_equal(end_of(s3_head(&bucket, "a", on_done, NULL)), 0);
	reset();
	assert_int_equal(end_of(s3_delete(&bucket, "a", on_done, NULL)), 0);
}

static void s3__a_missing_bucket_is_an_error_that_says_what_to_do(void **state)
{
	bucket.name = "nobodys";
	assert_int_equal(get("a", 0, 0), -1);
	assert_int_equal(out.code, ENOENT);
	assert_non_null(strstr(out.text, "cannot get s3://nobodys/our/a"));
	assert_non_null(strstr(out.text, "create it"));
	assert_int_equal(put("a", slice_str("x"), true), -1);
	assert_int_equal(list("", NULL, 10), -1);
	assert_int_equal(out.n_keys, 0);
}

static void s3__once_means_once(void **state)
{
	assert_int_equal(put("a", slice_str("one"), true), 0);
	assert_int_equal(put("a", slice_str("two"), true), S3_EXISTS);
	get("a", 0, 0);
	assert_string_equal(buf_str(&out.body), "one");
	assert_int_equal(put("a", slice_str("two"), false), 0);
}

static void s3__a_store_without_conditions_is_asked_for_none_again(void **state)
{
	fault.refuses_condition = true;
	assert_int_equal(put("a", slice_str("one"), true), 0);
	assert_int_equal(put("b", slice_str("two"), true), 0);
	assert_int_equal(seen.conditional, 1);
	assert_int_equal(server_requests(client.server), 3);
}

static void s3__a_store_that_ignores_conditions_overwrites(void **state)
{
	fault.ignores_condition = true;
	assert_int_equal(put("a", slice_str("one"), true), 0);
	assert_int_equal(put("a", slice_str("one"), true), 0);
}

static void s3__a_part_of_an_object(void **state)
{
	put("a", slice_str("0123456789"), false);
	for (int i = 0; i < 2; i++) {
		fault.ignores_range = i;
		assert_int_equal(get("a", 2, 3), 0);
		assert_string_equal(buf_str(&out.body), "234");
		assert_string_equal(seen.range, "bytes=2-4");
		assert_int_equal(get("a", 7, 0), 0);
		assert_string_equal(buf_str(&out.body), "789");
		assert_int_equal(get("a", 8, 100), 0);
		assert_string_equal(buf_str(&out.body), "89");
		assert_int_equal(get("a", 11, 2), -1);
		assert_int_equal(out.code, ERANGE);
	}
	fault.ignores_range = false;
	fault.shifts_range = true;
	assert_int_equal(get("a", 2, 3), -1);
	assert_int_equal(out.code, EBADMSG);
}

static void s3__a_large_object_goes_in_parts(void **state)
{
	size_t n = (20 << 20) + 5;
	_cleanup_free_ char *large = malloc(n);
	for (size_t i = 0; i < n; i++)
		large[i] = i * 7 + (i >> 13);
	fault.fails_complete_once = true;
	assert_int_equal(put("large", slice_of(large, n), true), 0);
	assert_int_equal(seen.parts, 3);
	assert_int_equal(seen.largest_part, 8 << 20);
	assert_int_equal(seen.completed, 2);
	assert_int_equal(seen.aborted, 0);
	assert_int_equal(get("large", 0, 0), 0);
	assert_int_equal(out.body.len, n);
	assert_memory_equal(out.body.ptr, large, n);
	/* That it is there is known before it is sent. */
	assert_int_equal(put("large", slice_of(large, n), true), S3_EXISTS);
	assert_int_equal(seen.created, 1);
	assert_int_equal(seen.heads, 1);
}

static void s3__an_upload_whose_end_was_not_heard_of_is_looked_for(void **state)
{
	size_t n = 17 << 20;
	_cleanup_free_ char *large = calloc(1, n);
	fault.loses_completion = true;
	assert_int_equal(put("large", slice_of(large, n), false), 0);
	assert_int_equal(seen.heads, 1);
}

static void run_until_aborted(void)
{
	while (!seen.aborted)
		uv_run(&client.loop, UV_RUN_ONCE);
}

static void s3__parts_that_fail_are_cleared_away(void **state)
{
	size_t n = 40 << 20;
	_cleanup_free_ char *large = calloc(1, n);
	fault.fails_part = true;
	assert_int_equal(put("large", slice_of(large, n), false), -1);
	assert_non_null(strstr(out.text, "InvalidPart: It is so"));
	run_until_aborted();
	assert_int_equal(seen.completed, 0);
}

static void s3__a_cancelled_upload_is_cleared_away(void **state)
{
	size_t n = 40 << 20;
	_cleanup_free_ char *large = calloc(1, n);
	struct s3_op *op = begun(s3_put(&bucket, "large", slice_of(large, n), false, on_done, NULL));
	while (!seen.parts)
		uv_run(&client.loop, UV_RUN_ONCE);
	s3_cancel(op);
	s3_cancel(NULL);
	run_until_aborted();
	assert_int_equal(out.calls, 0);
}

static void s3__left_alone_with_work_under_way(void **state)
{
	size_t n = 40 << 20;
	static char large[40 << 20];
	s3_put(&bucket, "large", slice_of(large, n), false, on_done, NULL);
	while (!seen.parts)
		uv_run(&client.loop, UV_RUN_ONCE);
	s3_get(&bucket, "a", 0, 0, on_done, NULL);
	s3_list(&bucket, "a", NULL, 5, on_keys, NULL);
}

static void s3__a_list_has_all_pages(void **state)
{
	for (int i = 0; i < 8; i++) {
		char key[16];
		snprintf(key, sizeof key, "p/%d", i);
		put(key, slice_str("1234"), false);
	}
	put("q/1", slice_str("x"), false);
	assert_int_equal(list("p/", NULL, 100), 0);
	assert_string_equal(out.keys, "p/0 p/1 p/2 p/3 p/4 p/5 p/6 p/7 ");
	assert_int_equal(out.size_bytes, 4);
	assert_int_equal(out.modified_s, 1800000000);
	assert_int_equal(list("p/", "p/4", 2), 0);
	assert_string_equal(out.keys, "p/5 p/6 ");
	assert_int_equal(list("none", NULL, 100), 0);
	assert_int_equal(out.n_keys, 0);
	fault.goes_nowhere = true;
	assert_int_equal(list("p/", NULL, 100), -1);
	fault.lists_strangers = true;
	assert_int_equal(list("p/", NULL, 100), -1);
	assert_int_equal(out.n_keys, 0);
}

static void s3__an_illegible_list_is_an_error(void **state)
{
	fault.status = 200;
	static const char *const bodies[] = { "", "<ListBucketResult><Contents>", "{}", "<Other></Other>",
		"<!DOCTYPE a [<!ENTITY x \"y\">]><ListBucketResult/>" };
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		fault.body = bodies[i];
		assert_int_equal(list("", NULL, 10), -1);
		assert_non_null(strstr(out.text, "cannot list s3://bucket/our/"));
	}
}

static void s3__another_region_is_named(void **state)
{
	fault.status = 301;
	fault.head = "x-amz-bucket-region: eu-west-3\r\n";
	assert_int_equal(get("a", 0, 0), -1);
	assert_int_equal(out.code, EINVAL);
	assert_non_null(strstr(out.text, "eu-west-3, not in us-east-1"));
	fault.status = 400;
	fault.head = NULL;
	fault.body =
		"<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>garage</Region></Error>";
	assert_int_equal(put("a", slice_str("x"), true), -1);
	assert_non_null(strstr(out.text, "garage"));
	fault.status = 301;
	fault.body = NULL;
	assert_int_equal(get("a", 0, 0), -1);
	assert_non_null(strstr(out.text, "elsewhere"));
}

static void s3__a_denial_names_the_permission(void **state)
{
	fault.status = 403;
	fault.body = "<Error><Code>AccessDenied</Code><Message>No\x01 way</Message></Error>";
	assert_int_equal(put("a", slice_str("x"), true), -1);
	assert_int_equal(out.code, EACCES);
	fault.body = "<Error><Code>AccessDenied</Code><Message>Nope</Message></Error>";
	assert_int_equal(put("a", slice_str("x"), true), -1);
	assert_non_null(strstr(out.text, "cannot put s3://bucket/our/a: denied (AccessDenied: Nope)"));
	assert_non_null(strstr(out.text, "s3:PutObject on arn:aws:s3:::bucket/*"));
	fault.body = NULL;
	reset();
	assert_int_equal(end_of(s3_head(&bucket, "a", on_done, NULL)), -1);
	assert_non_null(strstr(out.text, "s3:GetObject"));
}

static void s3__slow_down_is_waited_out_and_then_told(void **state)
{
	fault.status = 503;
	fault.body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
	assert_int_equal(put("a", slice_str("x"), true), -1);
	assert_int_equal(out.code, EAGAIN);
	assert_int_equal(client.n_pauses, 3);
	assert_int_equal(client.pauses_ms[2], 2000);
	assert_non_null(strstr(out.text, "503 SlowDown"));
	assert_int_equal(s3_counters(client.aws).puts, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(s3__what_is_put_can_be_got),
		TEST(s3__what_is_not_there_is_absent),
		TEST(s3__a_missing_bucket_is_an_error_that_says_what_to_do),
		TEST(s3__once_means_once),
		TEST(s3__a_store_without_conditions_is_asked_for_none_again),
		TEST(s3__a_store_that_ignores_conditions_overwrites),
		TEST(s3__a_part_of_an_object),
		TEST(s3__a_large_object_goes_in_parts),
		TEST(s3__an_upload_whose_end_was_not_heard_of_is_looked_for),
		TEST(s3__parts_that_fail_are_cleared_away),
		TEST(s3__a_cancelled_upload_is_cleared_away),
		TEST(s3__left_alone_with_work_under_way),
		TEST(s3__a_list_has_all_pages),
		TEST(s3__an_illegible_list_is_an_error),
		TEST(s3__another_region_is_named),
		TEST(s3__a_denial_names_the_permission),
		TEST(s3__slow_down_is_waited_out_and_then_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
