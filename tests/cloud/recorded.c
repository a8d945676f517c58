#include "tests/cloud/recorded.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "exec/recording.h"
#include "store/pack.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/s3.h"
#include "wire/job.h"
#include "wire/job.pb-c.h"
#include "worker/lookup_wire.h"

enum { ANSWER_LIMIT = JOB_BODY_LIMIT - (16 << 10), OUTPUT_LIMIT_BYTES = 512 << 20 };

struct recorded {
	struct cloud *cloud;
	char *temporaries; /* directory; owned */
	pthread_mutex_t lock;
	struct recordings *recordings; /* choosing changes them: under the lock */
	uint64_t n;		       /* of temporaries' names */
};

struct recorded_worker {
	struct arena arena;
	struct map packs; /* hashes of those it has */
	struct digest root; /* of its tree */
	struct digest dictionary;
	struct buf dictionary_bytes;
	bool used;
};

/* One job on its way. */
struct job {
	struct recorded *recorded;
	Job__Job *request;
	int64_t fetch_us; /* what that takes */
	struct arena arena;
	struct exec_job exec;
	bool exact; /* the recording is its own */
	struct exec_result result;
	struct buf *outputs; /* contents, as many as the job has */
	Job__Usage usage;
	Job__Pack kept;
	uint8_t kept_hash[DIGEST_HASH_BYTES];
	bool apart; /* the outputs' contents are in the bucket */
};

struct recorded *recorded_open(struct cloud *cloud, const char *directory, struct error *err)
{
	struct recorded *recorded = calloc(1, sizeof(*recorded));
	if (!recorded || asprintf(&recorded->temporaries, "%s/replay", cloud->state_dir) < 0)
		abort();
	recorded->cloud = cloud;
	pthread_mutex_init(&recorded->lock, NULL);
	recorded->recordings = recordings_open(directory, err);
	if (recorded->recordings && mkdir(recorded->temporaries, 0700) == 0)
		return recorded;
	if (recorded->recordings)
		error_set(err, errno, "cannot make directory %s", recorded->temporaries);
	recorded_close(recorded);
	return NULL;
}

void recorded_close(struct recorded *recorded)
{
	if (!recorded)
		return;
	recordings_close(recorded->recordings);
	pthread_mutex_destroy(&recorded->lock);
	free(recorded->temporaries);
	free(recorded);
}

struct recorded_worker *recorded_worker_new(void)
{
	struct recorded_worker *worker = calloc(1, sizeof(*worker));
	if (!worker)
		abort();
	return worker;
}

void recorded_worker_free(struct recorded_worker *worker)
{
	if (!worker)
		return;
	map_deinit(&worker->packs);
	buf_deinit(&worker->dictionary_bytes);
	arena_deinit(&worker->arena);
	free(worker);
}

/* --- The job ------------------------------------------------------------------------------------------------------ */

static void job_deinit(struct job *job)
{
	for (size_t i = 0; job->outputs && i < job->exec.n_outputs; i++)
		buf_deinit(&job->outputs[i]);
	exec_result_deinit(&job->result);
	arena_deinit(&job->arena);
}

/* The job as it was at home. Its outputs come sorted; there the compiler's main one was first, and recordings number
 * them so. */
static bool read_command(struct job *job)
{
	const Reapi__Command *command = job->request->command;
	if (!command || command->n_arguments == 0)
		return false;
	const char **argv = arena_array(&job->arena, const char *, command->n_arguments + 1);
	const char *main_output = "";
	for (size_t i = 0; i < command->n_arguments; i++) {
		argv[i] = command->arguments[i];
		if (i > 0 && strcmp(argv[i - 1], "-o") == 0)
			main_output = argv[i];
	}
	struct exec_output *outputs = arena_array(&job->arena, struct exec_output, command->n_output_paths + 1);
	job->outputs = arena_array(&job->arena, struct buf, command->n_output_paths + 1);
	pthread_mutex_lock(&job->recorded->lock);
	uint64_t n = job->recorded->n++;
	pthread_mutex_unlock(&job->recorded->lock);
	size_t main_len = strlen(main_output), k = 0;
	for (int others = 0; others <= 1; others++)
		for (size_t i = 0; i < command->n_output_paths; i++) {
			const char *path = command->output_paths[i];
			size_t len = strlen(path);
			bool is_main = main_len > 0 && len >= main_len &&
				       strcmp(path + len - main_len, main_output) == 0;
			if (is_main == !others)
				outputs[k++] = (struct exec_output){ path,
					arena_printf(&job->arena, "%s/%llu-%zu", job->recorded->temporaries,
						(unsigned long long)n, i) };
		}
	job->exec = (struct exec_job){
		.argv = argv, .cwd = command->working_directory, .umask = 077, .outputs = outputs, .n_outputs = k
	};
	return true;
}

/* NULL: neither was it recorded nor may another stand in for it. */
static const struct recording *find(struct job *job)
{
	pthread_mutex_lock(&job->recorded->lock);
	const struct recording *recording = recordings_choose(job->recorded->recordings, &job->exec, &job->exact);
	pthread_mutex_unlock(&job->recorded->lock);
	return job->exact || job->exec.n_outputs > 1 ? recording : NULL;
}

static int load(struct job *job, const struct recording *recording, struct error *err)
{
	int done = recording_load(job->recorded->recordings, recording, job->exact, &job->exec, NULL, &job->result, err);
	for (size_t i = 0; i < job->exec.n_outputs; i++) {
		const char *temporary = job->exec.outputs[i].temporary;
		if (done == 0 && job->result.outputs[i].present)
			done = file_read(temporary, OUTPUT_LIMIT_BYTES, &job->outputs[i], err);
		if (unlink(temporary) < 0 && errno != ENOENT && done == 0)
			done = error_set(err, errno, "cannot remove %s", temporary);
	}
	return done;
}

/* --- The bucket --------------------------------------------------------------------------------------------------- */

/* As the worker would, but within the cloud: nobody signs. `body` empty: GET it, into `ret`; else PUT it. */
static int ask_bucket(struct job *job, const char *key, struct slice body, struct buf *ret, struct error *err)
{
	const Job__Bucket *bucket = job->request->bucket;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (!bucket)
		return error_set(err, EINVAL, "the job names no bucket");
	static const struct cloud_pair headers[] = { { "host", "localhost" }, { "if-none-match", "*" } };
	const char *path = arena_printf(&arena, "/%s/%s%s", bucket->name, bucket->prefix, key);
	struct cloud_request request = { .arena = &arena,
		.method = ret ? "GET" : "PUT",
		.target = path,
		.path = path,
		.headers = headers,
		.n_headers = ret ? 1 : 2,
		.body = body,
		.service = "s3",
		.region = job->recorded->cloud->region };
	struct cloud_response response = { .status = 200, .content_length = -1, .cut_after = -1 };
	s3_handle(job->recorded->cloud, &request, &response);
	if (ret)
		buf_append_slice(ret, buf_slice(&response.body));
	buf_deinit(&response.body);
	if (response.status != 200 && (ret || response.status != 412))
		return error_set(err, 0, "the bucket refuses %s with %d", path, response.status);
	return 0;
}

static int put(struct job *job, const char *key, const struct buf *bytes, struct error *err)
{
	if (ask_bucket(job, key, buf_slice(bytes), NULL, err) < 0)
		return -1;
	job->usage.s3_puts++;
	job->usage.s3_bytes_out += (int64_t)bytes->len;
	return 0;
}

static int keep(struct job *job, struct error *err)
{
	if (!job->request->keep || job->result.exit_code != 0)
		return 0;
	struct pack_writer *writer = pack_writer_new();
	_cleanup_buf_ struct buf pack = { 0 };
	struct buf *messages[] = { &job->result.out, &job->result.err };
	for (size_t i = 0; i < job->exec.n_outputs + 2; i++) {
		const struct buf *bytes = i < job->exec.n_outputs ? &job->outputs[i]
								  : messages[i - job->exec.n_outputs];
		struct digest digest = digest_of(buf_slice(bytes));
		if (bytes->len > 0)
			pack_writer_add(writer, &digest, buf_slice(bytes));
	}
	if (pack_writer_count(writer) > 0)
		pack_writer_end(writer, &pack);
	pack_writer_free(writer);
	if (pack.len == 0)
		return 0;
	char key[128];
	struct digest digest = digest_of(buf_slice(&pack));
	memcpy(job->kept_hash, digest.hash, sizeof(job->kept_hash));
	job->kept.hash = (ProtobufCBinaryData){ sizeof(job->kept_hash), job->kept_hash };
	job->kept.size_bytes = digest.size_bytes;
	pack_key(digest.hash, key);
	return put(job, key, &pack, err);
}

static int put_apart(struct job *job, struct error *err)
{
	job->apart = true;
	for (size_t i = 0; i < job->exec.n_outputs && job->kept.size_bytes == 0; i++) {
		_cleanup_buf_ struct buf stored = { 0 };
		char key[128];
		struct digest digest = digest_of(buf_slice(&job->outputs[i]));
		pack_alone_write(buf_slice(&job->outputs[i]), &stored);
		pack_key_alone(&digest, key);
		if (job->outputs[i].len > 0 && put(job, key, &stored, err) < 0)
			return -1;
	}
	return 0;
}

/* --- The answer --------------------------------------------------------------------------------------------------- */

static Reapi__Digest *write_digest(struct job *job, const struct buf *bytes)
{
	struct digest digest = digest_of(buf_slice(bytes));
	Reapi__Digest *ret = arena_new(&job->arena, Reapi__Digest);
	reapi__digest__init(ret);
	ret->hash = arena_alloc(&job->arena, DIGEST_HEX_CHARS + 1);
	digest_hex(&digest, ret->hash);
	ret->size_bytes = digest.size_bytes;
	return ret;
}

static ProtobufCBinaryData write_bytes(const struct buf *bytes)
{
	return (ProtobufCBinaryData){ bytes->len, (uint8_t *)bytes->ptr };
}

static Reapi__ActionResult *write_action(struct job *job)
{
	Reapi__ActionResult *ret = arena_new(&job->arena, Reapi__ActionResult);
	reapi__action_result__init(ret);
	ret->output_files = arena_array(&job->arena, Reapi__OutputFile *, job->exec.n_outputs + 1);
	for (size_t i = 0; i < job->exec.n_outputs; i++) {
		if (!job->result.outputs[i].present)
			continue;
		Reapi__OutputFile *file = arena_new(&job->arena, Reapi__OutputFile);
		reapi__output_file__init(file);
		file->path = (char *)job->exec.outputs[i].path;
		file->digest = write_digest(job, &job->outputs[i]);
		file->is_executable = job->result.outputs[i].executable;
		if (!job->apart)
			file->contents = write_bytes(&job->outputs[i]);
		ret->output_files[ret->n_output_files++] = file;
	}
	ret->exit_code = job->result.exit_code;
	ret->stdout_raw = write_bytes(&job->result.out);
	ret->stderr_raw = write_bytes(&job->result.err);
	return ret;
}

static void seal(struct job *job, Job__Result__Outcome outcome, const char *text, struct buf *ret)
{
	_cleanup_buf_ struct buf lookups = { 0 }, message = { 0 };
	Job__Result result = JOB__RESULT__INIT;
	result.version = JOB_VERSION;
	result.id = job->request->id;
	result.outcome = outcome;
	result.error = (char *)text;
	result.usage = &job->usage;
	if (outcome == JOB__RESULT__OUTCOME__DONE) {
		result.result = write_action(job);
		lookup_wire_encode(&job->result.log.lookups, &lookups);
		result.lookups = write_bytes(&lookups);
		result.complete = true;
		if (job->kept.size_bytes > 0)
			result.kept = &job->kept;
	}
	message.len = job__result__pack(
		&result, (uint8_t *)buf_reserve(&message, job__result__get_packed_size(&result)));
	job_seal(JOB_RESULT, buf_slice(&message), ret);
}

/* How long it takes on a processor of its own, whoever else was busy where it was recorded. */
static int64_t alone_us(const struct exec_result *result)
{
	int64_t cpu_us = result->user_us + result->system_us;
	return cpu_us > 0 && cpu_us < result->wall_us ? cpu_us : result->wall_us;
}

static void answer(struct job *job, const struct recording *recording, struct buf *ret)
{
	struct error err = { 0 };
	if (load(job, recording, &err) == 0 && keep(job, &err) == 0) {
		job->usage.user_us = job->result.user_us;
		job->usage.system_us = job->result.system_us;
		job->usage.wall_us = alone_us(&job->result);
		job->usage.max_rss_kb = job->result.max_rss_kb;
		size_t before = ret->len;
		seal(job, JOB__RESULT__OUTCOME__DONE, "", ret);
		if (ret->len - before <= ANSWER_LIMIT)
			return;
		ret->len = before;
		if (put_apart(job, &err) == 0) {
			seal(job, JOB__RESULT__OUTCOME__DONE, "", ret);
			return;
		}
	}
	seal(job, JOB__RESULT__OUTCOME__FAILED, err.text, ret);
}

/* --- What is fetched ---------------------------------------------------------------------------------------------- */

static void count_get(struct job *job, int64_t bytes)
{
	struct cloud *cloud = job->recorded->cloud;
	int64_t kbit_s = cloud_setting(cloud, SETTING_REPLAY_S3_KBIT_S);
	job->usage.s3_gets++;
	job->usage.s3_bytes_in += bytes;
	job->fetch_us += cloud_setting(cloud, SETTING_REPLAY_S3_MS) * 1000 + (kbit_s > 0 ? bytes * 8000 / kbit_s : 0);
}

/* false: there is no such dictionary. */
static bool unfold(struct job *job, struct recorded_worker *worker)
{
	struct digest digest;
	if (!job->request->folded)
		return true;
	const Reapi__Digest *wanted = job->request->folded->dictionary;
	if (!wanted || digest_parse_hex(slice_str(wanted->hash), &digest) < 0)
		return false;
	digest.size_bytes = wanted->size_bytes;
	if (!digest_equal(&digest, &worker->dictionary)) {
		_cleanup_buf_ struct buf stored = { 0 };
		char key[128];
		pack_key_alone(&digest, key);
		worker->dictionary.size_bytes = 0;
		buf_reset(&worker->dictionary_bytes);
		if (ask_bucket(job, key, slice_of(NULL, 0), &stored, NULL) < 0 ||
			pack_alone_read(&digest, buf_slice(&stored), &worker->dictionary_bytes, NULL) < 0)
			return false;
		worker->dictionary = digest;
		count_get(job, (int64_t)stored.len);
	}
	return job_unfold(job->request, buf_slice(&worker->dictionary_bytes), NULL) == 0;
}

/* The packs that this environment would fetch now. */
static void fetch_packs(struct job *job, struct recorded_worker *worker)
{
	struct digest root;
	if (!job->request->root || digest_parse_hex(slice_str(job->request->root->hash), &root) < 0)
		return;
	if (worker->used && memcmp(root.hash, worker->root.hash, DIGEST_HASH_BYTES) == 0)
		return; /* its tree is what the job wants */
	worker->root = root;
	for (size_t i = 0; i < job->request->n_packs; i++) {
		const Job__Pack *pack = job->request->packs[i];
		struct slice hash = slice_of(pack->hash.data, pack->hash.len);
		if (map_get(&worker->packs, hash))
			continue;
		map_put(&worker->packs, slice_of(arena_strndup(&worker->arena, hash.ptr, hash.len), hash.len), worker);
		count_get(job, pack->size_bytes);
	}
}

int recorded_answer(struct recorded *recorded, struct recorded_worker *worker, struct slice payload, struct buf *ret,
	int64_t *ret_us)
{
	_cleanup_buf_ struct buf message = { 0 };
	if (job_open(JOB_REQUEST, payload, &message, NULL) < 0)
		return RECORDED_NOT;
	Job__Job *request = job__job__unpack(NULL, message.len, (const uint8_t *)buf_str(&message));
	if (!request)
		return RECORDED_NOT;
	struct job job = {
		.recorded = recorded, .request = request, .usage = JOB__USAGE__INIT, .kept = JOB__PACK__INIT
	};
	const struct recording *recording = unfold(&job, worker) && read_command(&job) ? find(&job) : NULL;
	if (recording) {
		fetch_packs(&job, worker);
		job.usage.overhead_us =
			cloud_setting(recorded->cloud, SETTING_REPLAY_OVERHEAD_MS) * 1000 + job.fetch_us;
		job.usage.cold = !worker->used;
		worker->used = true;
		answer(&job, recording, ret);
		*ret_us = job.usage.wall_us + job.usage.overhead_us;
	}
	job_deinit(&job);
	job__job__free_unpacked(request, NULL);
	return recording ? 0 : RECORDED_NOT;
}
