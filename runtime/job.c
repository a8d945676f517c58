#include "runtime/job.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "runtime/leak.h"
#include "store/pack.h"
#include "wire/job.h"
#include "wire/job.pb-c.h"
#include "worker/lookup_log.h"
#include "worker/lookup_wire.h"
#include "worker/trace.h"

enum {
	ANSWER_LIMIT = JOB_BODY_LIMIT - (16 << 10),
	ANSWER_MARGIN_MS = 2000, /* before Lambda's deadline the command must be over, so that it can be told */
	OUTPUT_LIMIT_BYTES = 512 << 20,
	SMALL_BYTES = 4 << 10, /* what stays in an answer that is too large */
};

/* What a job made: an output, or one of its messages. */
struct product {
	struct digest digest;
	struct buf bytes; /* owned */
	const char *path; /* as the command names it; NULL for a message */
	bool executable;
	bool elsewhere; /* not in the answer but in the bucket */
};

struct job {
	struct workplace *workplace;
	Job__Job *request;
	struct arena arena;
	struct run_command command;
	struct overlay *overlays;
	size_t n_overlays;

	struct run_result run;
	struct lookup_log log;
	struct product *products; /* outputs, then stdout, then stderr */
	size_t n_outputs;
	const char **strays;
	size_t n_strays;
	int64_t synced_bytes;
	struct digest *missing;
	size_t n_missing;
	struct pack_name kept;
};

static void job_deinit(struct job *job)
{
	run_result_deinit(&job->run);
	for (size_t i = 0; job->products && i < job->n_outputs + 2; i++)
		buf_deinit(&job->products[i].bytes);
	arena_deinit(&job->arena);
}

static struct slice bytes_of(const ProtobufCBinaryData *data)
{
	return slice_of(data->data, data->len);
}

/* --- The request -------------------------------------------------------------------------------------------------- */

static int read_digest(const Reapi__Digest *digest, struct digest *ret, struct error *err)
{
	if (!digest || digest_parse_hex(slice_str(digest->hash), ret) < 0 || digest->size_bytes < 0)
		return error_set(err, EINVAL, "a digest is malformed");
	ret->size_bytes = digest->size_bytes;
	return 0;
}

/* WORKPLACE_MISSING: the dictionary is. */
static int unfold(struct job *job, struct error *err)
{
	struct digest digest;
	struct slice dictionary;
	if (!job->request->folded)
		return 0;
	if (read_digest(job->request->folded->dictionary, &digest, err) < 0)
		return -1;
	int outcome = workplace_dictionary(job->workplace, &digest, &dictionary, err);
	if (outcome == 0)
		return job_unfold(job->request, dictionary, err);
	job->missing = arena_new(&job->arena, struct digest);
	*job->missing = digest;
	job->n_missing = 1;
	return outcome;
}

/* Whether the contents of an overlay are left out of the request. */
static bool is_apart(const Job__Overlay *overlay)
{
	return overlay->contents.len == 0 && overlay->digest && overlay->digest->size_bytes > 0;
}

static int read_inputs(struct job *job, struct workplace_inputs *ret, struct error *err)
{
	const Job__Job *request = job->request;
	struct digest *apart = arena_array(&job->arena, struct digest, request->n_overlays + 1);
	size_t n_apart = 0;
	for (size_t i = 0; i < request->n_overlays; i++)
		if (is_apart(request->overlays[i]) &&
			read_digest(request->overlays[i]->digest, &apart[n_apart++], err) < 0)
			return -1;
	struct pack_name *packs = arena_array(&job->arena, struct pack_name, request->n_packs + 1);
	for (size_t i = 0; i < request->n_packs; i++) {
		if (request->packs[i]->hash.len != sizeof(packs[i].hash))
			return error_set(err, EINVAL, "the name of a pack is malformed");
		memcpy(packs[i].hash, request->packs[i]->hash.data, sizeof(packs[i].hash));
		packs[i].size_bytes = request->packs[i]->size_bytes;
	}
	*ret = (struct workplace_inputs){
		.packs = packs, .n_packs = request->n_packs, .apart = apart, .n_apart = n_apart
	};
	return read_digest(request->root, &ret->root, err);
}

/* When their contents are here. */
static int read_overlays(struct job *job, struct error *err)
{
	job->n_overlays = job->request->n_overlays;
	job->overlays = arena_array(&job->arena, struct overlay, job->n_overlays + 1);
	for (size_t i = 0; i < job->n_overlays; i++) {
		const Job__Overlay *overlay = job->request->overlays[i];
		job->overlays[i] = (struct overlay){ .path = overlay->path,
			.contents = bytes_of(&overlay->contents),
			.mtime_ns = overlay->mtime_ns,
			.executable = overlay->is_executable };
		if (!is_apart(overlay))
			continue;
		struct digest digest;
		_cleanup_buf_ struct buf bytes = { 0 };
		if (read_digest(overlay->digest, &digest, err) < 0 ||
			workplace_read(job->workplace, &digest, &bytes, err) < 0)
			return -1;
		job->overlays[i].contents = slice_of(arena_strndup(&job->arena, buf_str(&bytes), bytes.len), bytes.len);
	}
	return 0;
}

/* How long the command may run; ≤ 0: not at all. */
static int64_t limit_ms(const struct job *job, const struct job_times *times)
{
	int64_t limit = job->request->timeout_ms > 0 ? job->request->timeout_ms : INT64_MAX;
	if (times->deadline_ms > 0) {
		int64_t left = times->deadline_ms - clock_realtime_ns() / 1000000 - ANSWER_MARGIN_MS;
		limit = left < limit ? left : limit;
	}
	return limit;
}

static int read_command(struct job *job, struct error *err)
{
	const Reapi__Command *from = job->request->command;
	if (!from || from->n_arguments == 0 || from->arguments[0][0] != '/' || from->working_directory[0] != '/')
		return error_set(err, EINVAL, "the job's command is malformed");
	const char **argv = arena_array(&job->arena, const char *, from->n_arguments + 1);
	for (size_t i = 0; i < from->n_arguments; i++)
		argv[i] = from->arguments[i];
	const char **env = arena_array(&job->arena, const char *, from->n_environment_variables + 1);
	for (size_t i = 0; i < from->n_environment_variables; i++)
		env[i] = arena_printf(&job->arena, "%s=%s", from->environment_variables[i]->name,
			from->environment_variables[i]->value);
	for (size_t i = 0; i < from->n_output_paths; i++)
		if (from->output_paths[i][0] != '/')
			return error_set(err, EINVAL, "the job's output %s is not absolute", from->output_paths[i]);
	job->command = (struct run_command){ .argv = argv,
		.env = env,
		.cwd = path_squeeze(&job->arena, from->working_directory),
		.umask = job->request->umask & 0777,
		.tty = job->request->columns > 0,
		.columns = job->request->columns,
		.rows = job->request->rows };
	job->n_outputs = from->n_output_paths;
	job->products = arena_array(&job->arena, struct product, job->n_outputs + 2);
	for (size_t i = 0; i < job->n_outputs; i++)
		job->products[i].path = from->output_paths[i];
	return 0;
}

/* --- Running ------------------------------------------------------------------------------------------------------ */

static int parse_log(struct job *job, struct error *err)
{
	const struct workplace *workplace = job->workplace;
	const char **outputs = arena_array(&job->arena, const char *, job->n_outputs + 1);
	for (size_t i = 0; i < job->n_outputs; i++)
		outputs[i] = job->products[i].path;
	struct lookup_log_filter filter = { .outputs = outputs,
		.private_dir = workplace->private_dir,
		.program = job->command.argv[0],
		.interposer = workplace->options.interposer };
	return lookup_log_parse(slice_of(job->run.trace, job->run.trace_bytes), &filter, &job->arena, &job->log, err);
}

/* Into memory: they travel from there. */
static int collect_output(struct job *job, struct product *product, struct error *err)
{
	const struct sync_target *target = &job->workplace->target;
	const char *place = sync_place(target, &job->arena, product->path);
	const char *path = product->path;
	product->path = NULL; /* unless it is there */
	if (!place)
		return 0;
	_cleanup_close_ int fd = openat(target->root_fd, place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot open output %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "output %s is no regular file", path);
	if (file_read_fd(fd, OUTPUT_LIMIT_BYTES, &product->bytes, err) < 0)
		return error_wrap(err, "output %s", path);
	product->path = path;
	product->executable = st.st_mode & 0111;
	product->digest = digest_of(buf_slice(&product->bytes));
	return 0;
}

static void collect_message(struct product *product, struct buf *bytes)
{
	product->bytes = *bytes;
	*bytes = (struct buf){ 0 };
	product->digest = digest_of(buf_slice(&product->bytes));
}

static bool is_in(const char *const *places, size_t n, const char *place)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(places[i], place) == 0)
			return true;
	return false;
}

/* What the command changed, as places in the tree, and of it what still stands there and is no output. */
static const char *const *collect_changes(struct job *job, size_t *ret)
{
	const struct sync_target *target = &job->workplace->target;
	const Reapi__Command *command = job->request->command;
	const char **changed = arena_array(&job->arena, const char *, job->log.n_written + command->n_output_paths + 1);
	size_t n = 0;
	job->strays = arena_array(&job->arena, const char *, job->log.n_written + 1);
	for (size_t i = 0; i < command->n_output_paths; i++) {
		const char *place = sync_place(target, &job->arena, command->output_paths[i]);
		if (place)
			changed[n++] = place;
	}
	size_t n_outputs = n;
	for (size_t i = 0; i < job->log.n_written; i++) {
		const char *place = sync_place(target, &job->arena, job->log.written[i]);
		struct stat st;
		if (!place || is_in(changed, n_outputs, place))
			continue;
		changed[n++] = place;
		if (fstatat(target->root_fd, place, &st, AT_SYMLINK_NOFOLLOW) == 0)
			job->strays[job->n_strays++] = job->log.written[i];
	}
	*ret = n;
	return changed;
}

/* The command and what it left; the tree is restored in any case. */
static int run_command(struct job *job, struct error *err)
{
	struct workplace *workplace = job->workplace;
	const char *const *changed = NULL;
	size_t n_changed = 0;
	int result = workplace_cover(workplace, job->overlays, job->n_overlays, &job->arena, err);
	if (result == 0) {
		result = runner_run(workplace->runner, &job->command, &job->run, err);
		if (result < 0)
			workplace_drop_runner(workplace);
	}
	if (result == 0)
		result = parse_log(job, err);
	if (result == 0) {
		const char *const *places = collect_changes(job, &n_changed);
		if (job->log.complete) /* else it may have changed anything */
			changed = places;
		for (size_t i = 0; i < job->n_outputs && result == 0; i++)
			result = collect_output(job, &job->products[i], err);
		collect_message(&job->products[job->n_outputs], &job->run.out);
		collect_message(&job->products[job->n_outputs + 1], &job->run.err);
	}
	workplace_restore(workplace, job->overlays, job->n_overlays, changed, n_changed);
	return result;
}

static bool has_leaked(const struct job *job)
{
	for (size_t i = 0; i < job->n_outputs + 2; i++)
		if (leak_found(job->workplace->options.root, buf_slice(&job->products[i].bytes)))
			return true;
	return false;
}

/* An outcome, or -1: FAILED. */
static int perform(struct job *job, const struct job_times *times, struct error *err)
{
	struct workplace *workplace = job->workplace;
	const Job__Bucket *bucket = job->request->bucket;
	struct workplace_inputs inputs;
	if (!bucket)
		return error_set(err, EINVAL, "the job names no bucket");
	struct bucket_place place = { bucket->name, bucket->prefix, bucket->region, bucket->endpoint };
	if (workplace_open(workplace, &place, err) < 0)
		return -1;
	int outcome = unfold(job, err);
	if (outcome != 0)
		return outcome < 0 ? -1 : (int)JOB__RESULT__OUTCOME__MISSING;
	if (read_command(job, err) < 0 || read_inputs(job, &inputs, err) < 0)
		return -1;
	outcome = workplace_sync(
		workplace, &inputs, &job->arena, &job->synced_bytes, &job->missing, &job->n_missing, err);
	if (outcome != 0)
		return outcome < 0 ? -1 : (int)JOB__RESULT__OUTCOME__MISSING;
	if (read_overlays(job, err) < 0)
		return -1;
	job->command.timeout_ms = limit_ms(job, times);
	if (job->command.timeout_ms <= 0)
		return error_set(err, ETIMEDOUT, "the function's time was over before the command could start");
	if (job->command.timeout_ms == INT64_MAX)
		job->command.timeout_ms = 0;
	if (run_command(job, err) < 0)
		return -1;
	return has_leaked(job) ? (int)JOB__RESULT__OUTCOME__LEAKED : (int)JOB__RESULT__OUTCOME__DONE;
}

/* --- The answer --------------------------------------------------------------------------------------------------- */

static Reapi__Digest *write_digest(struct job *job, const struct digest *digest)
{
	Reapi__Digest *ret = arena_new(&job->arena, Reapi__Digest);
	reapi__digest__init(ret);
	ret->hash = arena_alloc(&job->arena, DIGEST_HEX_CHARS + 1);
	digest_hex(digest, ret->hash);
	ret->size_bytes = digest->size_bytes;
	return ret;
}

static ProtobufCBinaryData write_bytes(const struct product *product)
{
	return product->elsewhere ? (ProtobufCBinaryData){ 0 }
				  : (ProtobufCBinaryData){ product->bytes.len, (uint8_t *)product->bytes.ptr };
}

static Reapi__ActionResult *write_action(struct job *job)
{
	Reapi__ActionResult *ret = arena_new(&job->arena, Reapi__ActionResult);
	reapi__action_result__init(ret);
	ret->output_files = arena_array(&job->arena, Reapi__OutputFile *, job->n_outputs + 1);
	for (size_t i = 0; i < job->n_outputs; i++) {
		struct product *product = &job->products[i];
		if (!product->path)
			continue;
		Reapi__OutputFile *file = arena_new(&job->arena, Reapi__OutputFile);
		reapi__output_file__init(file);
		file->path = (char *)product->path;
		file->digest = write_digest(job, &product->digest);
		file->is_executable = product->executable;
		file->contents = write_bytes(product);
		ret->output_files[ret->n_output_files++] = file;
	}
	const struct product *out = &job->products[job->n_outputs], *errors = out + 1;
	ret->exit_code = job->run.signal ? 128 + job->run.signal : job->run.exit_code; /* as a shell has it */
	ret->stdout_raw = write_bytes(out);
	ret->stderr_raw = write_bytes(errors);
	if (out->bytes.len > 0)
		ret->stdout_digest = write_digest(job, &out->digest);
	if (errors->bytes.len > 0)
		ret->stderr_digest = write_digest(job, &errors->digest);
	return ret;
}

static void write_usage(const struct job *job, const struct job_times *times, Job__Usage *ret)
{
	struct bucket_counters counters = workplace_counters(job->workplace);
	job__usage__init(ret);
	ret->user_us = job->run.user_us;
	ret->system_us = job->run.system_us;
	ret->wall_us = job->run.wall_us;
	ret->max_rss_kb = job->run.max_rss_kb;
	ret->synced_bytes = job->synced_bytes;
	ret->overhead_us = (clock_monotonic_ns() - times->received_ns) / 1000 - job->run.wall_us;
	ret->cold = !job->workplace->used;
	ret->s3_gets = (uint32_t)counters.gets;
	ret->s3_puts = (uint32_t)counters.puts;
	ret->s3_bytes_in = (int64_t)counters.bytes_in;
	ret->s3_bytes_out = (int64_t)counters.bytes_out;
	ret->memory_mb = job->workplace->options.memory_mb;
}

/* Append the Result as JSON. */
static void seal(struct job *job, int outcome, const char *text, const struct job_times *times, struct buf *ret)
{
	Job__Result result = JOB__RESULT__INIT;
	Job__Usage usage;
	Job__Pack kept = JOB__PACK__INIT;
	_cleanup_buf_ struct buf lookups = { 0 }, message = { 0 };
	result.version = JOB_VERSION;
	result.id = job->request->id;
	result.outcome = (Job__Result__Outcome)outcome;
	result.error = (char *)text;
	result.usage = &usage;
	switch (result.outcome) {
	case JOB__RESULT__OUTCOME__DONE:
		result.result = write_action(job);
		result.signal = job->run.signal;
		result.timed_out = job->run.timed_out;
		lookup_wire_encode(&job->log.lookups, &lookups);
		result.lookups = (ProtobufCBinaryData){ lookups.len, (uint8_t *)lookups.ptr };
		result.clock = job->log.clock;
		result.complete = job->log.complete;
		result.strays = (char **)job->strays;
		result.n_strays = job->n_strays;
		if (job->kept.size_bytes > 0) {
			kept.hash = (ProtobufCBinaryData){ sizeof(job->kept.hash), job->kept.hash };
			kept.size_bytes = job->kept.size_bytes;
			result.kept = &kept;
		}
		break;
	case JOB__RESULT__OUTCOME__MISSING:
		result.missing = arena_array(&job->arena, Reapi__Digest *, job->n_missing + 1);
		for (size_t i = 0; i < job->n_missing; i++)
			result.missing[result.n_missing++] = write_digest(job, &job->missing[i]);
		break;
	case JOB__RESULT__OUTCOME__FAILED:
	case JOB__RESULT__OUTCOME__LEAKED:
	case _JOB__RESULT__OUTCOME_IS_INT_SIZE:
		break;
	}
	write_usage(job, times, &usage);
	message.len = job__result__pack(
		&result, (uint8_t *)buf_reserve(&message, job__result__get_packed_size(&result)));
	job_seal(JOB_RESULT, buf_slice(&message), ret);
}

/* All that was made, as one pack: for whoever gets this result from the shared store. A failure costs the sharing. */
static void keep_products(struct job *job)
{
	if (!job->request->keep || job->run.exit_code != 0 || job->run.signal != 0 || !job->log.complete)
		return;
	struct pack_writer *writer = pack_writer_new();
	for (size_t i = 0; i < job->n_outputs + 2; i++)
		if (job->products[i].bytes.len > 0)
			pack_writer_add(writer, &job->products[i].digest, buf_slice(&job->products[i].bytes));
	_cleanup_buf_ struct buf pack = { 0 };
	if (pack_writer_count(writer) > 0)
		pack_writer_end(writer, &pack);
	pack_writer_free(writer);
	if (pack.len == 0)
		return;
	struct digest digest = digest_of(buf_slice(&pack));
	struct bucket *bucket = job->workplace->bucket;
	struct bucket_put put = { .body = buf_slice(&pack) };
	pack_key(digest.hash, put.key);
	bucket->ops->put(bucket, &put, 1);
	if (put.outcome < 0)
		return;
	memcpy(job->kept.hash, digest.hash, sizeof(job->kept.hash));
	job->kept.size_bytes = digest.size_bytes;
}

/* What makes the answer too large goes into the bucket, unless it is there. */
static int put_elsewhere(struct job *job, struct error *err)
{
	size_t n = 0, all = job->n_outputs + 2;
	struct bucket_put *puts = arena_array(&job->arena, struct bucket_put, all);
	struct buf *stored = arena_array(&job->arena, struct buf, all);
	for (size_t i = 0; i < all; i++) {
		struct product *product = &job->products[i];
		if (product->bytes.len < SMALL_BYTES)
			continue;
		product->elsewhere = true;
		if (job->kept.size_bytes > 0)
			continue;
		pack_alone_write(buf_slice(&product->bytes), &stored[n]);
		puts[n].body = buf_slice(&stored[n]);
		pack_key_alone(&product->digest, puts[n].key);
		n++;
	}
	struct bucket *bucket = job->workplace->bucket;
	if (n > 0)
		bucket->ops->put(bucket, puts, n);
	int result = 0;
	for (size_t i = 0; i < n; i++) {
		if (puts[i].outcome < 0) {
			*err = puts[i].err;
			result = error_wrap(err, "cannot store an output");
		}
		buf_deinit(&stored[i]);
	}
	return result;
}

static size_t product_bytes(const struct job *job)
{
	size_t n = 0;
	for (size_t i = 0; i < job->n_outputs + 2; i++)
		n += job->products[i].bytes.len;
	return n;
}

static void answer(struct job *job, int outcome, const struct job_times *times, struct buf *ret, struct error *err)
{
	size_t before = ret->len;
	if (outcome == JOB__RESULT__OUTCOME__DONE) {
		keep_products(job);
		bool hopeless = product_bytes(job) > JOB_MESSAGE_LIMIT / 2;
		if (!hopeless)
			seal(job, outcome, "", times, ret);
		if (!hopeless && ret->len - before <= ANSWER_LIMIT)
			return;
		ret->len = before;
		outcome = put_elsewhere(job, err) < 0 ? -1 : outcome;
	}
	if (outcome >= 0) {
		seal(job, outcome, "", times, ret);
		if (ret->len - before <= ANSWER_LIMIT)
			return;
		ret->len = before;
		error_set(err, EFBIG, "the answer is too large for Lambda");
	}
	seal(job, JOB__RESULT__OUTCOME__FAILED, err->text, times, ret);
}

static void free_request(Job__Job **request)
{
	job__job__free_unpacked(*request, NULL);
}

int job_run(struct workplace *workplace, struct slice payload, const struct job_times *times, struct buf *ret,
	struct error *err)
{
	_cleanup_buf_ struct buf message = { 0 };
	if (job_open(JOB_REQUEST, payload, &message, err) < 0)
		return -1;
	__attribute__((cleanup(free_request)))
	Job__Job *request = job__job__unpack(NULL, message.len, (const uint8_t *)buf_str(&message));
	if (!request)
		return error_set(err, EINVAL, "the job is malformed");
	if (request->version != JOB_VERSION)
		return error_set(err, EPROTO,
			"the job is of version %u, this function of version %d: update the function's image",
			request->version, JOB_VERSION);
	__attribute__((cleanup(job_deinit))) struct job job = { .workplace = workplace, .request = request };
	struct error failure = { 0 };
	int outcome = perform(&job, times, &failure);
	answer(&job, outcome, times, ret, &failure);
	workplace->used = true;
	return 0;
}
