#include "exec/lambda_wire.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "store/pack.h"
#include "wire/job.h"
#include "wire/job.pb-c.h"
#include "worker/lookup_wire.h"

/* A terminal whose width isn't known is as good as a very wide one; 0 is none at all. */
enum { UNKNOWN_COLUMNS = UINT16_MAX };

enum { ERROR_LIMIT = 400 /* characters of a worker's words */ };

/* --- The job --------------------------------------------------------------------------------------------------- */

static Reapi__Digest *put_digest(const struct digest *digest, struct arena *arena)
{
	Reapi__Digest *ret = arena_new(arena, Reapi__Digest);
	reapi__digest__init(ret);
	ret->hash = arena_alloc(arena, DIGEST_HEX_CHARS + 1);
	digest_hex(digest, ret->hash);
	ret->size_bytes = digest->size_bytes;
	return ret;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_variables(const void *a, const void *b)
{
	const Reapi__Command__EnvironmentVariable *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

static int put_command(const struct exec_job *job, struct arena *arena, Reapi__Command *ret, struct error *err)
{
	reapi__command__init(ret);
	while (job->argv[ret->n_arguments])
		ret->n_arguments++;
	ret->arguments = (char **)job->argv;
	size_t n = 0;
	while (job->env[n])
		n++;
	ret->environment_variables = arena_array(arena, Reapi__Command__EnvironmentVariable *, n + 1);
	ret->n_environment_variables = n;
	for (size_t i = 0; i < n; i++) {
		const char *equals = strchr(job->env[i], '=');
		if (!equals)
			return error_set(err, EINVAL, "the environment has %s without a value", job->env[i]);
		Reapi__Command__EnvironmentVariable *variable = arena_new(arena, Reapi__Command__EnvironmentVariable);
		reapi__command__environment_variable__init(variable);
		variable->name = arena_strndup(arena, job->env[i], (size_t)(equals - job->env[i]));
		variable->value = (char *)equals + 1;
		ret->environment_variables[i] = variable;
	}
	if (n > 0)
		qsort(ret->environment_variables, n, sizeof(*ret->environment_variables), compare_variables);
	ret->working_directory = (char *)job->cwd;
	ret->output_paths = arena_array(arena, char *, job->n_outputs + 1);
	ret->n_output_paths = job->n_outputs;
	for (size_t i = 0; i < job->n_outputs; i++)
		ret->output_paths[i] = (char *)job->outputs[i].path;
	if (job->n_outputs > 0)
		qsort(ret->output_paths, job->n_outputs, sizeof(*ret->output_paths), compare_strings);
	return 0;
}

/* `bytes` holds the contents until the message is encoded. */
static int put_overlay(const struct exec_overlay *overlay, struct store *files, struct arena *arena, struct buf *bytes, Job__Overlay *ret,
	struct digest *missing, struct error *err)
{
	job__overlay__init(ret);
	ret->path = (char *)overlay->path;
	ret->mtime_ns = overlay->mtime_ns;
	ret->is_executable = overlay->executable;
	if (!files)
		ret->digest = put_digest(&overlay->digest, arena);
	int outcome = files ? store_get(files, &overlay->digest, bytes, err) : 0;
	if (outcome == STORE_MISS)
		*missing = overlay->digest;
	ret->contents = (ProtobufCBinaryData){ bytes->len, (uint8_t *)bytes->ptr };
	return outcome;
}

static int put_overlays(const struct lambda_parcel *parcel, struct store *files, struct arena *arena, struct buf *bytes, Job__Job *ret,
	struct digest *missing, struct error *err)
{
	const struct exec_job *job = parcel->job;
	ret->n_overlays = job->n_overlays;
	ret->overlays = arena_array(arena, Job__Overlay *, job->n_overlays + 1);
	for (size_t i = 0; i < job->n_overlays; i++) {
		ret->overlays[i] = arena_new(arena, Job__Overlay);
		int outcome = put_overlay(&job->overlays[i], parcel->overlays_apart ? NULL : files, arena, &bytes[i], ret->overlays[i], missing, err);
		if (outcome != 0)
			return outcome;
	}
	return 0;
}

static void put_packs(const struct lambda_parcel *parcel, struct arena *arena, Job__Job *ret)
{
	ret->n_packs = parcel->n_packs;
	ret->packs = arena_array(arena, Job__Pack *, parcel->n_packs + 1);
	for (size_t i = 0; i < parcel->n_packs; i++) {
		ret->packs[i] = arena_new(arena, Job__Pack);
		job__pack__init(ret->packs[i]);
		ret->packs[i]->hash = (ProtobufCBinaryData){ DIGEST_HASH_BYTES, (uint8_t *)parcel->packs[i].hash };
		ret->packs[i]->size_bytes = parcel->packs[i].size_bytes;
	}
}

/* `frame` holds the folded part until the message is encoded. */
static void fold(const struct lambda_parcel *parcel, struct arena *arena, struct buf *frame, Job__Job *to)
{
	_cleanup_buf_ struct buf part = { 0 };
	if (!parcel->dictionary && !parcel->part)
		return;
	job_part_to_fold(to, &part);
	if (parcel->dictionary) {
		compress_append_with(parcel->dictionary->dictionary, buf_slice(&part), frame);
		to->folded = arena_new(arena, Job__Folded);
		job__folded__init(to->folded);
		to->folded->dictionary = put_digest(&parcel->dictionary->digest, arena);
		to->folded->frame = (ProtobufCBinaryData){ frame->len, (uint8_t *)frame->ptr };
		to->command = NULL;
		to->n_overlays = 0;
	}
	if (parcel->part)
		buf_append_slice(parcel->part, buf_slice(&part));
}

int lambda_wire_job(const struct lambda_parcel *parcel, struct store *files, struct buf *json, struct digest *missing, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf message = { 0 };
	const struct exec_job *job = parcel->job;
	Reapi__Command command;
	if (put_command(job, &arena, &command, err) < 0)
		return -1;
	Job__Bucket bucket = JOB__BUCKET__INIT;
	bucket.name = (char *)parcel->place->bucket;
	bucket.prefix = (char *)parcel->place->prefix;
	bucket.region = (char *)parcel->place->region;
	bucket.endpoint = (char *)parcel->place->endpoint;
	Job__Job to = JOB__JOB__INIT;
	to.version = JOB_VERSION;
	to.id = (ProtobufCBinaryData){ LAMBDA_ID_BYTES, (uint8_t *)parcel->id };
	to.command = &command;
	to.umask = job->umask;
	to.columns = !job->tty ? 0 : job->columns ? job->columns : UNKNOWN_COLUMNS;
	to.rows = job->tty ? job->rows : 0;
	to.root = put_digest(&job->root, &arena);
	to.bucket = &bucket;
	to.timeout_ms = parcel->timeout_ms;
	to.keep = job->share;
	put_packs(parcel, &arena, &to);

	struct buf *bytes = arena_array(&arena, struct buf, job->n_overlays + 1);
	int outcome = put_overlays(parcel, files, &arena, bytes, &to, missing, err);
	_cleanup_buf_ struct buf frame = { 0 };
	if (outcome == 0) {
		fold(parcel, &arena, &frame, &to);
		char *at = buf_reserve(&message, job__job__get_packed_size(&to));
		message.len = job__job__pack(&to, (uint8_t *)at);
		job_seal(JOB_REQUEST, buf_slice(&message), json);
	}
	for (size_t i = 0; i < job->n_overlays; i++)
		buf_deinit(&bytes[i]);
	return outcome;
}

/* --- The answer ------------------------------------------------------------------------------------------------ */

/* Messages of two bytes unpack to structs of a hundred: what an answer may take is bounded by what it is. */
struct budget {
	struct arena *arena;
	size_t left;
};

static void *allocate(void *ctx, size_t size)
{
	struct budget *budget = ctx;
	if (size > budget->left)
		return NULL;
	budget->left -= size;
	return arena_alloc(budget->arena, size);
}

static void release(void *ctx, void *memory)
{
}

static int dishonest(struct error *err, const char *what)
{
	return error_set(err, EBADMSG, "the function's answer %s", what);
}

static int take_digest(const Reapi__Digest *from, struct digest *ret, struct error *err)
{
	if (!from || digest_parse_hex(slice_str(from->hash), ret) < 0 || from->size_bytes < 0)
		return dishonest(err, "has a malformed digest");
	ret->size_bytes = from->size_bytes;
	return 0;
}

/* Bytes that came with the answer, or, where they are none and should be some, apart. */
static int take_content(ProtobufCBinaryData bytes, const Reapi__Digest *digest, bool executable, struct lambda_content *ret, struct error *err)
{
	*ret = (struct lambda_content){ .present = true, .executable = executable, .bytes = slice_of(bytes.data, bytes.len) };
	if (take_digest(digest, &ret->digest, err) < 0)
		return -1;
	ret->apart = bytes.len == 0 && ret->digest.size_bytes > 0;
	if (ret->apart && ret->digest.size_bytes > LAMBDA_CONTENT_LIMIT)
		return dishonest(err, "has an output beyond all measure");
	if (ret->apart)
		return 0;
	struct digest is = digest_of(ret->bytes);
	return digest_equal(&is, &ret->digest) ? 0 : dishonest(err, "has content that is not what its digest says");
}

/* A message needs no digest when it is here, or empty. */
static int take_message(ProtobufCBinaryData bytes, const Reapi__Digest *digest, struct lambda_content *ret, struct error *err)
{
	if (digest)
		return take_content(bytes, digest, false, ret, err);
	*ret = (struct lambda_content){ .present = true, .bytes = slice_of(bytes.data, bytes.len) };
	ret->digest = digest_of(ret->bytes);
	return 0;
}

static int take_outputs(const Reapi__ActionResult *from, const struct exec_job *job, struct lambda_answer *ret, struct error *err)
{
	if (from->n_output_files > job->n_outputs || from->n_output_directories > 0 || from->n_output_symlinks > 0 ||
		from->n_output_file_symlinks > 0 || from->n_output_directory_symlinks > 0)
		return dishonest(err, "has outputs that nobody asked for");
	ret->n_contents = job->n_outputs + 2;
	ret->contents = arena_array(&ret->arena, struct lambda_content, ret->n_contents);
	for (size_t i = 0; i < from->n_output_files; i++) {
		const Reapi__OutputFile *file = from->output_files[i];
		size_t k = 0;
		while (k < job->n_outputs && strcmp(file->path, job->outputs[k].path) != 0)
			k++;
		if (k == job->n_outputs)
			return dishonest(err, "has an output that nobody asked for");
		if (ret->contents[k].present)
			return dishonest(err, "has an output twice");
		if (take_content(file->contents, file->digest, file->is_executable, &ret->contents[k], err) < 0)
			return -1;
	}
	struct lambda_content *messages = &ret->contents[job->n_outputs];
	if (take_message(from->stdout_raw, from->stdout_digest, &messages[0], err) < 0 ||
		take_message(from->stderr_raw, from->stderr_digest, &messages[1], err) < 0)
		return -1;
	return 0;
}

static int64_t at_least_0(int64_t n)
{
	return n > 0 ? n : 0;
}

static void take_usage(const Job__Usage *from, struct lambda_answer *ret, struct exec_result *result)
{
	if (!from)
		return;
	result->user_us = at_least_0(from->user_us);
	result->system_us = at_least_0(from->system_us);
	result->wall_us = at_least_0(from->wall_us);
	result->max_rss_kb = at_least_0(from->max_rss_kb);
	result->synced_bytes = at_least_0(from->synced_bytes);
	ret->overhead_us = at_least_0(from->overhead_us);
	ret->cold = from->cold;
	ret->memory_mb = from->memory_mb;
	ret->s3_gets = from->s3_gets;
	ret->s3_puts = from->s3_puts;
	ret->s3_bytes_in = (uint64_t)at_least_0(from->s3_bytes_in);
	ret->s3_bytes_out = (uint64_t)at_least_0(from->s3_bytes_out);
}

static int take_shared(const Job__Pack *from, const struct exec_job *job, struct exec_result *result, struct error *err)
{
	if (!from)
		return 0;
	if (!job->share || from->hash.len != DIGEST_HASH_BYTES || from->size_bytes <= 0 || from->size_bytes > LAMBDA_CONTENT_LIMIT)
		return dishonest(err, "has a pack that nobody asked for");
	memcpy(result->shared.hash, from->hash.data, DIGEST_HASH_BYTES);
	result->shared.size_bytes = from->size_bytes;
	return 0;
}

static int take_done(const Job__Result *from, const struct exec_job *job, struct lambda_answer *ret, struct exec_result *result, struct error *err)
{
	if (!from->result || from->result->exit_code < 0 || from->result->exit_code > 255 || from->signal < 0 || from->signal > 127)
		return dishonest(err, "has no exit code");
	result->exit_code = from->result->exit_code;
	result->signal = from->signal;
	result->timed_out = from->timed_out;
	if (take_outputs(from->result, job, ret, err) < 0 || take_shared(from->kept, job, result, err) < 0)
		return -1;
	result->strays = arena_array(&result->arena, const char *, from->n_strays + 1);
	for (size_t i = 0; i < from->n_strays; i++) {
		if (from->strays[i][0] != '/')
			return dishonest(err, "has a path that is not absolute");
		result->strays[result->n_strays++] = arena_strdup(&result->arena, from->strays[i]);
	}
	struct lookups *lookups = &result->log.lookups;
	if (lookup_wire_decode(slice_of(from->lookups.data, from->lookups.len), &result->arena, lookups, err) < 0)
		return -1;
	/* The first look-up of all, of the program itself, was made before any of it could be observed. */
	struct lookup *all = arena_array(&result->arena, struct lookup, lookups->n + 1);
	if (lookups->n > 0)
		memcpy(all, lookups->v, lookups->n * sizeof(*all));
	all[lookups->n] = (struct lookup){ path_squeeze(&result->arena, job->argv[0]), LOOKUP_FILE, { { 0 }, 0 } };
	*lookups = (struct lookups){ all, lookups->n + 1 };
	lookups_sort(lookups);
	result->log.clock = from->clock;
	result->log.complete = from->complete;
	return 0;
}

static int take_missing(const Job__Result *from, struct lambda_answer *ret, struct exec_result *result, struct error *err)
{
	if (from->n_missing == 0)
		return dishonest(err, "misses nothing in particular");
	struct digest *missing = arena_array(&ret->arena, struct digest, from->n_missing);
	for (size_t i = 0; i < from->n_missing; i++)
		if (take_digest(from->missing[i], &missing[i], err) < 0)
			return -1;
	ret->missing = missing;
	ret->n_missing = from->n_missing;
	result->missing = missing[0];
	return 0;
}

/* One line, for a log. */
static const char *printable(const char *text, struct arena *arena)
{
	char *ret = arena_strndup(arena, text, strnlen(text, ERROR_LIMIT));
	for (char *at = ret; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	return ret;
}

int lambda_wire_answer(struct slice json, const uint8_t id[static LAMBDA_ID_BYTES], const struct exec_job *job, struct lambda_answer *ret,
	struct exec_result *result, struct error *err)
{
	_cleanup_buf_ struct buf message = { 0 };
	if (job_open(JOB_RESULT, json, &message, err) < 0)
		return -1;
	struct budget budget = { &ret->arena, 4 * message.len + (1 << 20) };
	ProtobufCAllocator allocator = { .alloc = allocate, .free = release, .allocator_data = &budget };
	const Job__Result *from = job__result__unpack(&allocator, message.len, (const uint8_t *)buf_str(&message));
	if (!from)
		return dishonest(err, "is malformed");
	if (from->version != JOB_VERSION)
		return error_set(err, EPROTO, "the function speaks version %u of the protocol, %d is spoken here", from->version, JOB_VERSION);
	if (from->id.len != LAMBDA_ID_BYTES || memcmp(from->id.data, id, LAMBDA_ID_BYTES) != 0)
		return dishonest(err, "is to another job");
	result->outputs = arena_array(&result->arena, struct exec_output_result, job->n_outputs + 1);
	take_usage(from->usage, ret, result);
	ret->error = printable(from->error, &ret->arena);
	switch ((int)from->outcome) {
	case JOB__RESULT__OUTCOME__DONE:
		ret->kind = LAMBDA_ANSWER_DONE;
		return take_done(from, job, ret, result, err);
	case JOB__RESULT__OUTCOME__MISSING:
		ret->kind = LAMBDA_ANSWER_MISSING;
		return take_missing(from, ret, result, err);
	case JOB__RESULT__OUTCOME__FAILED:
		ret->kind = LAMBDA_ANSWER_FAILED;
		return 0;
	case JOB__RESULT__OUTCOME__LEAKED:
		ret->kind = LAMBDA_ANSWER_LEAKED;
		return 0;
	}
	return dishonest(err, "has an unknown outcome");
}

void lambda_answer_deinit(struct lambda_answer *answer)
{
	for (size_t i = 0; i < answer->n_contents; i++)
		buf_deinit(&answer->contents[i].stored);
	buf_deinit(&answer->shared);
	arena_deinit(&answer->arena);
	*answer = (struct lambda_answer){ 0 };
}

/* --- Delivery -------------------------------------------------------------------------------------------------- */

/* The fault is the bucket's, whatever the reader says. */
static int damaged(struct error *err)
{
	error_wrap(err, "an output in the bucket");
	if (err)
		err->code = EBADMSG;
	return -1;
}

/* What came apart, verified. */
static int read_apart(const struct lambda_answer *answer, const struct lambda_content *content, struct buf *ret, struct error *err)
{
	if (answer->shared.len == 0)
		return pack_alone_read(&content->digest, buf_slice(&content->stored), ret, err) < 0 ? damaged(err) : 0;
	_cleanup_free_ struct pack_entry *entries = NULL;
	size_t n;
	if (pack_index_parse(buf_slice(&answer->shared), answer->shared.len, &entries, &n, err) < 0)
		return damaged(err);
	for (size_t i = 0; i < n; i++) {
		if (!digest_equal(&entries[i].digest, &content->digest))
			continue;
		struct slice stored = slice_of(answer->shared.ptr + entries[i].offset, entries[i].stored);
		return pack_blob(&entries[i], stored, ret, err) < 0 ? damaged(err) : 0;
	}
	error_set(err, 0, "its pack doesn't have it");
	return damaged(err);
}

static int deliver_output(const struct exec_output *output, struct slice bytes, const struct lambda_content *from, mode_t mask, struct error *err)
{
	if (!output->temporary)
		return 0;
	_cleanup_close_ int fd = file_create(output->temporary, from->executable ? 0777 : 0666, mask, err);
	if (fd < 0)
		return -1;
	return file_write_fd(fd, bytes, err) < 0 ? error_wrap(err, "%s", output->temporary) : 0;
}

int lambda_wire_deliver(struct lambda_answer *answer, const struct exec_job *job, struct store *content, struct exec_result *result, struct error *err)
{
	bool keep = job->keep_outputs && content;
	for (size_t i = 0; i < answer->n_contents; i++) {
		struct lambda_content *from = &answer->contents[i];
		_cleanup_buf_ struct buf fetched = { 0 };
		if (!from->present)
			continue;
		if (from->apart && read_apart(answer, from, &fetched, err) < 0)
			return -1;
		buf_deinit(&from->stored);
		struct slice bytes = from->apart ? buf_slice(&fetched) : from->bytes;
		if (i < job->n_outputs) {
			struct exec_output_result *to = &result->outputs[i];
			*to = (struct exec_output_result){ .present = true, .executable = from->executable, .digest = from->digest };
			if (deliver_output(&job->outputs[i], bytes, from, job->umask, err) < 0)
				return -1;
			/* A failure to keep an output costs a later hit, not this result. */
			to->kept = keep && store_put(content, &from->digest, bytes, NULL) == 0;
			continue;
		}
		bool is_out = i == job->n_outputs;
		buf_append_slice(is_out ? &result->out : &result->err, bytes);
		if (!keep || bytes.len == 0)
			continue;
		*(is_out ? &result->out_digest : &result->err_digest) = from->digest;
		if (store_put(content, &from->digest, bytes, err) < 0)
			return -1;
	}
	return 0;
}
