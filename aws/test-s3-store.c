/* test-s3-store BUCKET: our S3 client against any store, configured as AWS's own tools are (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, …). Makes the bucket if
 * it can, leaves it empty of what it put, and says what the store can't. Exits with 0 if all that Llama needs is there. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/s3.h"
#include "base/cleanup.h"

static uv_loop_t loop;
static struct s3_bucket bucket;
static unsigned failed;

static struct {
	bool done;
	int outcome;
	struct buf body;
	size_t n_keys;
	char first[64], last[64];
	int64_t size_bytes;
	struct error err;
} out;

static void on_done(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	out.done = true;
	out.outcome = outcome;
	out.body = *body;
	*body = (struct buf){ 0 };
	if (err)
		out.err = *err;
}

static void on_keys(void *ctx, int outcome, const struct s3_key *keys, size_t n, const struct error *err)
{
	struct buf none = { 0 };
	on_done(ctx, outcome, &none, err);
	out.n_keys = n;
	if (n) {
		snprintf(out.first, sizeof out.first, "%.63s", keys[0].name);
		snprintf(out.last, sizeof out.last, "%.63s", keys[n - 1].name);
		out.size_bytes = keys[0].size_bytes;
	}
}

static void on_made(void *ctx, struct aws_answer *answer, const struct error *err)
{
	out.done = true;
	if (answer && answer->status >= 300)
		printf("# bucket: %d %s %s\n", answer->status, answer->code, answer->message);
	else if (err)
		printf("# bucket: %s\n", err->text);
}

static void begin(void)
{
	buf_deinit(&out.body);
	memset(&out, 0, sizeof out);
}

static void run(void)
{
	while (!out.done)
		uv_run(&loop, UV_RUN_ONCE);
}

static int put(const char *key, struct slice body, bool once)
{
	begin();
	s3_put(&bucket, key, body, once, on_done, NULL);
	run();
	return out.outcome;
}

static int get(const char *key, uint64_t offset, uint64_t length)
{
	begin();
	s3_get(&bucket, key, offset, length, on_done, NULL);
	run();
	return out.outcome;
}

static int head(const char *key)
{
	begin();
	s3_head(&bucket, key, on_done, NULL);
	run();
	return out.outcome;
}

static int remove_key(const char *key)
{
	begin();
	s3_delete(&bucket, key, on_done, NULL);
	run();
	return out.outcome;
}

static int list(const char *prefix, const char *after, size_t limit)
{
	begin();
	s3_list(&bucket, prefix, after, limit, on_keys, NULL);
	run();
	return out.outcome;
}

static void check(bool ok, const char *what)
{
	failed += !ok;
	printf("%s %s%s%s\n", ok ? "ok" : "not ok", what, ok || out.outcome >= 0 ? "" : ": ",
		ok || out.outcome >= 0 ? "" : out.err.text);
}

static bool body_is(const char *s)
{
	return slice_equal_str(buf_slice(&out.body), s);
}

int main(int argc, char **argv)
{
	struct aws_config config;
	struct error err;
	if (argc != 2) {
		fprintf(stderr, "usage: test-s3-store BUCKET\n");
		return 2;
	}
	uv_loop_init(&loop);
	struct aws *aws = NULL;
	if (aws_config_load(NULL, NULL, environ, &config, &err) < 0 || !(aws = aws_new(&loop, &config, &err))) {
		fprintf(stderr, "test-s3-store: %s\n", err.text);
		return 1;
	}
	bucket = (struct s3_bucket){ aws, argv[1], "llama-test/" };
	char path[256];
	snprintf(path, sizeof path, "/%s", argv[1]);
	begin();
	aws_start(aws, &(struct aws_call){ .service = "s3", .method = "PUT", .path = path }, on_made, NULL);
	run();

	static const char *const odd[] = { "plain", "with space", "a+b=c&d", "per%cent", "tilde~", "sl//ash",
		"dots/../up", "uml\xc3\xa4ut", "q?m#h", "(x)'!*$,;:@" };
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		char what[96];
		snprintf(what, sizeof what, "the key \"%s\"", odd[i]);
		bool ok = put(odd[i], slice_str(odd[i]), false) == 0 && get(odd[i], 0, 0) == 0 && body_is(odd[i]);
		check(ok, what);
		remove_key(odd[i]);
	}
	check(get("absent", 0, 0) == S3_ABSENT, "get: absent");
	check(head("absent") == S3_ABSENT, "head: absent");
	check(put("a", slice_str("0123456789"), true) == 0, "put once");
	int again = put("a", slice_str("0123456789"), true);
	check(again == S3_EXISTS || again == 0, "put once again");
	printf("# conditions are %s\n", again == S3_EXISTS ? "kept" : "ignored, or refused");
	check(head("a") == 0, "head");
	check(get("a", 2, 3) == 0 && body_is("234"), "range");
	check(get("a", 7, 0) == 0 && body_is("789"), "range to the end");
	check(get("a", 8, 50) == 0 && body_is("89"), "range beyond the end");
	check(get("a", 50, 5) == -1 && out.err.code == ERANGE, "range behind the end");
	check(put("empty", (struct slice){ 0 }, true) == 0 && get("empty", 0, 0) == 0 && out.body.len == 0,
		"an empty object");
	remove_key("empty");

	size_t n = ((size_t)21 << 20) + 3;
	_cleanup_free_ char *large = malloc(n);
	for (size_t i = 0; large && i < n; i++)
		large[i] = i * 31 + (i >> 11);
	check(put("large", slice_of(large, n), true) == 0, "a large object in parts");
	check(get("large", 0, 0) == 0 && slice_equal(buf_slice(&out.body), slice_of(large, n)), "the same, got");
	check(put("large", slice_of(large, n), true) == S3_EXISTS, "the same, once more");
	check(get("large", (8 << 20) - 2, 4) == 0 &&
			slice_equal(buf_slice(&out.body), slice_of(large + (8 << 20) - 2, 4)),
		"a range across parts");
	remove_key("large");

	char key[64];
	for (int i = 0; i < 25; i++) {
		snprintf(key, sizeof key, "list/%02d", i);
		put(key, slice_str("1234567"), false);
	}
	check(list("list/", NULL, 1000) == 0 && out.n_keys == 25 && !strcmp(out.first, "list/00") &&
			!strcmp(out.last, "list/24") && out.size_bytes == 7,
		"list");
	check(list("list/", "list/09", 5) == 0 && out.n_keys == 5 && !strcmp(out.first, "list/10"), "list after a key");
	check(list("none/", NULL, 5) == 0 && out.n_keys == 0, "list of nothing");
	for (int i = 0; i < 25; i++) {
		snprintf(key, sizeof key, "list/%02d", i);
		remove_key(key);
	}
	remove_key("a");
	check(list("", NULL, 10) == 0 && out.n_keys == 0, "all is deleted");
	bucket.name = "llama-no-such-bucket-anywhere";
	check(get("a", 0, 0) == -1 && (out.err.code == ENOENT || out.err.code == EACCES), "a missing bucket");
	printf("# %s\n", out.err.text);

	begin();
	struct s3_counters counters = s3_counters(aws);
	printf("# %llu gets, %llu puts, %llu others\n", (unsigned long long)counters.gets,
		(unsigned long long)counters.puts, (unsigned long long)counters.others);
	aws_free(aws);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	aws_config_deinit(&config);
	return failed ? 1 : 0;
}
