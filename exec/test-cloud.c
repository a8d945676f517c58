#include "exec/test-cloud.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "store/pack.h"
#include "store/tree.h"
#include "wire/job.h"
#include "worker/lookup_wire.h"

struct object {
	char *key; /* owned */
	struct buf body;
};

/* A call under way, of either service. */
struct operation {
	struct cloud *cloud;
	struct list link;
	uv_timer_t timer;
	bool held, is_put, is_head, is_list, is_lambda, lost, once;
	char key[160], after[160];
	struct slice body;
	struct buf got;
	int outcome;
	s3_done_fn *s3_fn;
	s3_list_fn *list_fn;
	lambda_done_fn *lambda_fn;
	struct cloud_reply reply;
	void *ctx;
};

void cloud_init(struct cloud *cloud, uv_loop_t *loop)
{
	*cloud = (struct cloud){ .loop = loop };
	list_init(&cloud->operations);
}

static void object_free(struct object *object)
{
	free(object->key);
	buf_deinit(&object->body);
	free(object);
}

void cloud_deinit(struct cloud *cloud)
{
	assert(list_empty(&cloud->operations));
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&cloud->objects, &at));)
		object_free(e->value);
	map_deinit(&cloud->objects);
}

struct aws *cloud_aws(struct cloud *cloud)
{
	return (struct aws *)cloud;
}

size_t cloud_count(const struct cloud *cloud, const char *prefix)
{
	size_t at = 0, n = 0;
	for (const struct map_entry *e; (e = map_next(&cloud->objects, &at));)
		n += slice_has_prefix(e->key, prefix);
	return n;
}

static struct object *find(struct cloud *cloud, const char *prefix)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&cloud->objects, &at));)
		if (slice_has_prefix(e->key, prefix))
			return e->value;
	return NULL;
}

void cloud_lose(struct cloud *cloud, const char *prefix)
{
	for (struct object *object; (object = find(cloud, prefix));) {
		map_remove(&cloud->objects, slice_str(object->key));
		object_free(object);
	}
}

void cloud_damage(struct cloud *cloud, const char *prefix)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&cloud->objects, &at));)
		if (slice_has_prefix(e->key, prefix))
			((struct object *)e->value)->body.ptr[((struct object *)e->value)->body.len - 1] ^= 1;
}

static void put(struct cloud *cloud, const char *key, struct slice body)
{
	struct object *object = calloc(1, sizeof(*object));
	assert(object);
	object->key = strdup(key);
	buf_append_slice(&object->body, body);
	struct object *old = map_put(&cloud->objects, slice_str(object->key), object);
	cloud->overwritten += old != NULL;
	if (old)
		object_free(old);
}

/* --- Calls ----------------------------------------------------------------------------------------------------- */

static void freed(uv_handle_t *timer)
{
	struct operation *operation = container_of((uv_timer_t *)timer, struct operation, timer);
	buf_deinit(&operation->got);
	buf_deinit(&operation->reply.payload);
	free(operation);
}

static void operation_end(struct operation *operation)
{
	struct cloud *cloud = operation->cloud;
	cloud->puts_under_way -= operation->is_put;
	cloud->running -= operation->is_lambda;
	list_remove(&operation->link);
	uv_close((uv_handle_t *)&operation->timer, freed);
}

static void s3_answer(struct operation *operation)
{
	struct cloud *cloud = operation->cloud;
	struct error err = { 0 };
	const struct object *object = map_get(&cloud->objects, slice_str(operation->key));
	if (operation->outcome < 0) {
		error_set(&err, cloud->refuse_puts ? cloud->refuse_puts : EIO, "S3 is ill");
	} else if (operation->is_put && operation->once && object) {
		cloud->exists++;
		operation->outcome = S3_EXISTS;
	} else if (operation->is_put && !operation->lost) {
		put(cloud, operation->key, operation->body);
	} else if (operation->is_head && object) {
		cloud->found++;
	} else if (!operation->is_put && object) {
		buf_append_slice(&operation->got, buf_slice(&object->body));
	} else if (!operation->is_put) {
		operation->outcome = S3_ABSENT;
	}
	operation->s3_fn(operation->ctx, operation->outcome, &operation->got, &err);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct s3_key *)a)->name, ((const struct s3_key *)b)->name);
}

static void list_answer(struct operation *operation)
{
	struct cloud *cloud = operation->cloud;
	struct error err = { 0 };
	struct s3_key keys[1000];
	size_t at = 0, n = 0;
	for (const struct map_entry *e; (e = map_next(&cloud->objects, &at));) {
		const struct object *object = e->value;
		if (slice_has_prefix(e->key, operation->key) && strcmp(object->key, operation->after) > 0 && n < 1000)
			keys[n++] = (struct s3_key){ object->key, (int64_t)object->body.len, 0 };
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	if (operation->outcome < 0)
		error_set(&err, EIO, "S3 is ill");
	operation->list_fn(operation->ctx, operation->outcome, keys, operation->outcome < 0 ? 0 : n, &err);
}

static void lambda_answer(struct operation *operation)
{
	struct cloud_reply *reply = &operation->reply;
	struct error err = { 0 };
	if (reply->outcome != LAMBDA_OK)
		error_set(&err, reply->code, "Lambda is ill");
	struct lambda_result result = {
		.outcome = reply->outcome,
		.reason = reply->reason ? reply->reason : "",
		.retry_after_ms = reply->retry_after_ms,
		.payload = buf_slice(&reply->payload),
		.bytes_sent = 100,
		.bytes_received = (int64_t)reply->payload.len,
	};
	operation->lambda_fn(operation->ctx, &result, &err);
}

static void on_time(uv_timer_t *timer)
{
	struct operation *operation = container_of(timer, struct operation, timer);
	operation_end(operation);
	if (operation->is_lambda)
		lambda_answer(operation);
	else if (operation->is_list)
		list_answer(operation);
	else
		s3_answer(operation);
}

static struct operation *operation_new(struct cloud *cloud, void *ctx)
{
	struct operation *operation = calloc(1, sizeof(*operation));
	assert(operation);
	operation->cloud = cloud;
	operation->ctx = ctx;
	uv_timer_init(cloud->loop, &operation->timer);
	list_append(&cloud->operations, &operation->link);
	return operation;
}

static struct operation *s3_new(const struct s3_bucket *bucket, const char *key, s3_done_fn *fn, void *ctx)
{
	struct operation *operation = operation_new((struct cloud *)bucket->aws, ctx);
	snprintf(operation->key, sizeof(operation->key), "%s%s", bucket->prefix, key);
	operation->s3_fn = fn;
	return operation;
}

static bool take(unsigned *n)
{
	return *n > 0 && (*n)--;
}

struct s3_op *s3_put(
	const struct s3_bucket *bucket, const char *key, struct slice body, bool once, s3_done_fn *fn, void *ctx)
{
	struct operation *operation = s3_new(bucket, key, fn, ctx);
	struct cloud *cloud = operation->cloud;
	operation->is_put = true;
	operation->once = once;
	operation->body = body;
	operation->outcome = take(&cloud->fail_puts) || cloud->refuse_puts ? -1 : 0;
	operation->lost = take(&cloud->lose_puts);
	operation->held = cloud->hold_puts;
	cloud->puts++;
	if (body.len > cloud->largest_put)
		cloud->largest_put = body.len;
	if (++cloud->puts_under_way > cloud->most_puts)
		cloud->most_puts = cloud->puts_under_way;
	if (!operation->held)
		uv_timer_start(&operation->timer, on_time, cloud->s3_delay_ms, 0);
	return (struct s3_op *)operation;
}

void cloud_release_puts(struct cloud *cloud)
{
	struct operation *operation;
	cloud->hold_puts = false;
	list_for_each (operation, &cloud->operations, struct operation, link)
		if (operation->held)
			uv_timer_start(&operation->timer, on_time, 0, 0);
}

struct s3_op *s3_get(
	const struct s3_bucket *bucket, const char *key, uint64_t offset, uint64_t length, s3_done_fn *fn, void *ctx)
{
	struct operation *operation = s3_new(bucket, key, fn, ctx);
	assert(offset == 0 && length == 0);
	operation->cloud->gets++;
	operation->outcome = take(&operation->cloud->fail_gets) ? -1 : 0;
	uv_timer_start(&operation->timer, on_time, operation->cloud->s3_delay_ms, 0);
	return (struct s3_op *)operation;
}

struct s3_op *s3_head(const struct s3_bucket *bucket, const char *key, s3_done_fn *fn, void *ctx)
{
	struct operation *operation = s3_new(bucket, key, fn, ctx);
	operation->is_head = true;
	operation->outcome = operation->cloud->refuse_heads ? -1 : 0;
	uv_timer_start(&operation->timer, on_time, operation->cloud->s3_delay_ms, 0);
	return (struct s3_op *)operation;
}

struct s3_op *s3_list(
	const struct s3_bucket *bucket, const char *prefix, const char *after, size_t limit, s3_list_fn *fn, void *ctx)
{
	struct operation *operation = s3_new(bucket, prefix, NULL, ctx);
	operation->is_list = true;
	operation->list_fn = fn;
	operation->cloud->lists++;
	snprintf(operation->after, sizeof(operation->after), "%s%s", bucket->prefix, after ? after : "");
	operation->outcome = take(&operation->cloud->fail_lists) ? -1 : 0;
	if (!operation->cloud->hold_lists)
		uv_timer_start(&operation->timer, on_time, operation->cloud->s3_delay_ms, 0);
	return (struct s3_op *)operation;
}

/* As aws_free() does. */
void cloud_cancel_all(struct cloud *cloud)
{
	while (!list_empty(&cloud->operations))
		operation_end(list_first(&cloud->operations, struct operation, link));
}

void cloud_put(struct cloud *cloud, const char *key, struct slice body)
{
	put(cloud, key, body);
}

void s3_cancel(struct s3_op *op)
{
	if (!op)
		return;
	operation_end((struct operation *)op);
}

struct lambda_op *lambda_invoke(struct aws *aws, const char *function, struct slice payload, bool log_tail,
	int64_t timeout_ms, lambda_done_fn *fn, void *ctx)
{
	struct cloud *cloud = (struct cloud *)aws;
	struct operation *operation = operation_new(cloud, ctx);
	struct cloud_reply *reply = &operation->reply;
	operation->is_lambda = true;
	operation->lambda_fn = fn;
	reply->delay_ms = cloud->lambda_delay_ms;
	unsigned n = cloud->invocations++;
	if (cloud->limit > 0 && cloud->running >= cloud->limit) {
		*reply = (struct cloud_reply){ .outcome = LAMBDA_THROTTLED,
			.reason = "ConcurrentInvocationLimitExceeded" };
	} else if (cloud->script) {
		cloud->script(cloud, n, payload, reply);
	} else {
		cloud_work(cloud, payload, reply);
	}
	if (++cloud->running > cloud->most_running)
		cloud->most_running = cloud->running;
	if (!reply->hang)
		uv_timer_start(&operation->timer, on_time, reply->delay_ms, 0);
	return (struct lambda_op *)operation;
}

void lambda_cancel(struct lambda_op *op)
{
	operation_end((struct operation *)op);
}

/* --- The worker ------------------------------------------------------------------------------------------------ */

struct worker {
	struct cloud *cloud;
	Job__Job *job;
	struct arena arena;
	struct digest missing;
};

static struct digest digest_from(const Reapi__Digest *from)
{
	struct digest digest = { .size_bytes = from->size_bytes };
	int outcome = digest_parse_hex(slice_str(from->hash), &digest);
	assert(outcome == 0);
	return digest;
}

static const struct object *object_at(struct worker *worker, const char *key)
{
	return map_get(&worker->cloud->objects,
		slice_str(arena_printf(&worker->arena, "%s%s", worker->job->bucket->prefix, key)));
}

static bool read_from_pack(struct worker *worker, const Job__Pack *from, const struct digest *digest, struct buf *ret)
{
	char key[128];
	assert(from->hash.len == DIGEST_HASH_BYTES);
	pack_key(from->hash.data, key);
	const struct object *pack = object_at(worker, key);
	struct pack_entry *entries = NULL;
	size_t n = 0;
	bool found = false;
	if (!pack || (int64_t)pack->body.len != from->size_bytes ||
		pack_index_parse(buf_slice(&pack->body), pack->body.len, &entries, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n && !found; i++)
		found = digest_equal(&entries[i].digest, digest) &&
			pack_blob(&entries[i], slice_of(pack->body.ptr + entries[i].offset, entries[i].stored), ret,
				NULL) == 0;
	free(entries);
	return found;
}

/* A blob by what the job says, as a worker gets it. */
static bool read_blob(struct worker *worker, const struct digest *digest, struct buf *ret)
{
	for (size_t i = 0; i < worker->job->n_packs; i++)
		if (read_from_pack(worker, worker->job->packs[i], digest, ret))
			return true;
	char key[128];
	pack_key_alone(digest, key);
	const struct object *alone = object_at(worker, key);
	if (alone && pack_alone_read(digest, buf_slice(&alone->body), ret, NULL) == 0)
		return true;
	worker->missing = *digest;
	return false;
}

static bool unfold(struct worker *worker)
{
	_cleanup_buf_ struct buf dictionary = { 0 };
	worker->cloud->folded += worker->job->folded != NULL;
	if (worker->job->folded) {
		struct digest digest = digest_from(worker->job->folded->dictionary);
		if (!read_blob(worker, &digest, &dictionary))
			return false;
		int outcome = job_unfold(worker->job, buf_slice(&dictionary), NULL);
		assert(outcome == 0);
	}
	assert(worker->job->command->n_arguments > 0);
	return true;
}

static bool fetch_all(struct worker *worker, const struct digest *root)
{
	_cleanup_buf_ struct buf message = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *entries;
	size_t n;
	if (!read_blob(worker, root, &message))
		return false;
	int outcome = tree_parse_directory(buf_slice(&message), &arena, &entries, &n, NULL);
	assert(outcome == 0);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf content = { 0 };
		if (entries[i].kind == TREE_DIRECTORY && !fetch_all(worker, &entries[i].digest))
			return false;
		if (entries[i].kind == TREE_FILE && !read_blob(worker, &entries[i].digest, &content))
			return false;
	}
	return true;
}

static bool take_overlays(struct worker *worker)
{
	worker->cloud->n_overlays_inline = 0;
	for (size_t i = 0; i < worker->job->n_overlays; i++) {
		const Job__Overlay *overlay = worker->job->overlays[i];
		_cleanup_buf_ struct buf content = { 0 };
		if (overlay->digest) {
			struct digest digest = digest_from(overlay->digest);
			if (!read_blob(worker, &digest, &content))
				return false;
			continue;
		}
		worker->cloud->n_overlays_inline++;
	}
	return true;
}

static Reapi__Digest *to_digest(const struct digest *digest, struct arena *arena)
{
	Reapi__Digest *ret = arena_new(arena, Reapi__Digest);
	reapi__digest__init(ret);
	ret->hash = arena_alloc(arena, DIGEST_HEX_CHARS + 1);
	digest_hex(digest, ret->hash);
	ret->size_bytes = digest->size_bytes;
	return ret;
}

static Reapi__OutputFile *make_output(struct worker *worker, char *path)
{
	struct slice content = worker->cloud->output.len ? worker->cloud->output : slice_str(path);
	struct digest digest = digest_of(content);
	Reapi__OutputFile *file = arena_new(&worker->arena, Reapi__OutputFile);
	reapi__output_file__init(file);
	file->path = path;
	file->digest = to_digest(&digest, &worker->arena);
	if (worker->cloud->apart_bytes == 0 || content.len <= worker->cloud->apart_bytes) {
		file->contents = (ProtobufCBinaryData){ content.len, (uint8_t *)content.ptr };
		return file;
	}
	char key[128];
	_cleanup_buf_ struct buf stored = { 0 };
	pack_key_alone(&digest, key);
	pack_alone_write(content, &stored);
	put(worker->cloud, arena_printf(&worker->arena, "%s%s", worker->job->bucket->prefix, key), buf_slice(&stored));
	return file;
}

static void seal_result(const Job__Result *result, struct buf *payload)
{
	_cleanup_buf_ struct buf message = { 0 };
	char *at = buf_reserve(&message, job__result__get_packed_size(result));
	message.len = job__result__pack(result, (uint8_t *)at);
	job_seal(JOB_RESULT, buf_slice(&message), payload);
}

void cloud_work(struct cloud *cloud, struct slice payload, struct cloud_reply *reply)
{
	_cleanup_buf_ struct buf message = { 0 }, lookups = { 0 };
	struct error err;
	int outcome = job_open(JOB_REQUEST, payload, &message, &err);
	assert(outcome == 0 && payload.len <= JOB_BODY_LIMIT);
	Job__Job *job = job__job__unpack(NULL, message.len, (const uint8_t *)message.ptr);
	assert(job && job->version == JOB_VERSION && job->root);
	struct worker worker = { cloud, job, ARENA_INIT, { .size_bytes = 0 } };
	struct digest root = digest_from(job->root);
	Job__Result result = JOB__RESULT__INIT;
	Job__Usage usage = JOB__USAGE__INIT;
	Reapi__ActionResult action = REAPI__ACTION_RESULT__INIT;
	Reapi__Digest *missing;
	struct lookup source = { "/src/a.c", LOOKUP_FILE, { { 0 }, 0 } };
	cloud->timeout_ms = job->timeout_ms;
	cloud->n_packs = job->n_packs;
	result.version = JOB_VERSION;
	result.id = job->id;
	result.usage = &usage;
	usage.wall_us = 5000;
	usage.overhead_us = 2000;
	usage.cold = cloud->invocations == 1;
	if (!unfold(&worker) || !fetch_all(&worker, &root) || !take_overlays(&worker)) {
		missing = to_digest(&worker.missing, &worker.arena);
		result.outcome = JOB__RESULT__OUTCOME__MISSING;
		result.missing = &missing;
		result.n_missing = 1;
	} else {
		action.n_output_files = job->command->n_output_paths;
		action.output_files = arena_array(&worker.arena, Reapi__OutputFile *, action.n_output_files + 1);
		for (size_t i = 0; i < action.n_output_files; i++)
			action.output_files[i] = make_output(&worker, job->command->output_paths[i]);
		action.stderr_raw = (ProtobufCBinaryData){ 7, (uint8_t *)"warning" };
		lookup_wire_encode(&(struct lookups){ &source, 1 }, &lookups);
		result.result = &action;
		result.complete = true;
		result.lookups = (ProtobufCBinaryData){ lookups.len, (uint8_t *)lookups.ptr };
	}
	if (cloud->tamper)
		cloud->tamper(&result, job);
	seal_result(&result, &reply->payload);
	arena_deinit(&worker.arena);
	job__job__free_unpacked(job, NULL);
}
