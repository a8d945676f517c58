#include <assert.h>
#include <stdlib.h>

#include "aws/s3.h"
#include "runtime/bucket.h"

enum { AT_ONCE = 32 };

struct bucket_s3 {
	struct bucket bucket;
	uv_loop_t loop;
	struct arena arena;
	struct aws_config config;
	struct aws *aws;
	struct s3_bucket s3;
};

/* Objects on their way; `under_way` of them. */
struct batch {
	struct bucket_s3 *bucket;
	size_t under_way;
};

struct transfer {
	struct batch *batch;
	struct bucket_get *get; /* or */
	struct bucket_put *put;
};

static void got(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct transfer *transfer = ctx;
	struct bucket_get *get = transfer->get;
	get->outcome = outcome == S3_ABSENT ? BUCKET_ABSENT : outcome;
	if (outcome == 0) {
		get->body = *body;
		*body = (struct buf){ 0 };
	} else if (outcome < 0) {
		get->err = *err;
	}
	transfer->batch->under_way--;
}

static void was_put(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct transfer *transfer = ctx;
	transfer->put->outcome = outcome < 0 ? -1 : 0;
	if (outcome < 0)
		transfer->put->err = *err;
	transfer->batch->under_way--;
}

static void wait_below(struct batch *batch, size_t n)
{
	while (batch->under_way > n)
		uv_run(&batch->bucket->loop, UV_RUN_ONCE);
}

static struct bucket_s3 *of(struct bucket *bucket)
{
	return (struct bucket_s3 *)bucket;
}

static void s3_bucket_get(struct bucket *bucket, struct bucket_get *gets, size_t n)
{
	struct batch batch = { .bucket = of(bucket) };
	struct transfer *transfers = calloc(n + 1, sizeof(*transfers));
	if (!transfers)
		abort();
	for (size_t i = 0; i < n; i++) {
		transfers[i] = (struct transfer){ .batch = &batch, .get = &gets[i] };
		wait_below(&batch, AT_ONCE - 1);
		batch.under_way++;
		s3_get(&of(bucket)->s3, gets[i].key, gets[i].offset, gets[i].length, got, &transfers[i]);
	}
	wait_below(&batch, 0);
	free(transfers);
}

static void s3_bucket_put(struct bucket *bucket, struct bucket_put *puts, size_t n)
{
	struct batch batch = { .bucket = of(bucket) };
	struct transfer *transfers = calloc(n + 1, sizeof(*transfers));
	if (!transfers)
		abort();
	for (size_t i = 0; i < n; i++) {
		transfers[i] = (struct transfer){ .batch = &batch, .put = &puts[i] };
		wait_below(&batch, AT_ONCE - 1);
		batch.under_way++;
		s3_put(&of(bucket)->s3, puts[i].key, puts[i].body, true, was_put, &transfers[i]);
	}
	wait_below(&batch, 0);
	free(transfers);
}

static struct bucket_counters s3_bucket_counters(struct bucket *bucket)
{
	struct s3_counters c = s3_counters(of(bucket)->aws);
	return (struct bucket_counters){ c.gets, c.puts, c.bytes_in, c.bytes_out };
}

static void s3_bucket_free(struct bucket *bucket)
{
	struct bucket_s3 *s3 = of(bucket);
	aws_free(s3->aws);
	while (uv_loop_close(&s3->loop) == UV_EBUSY) /* handles close with the loop's next turns */
		uv_run(&s3->loop, UV_RUN_ONCE);
	aws_config_deinit(&s3->config);
	arena_deinit(&s3->arena);
	free((char *)s3->s3.name);
	free((char *)s3->s3.prefix);
	free(s3);
}

/* The credentials, and of where things are only what the job says: there are no files here, nor a machine to ask. */
static char **compose_environment(const struct bucket_place *place, char *const *secrets, struct arena *arena)
{
	static const char *const passed[] = { "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=", "AWS_CONTAINER_AUTHORIZATION_TOKEN=", "AWS_CA_BUNDLE=" };
	enum { N_PASSED = sizeof(passed) / sizeof(passed[0]) };
	char **environment = arena_array(arena, char *, N_PASSED + 6);
	size_t n = 0;
	for (size_t i = 0; i < N_PASSED; i++) {
		for (char *const *p = secrets; *p; p++) {
			if (slice_has_prefix(slice_str(*p), passed[i])) {
				environment[n++] = *p;
				break;
			}
		}
	}
	environment[n++] = arena_printf(arena, "AWS_REGION=%s", place->region);
	environment[n++] = arena_strdup(arena, "AWS_EC2_METADATA_DISABLED=true");
	environment[n++] = arena_strdup(arena, "AWS_CONFIG_FILE=/dev/null");
	environment[n++] = arena_strdup(arena, "AWS_SHARED_CREDENTIALS_FILE=/dev/null");
	if (*place->endpoint)
		environment[n++] = arena_printf(arena, "AWS_ENDPOINT_URL_S3=%s", place->endpoint);
	return environment;
}

struct bucket *bucket_s3_new(const struct bucket_place *place, char *const *secrets, struct error *err)
{
	static const struct bucket_ops ops = { s3_bucket_get, s3_bucket_put, s3_bucket_counters, s3_bucket_free };
	struct bucket_s3 *s3 = calloc(1, sizeof(*s3));
	if (!s3)
		abort();
	s3->bucket.ops = &ops;
	int code = uv_loop_init(&s3->loop);
	if (code < 0) {
		error_set(err, -code, "cannot make an event loop");
		free(s3);
		return NULL;
	}
	char **environment = compose_environment(place, secrets, &s3->arena);
	s3->s3.name = strdup(place->name);
	s3->s3.prefix = strdup(place->prefix);
	if (!s3->s3.name || !s3->s3.prefix)
		abort();
	if (aws_config_load(NULL, place->region, environment, &s3->config, err) < 0 ||
		!(s3->aws = aws_new(&s3->loop, &s3->config, err))) {
		s3_bucket_free(&s3->bucket);
		return NULL;
	}
	s3->s3.aws = s3->aws;
	return &s3->bucket;
}
