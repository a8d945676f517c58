#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "event/work.h"
#include "exec/lambda.h"
#include "exec/test-cloud.h"
#include "store/store_memory.h"
#include "store/tree.h"
#include "wire/job.h"

enum { JOBS = 1000 };

/* A job, and what its callback was told. */
struct told {
	struct exec_job job;
	struct exec_output outputs[2];
	char path[64], temporary[96];
	struct exec_overlay overlay;
	struct exec_op *op;
	unsigned times;
	int outcome;
	struct exec_result result;
	struct error err;
};

static uv_loop_t loop;
static struct cloud cloud;
static char directory[64];
static struct store *directories, *files, *content;
static struct tree *tree;
static struct uplink *uplink;
static struct executor *lambda;
static struct told told[JOBS];
static struct digest root, source;
static const char *failure_reason;
static const char *const argv[] = { "/usr/bin//cc", "-c", "a.c", NULL };
static const char *const env[] = { "PATH=/usr/bin", "LANG=C", "EMPTY=", NULL };

static struct executor *make(unsigned width, unsigned start)
{
	struct s3_bucket bucket = { cloud_aws(&cloud), "bucket", "p/" };
	struct lambda_options options = {
		.aws = cloud_aws(&cloud),
		.function = "llama",
		.uplink = uplink,
		.bucket = bucket,
		.place = { "bucket", "p/", "us-east-1", "" },
		.files = files,
		.content = content,
		.width = width,
		.start = start,
		.memory_mb = 2048,
		.wait_ms = 300,
		.down_ms = 200,
		.retry_ms = 1,
	};
	return lambda_new(&loop, &options);
}

static struct digest put(const char *text)
{
	struct digest digest = digest_of(slice_str(text));
	struct error err;
	assert_int_equal(store_put(files, &digest, slice_str(text), &err), 0);
	return digest;
}

static int set_up(void **state)
{
	struct error err;
	uv_loop_init(&loop);
	cloud_init(&cloud, &loop);
	strcpy(directory, "/tmp/llama-test-lambda-XXXXXX");
	assert_non_null(mkdtemp(directory));
	directories = store_memory_new();
	files = store_memory_new();
	content = store_memory_new();
	tree = tree_new();
	struct digest header = put("header");
	tree_set_file(tree, "src/a.h", &header, false, 1);
	assert_int_equal(tree_commit(tree, directories, &root, &err), 0);
	source = put("int main(void) {}");
	struct uplink_options options = {
		.bucket = { cloud_aws(&cloud), "bucket", "p/" },
		.endpoint = "",
		.directories = directories,
		.files = files,
		.directory = directory,
	};
	uplink = uplink_new(&loop, &options, &err);
	assert_non_null(uplink);
	memset(told, 0, sizeof(told));
	failure_reason = NULL;
	lambda = make(JOBS, 0);
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < JOBS; i++)
		exec_result_deinit(&told[i].result);
	executor_free(lambda);
	uplink_stop(uplink);
	uv_run(&loop, UV_RUN_DEFAULT);
	uplink_free(uplink);
	tree_free(tree);
	store_free(directories);
	store_free(files);
	store_free(content);
	cloud_deinit(&cloud);
	file_remove_tree(AT_FDCWD, directory, NULL);
	return uv_loop_close(&loop);
}

static void anew(unsigned width, unsigned start)
{
	executor_free(lambda);
	lambda = make(width, start);
}

static void done(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct told *t = ctx;
	t->times++;
	t->op = NULL;
	t->outcome = outcome;
	exec_result_deinit(&t->result);
	t->result = *result;
	t->err = *err;
}

static struct told *prepare(unsigned i)
{
	struct told *t = &told[i];
	snprintf(t->path, sizeof(t->path), "/src/%u.o", i);
	snprintf(t->temporary, sizeof(t->temporary), "%s/%u.tmp", directory, i);
	t->outputs[0] = (struct exec_output){ t->path, t->temporary };
	t->outputs[1] = (struct exec_output){ "/src/a.d", NULL };
	t->overlay = (struct exec_overlay){ "/src/a.c", source, 7, false };
	t->job = (struct exec_job){
		.argv = argv,
		.env = env,
		.cwd = "/src",
		.umask = 022,
		.root = root,
		.overlays = &t->overlay,
		.n_overlays = 1,
		.outputs = t->outputs,
		.n_outputs = 2,
		.keep_outputs = true,
	};
	unlink(t->temporary);
	return t;
}

static struct told *start(unsigned i)
{
	struct told *t = prepare(i);
	unsigned times = t->times;
	t->op = exec_start(lambda, &t->job, done, t);
	assert_int_equal(t->times, times);
	return t;
}

static void run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

static struct told *run_one(void)
{
	struct told *t = start(0);
	t->times = 0;
	run();
	assert_int_equal(t->times, 1);
	return t;
}

static void assert_delivered(struct told *t)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	struct error err;
	struct stat st;
	if (t->outcome != 0)
		fail_msg("outcome %d: %s", t->outcome, t->err.text);
	assert_int_equal(file_read(t->temporary, 64 << 20, &bytes, &err), 0);
	struct slice expected = cloud.output.len ? cloud.output : slice_str(t->path);
	assert_true(slice_equal(buf_slice(&bytes), expected));
	assert_int_equal(stat(t->temporary, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_true(t->result.outputs[0].present && t->result.outputs[0].kept);
	assert_int_equal(store_contains(content, &t->result.outputs[0].digest), 0);
}

/* --- One job --------------------------------------------------------------------------------------------------- */

static int64_t down_ms;

static void lambda__runs_a_job(void **state)
{
	struct told *t = run_one();
	assert_delivered(t);
	assert_string_equal(buf_str(&t->result.err), "warning");
	assert_int_equal(store_contains(content, &t->result.err_digest), 0);
	assert_true(t->result.log.complete);
	assert_int_equal(t->result.log.lookups.n, 2);
	assert_string_equal(t->result.log.lookups.v[0].path, "/src/a.c");
	assert_string_equal(t->result.log.lookups.v[1].path, "/usr/bin/cc");
	assert_int_equal(t->result.wall_us, 5000);
	assert_int_equal(cloud.n_overlays_inline, 1);
	assert_int_equal(cloud.n_packs, 1);
	struct lambda_counters counters = lambda_counters(lambda);
	assert_int_equal(counters.requests, 1);
	assert_int_equal(counters.cold_starts, 1);
	assert_int_equal(counters.billed_ms, 7);
	assert_int_equal(counters.billed_mb_ms, 7 * 2048);
	assert_int_equal(counters.retries + counters.errors + counters.throttles, 0);
	assert_string_equal(lambda->ops->name, "lambda");
	assert_true(lambda->ops->overlays);
}

static void lambda__a_thousand_jobs_are_in_flight(void **state)
{
	cloud.lambda_delay_ms = 700;
	for (unsigned i = 0; i < JOBS; i++)
		start(i);
	run();
	for (unsigned i = 0; i < JOBS; i++) {
		assert_int_equal(told[i].times, 1);
		assert_delivered(&told[i]);
	}
	assert_true(cloud.most_running > 100);
	assert_int_equal(cloud.puts, 2); /* the pack, and a dictionary */
	assert_int_equal(lambda_counters(lambda).requests, JOBS);
}

static void lambda__jobs_beyond_the_width_wait(void **state)
{
	anew(3, 3);
	assert_int_equal(exec_width(lambda), 3);
	cloud.lambda_delay_ms = 5;
	for (unsigned i = 0; i < 20; i++)
		start(i);
	run();
	for (unsigned i = 0; i < 20; i++)
		assert_delivered(&told[i]);
	assert_int_equal(cloud.most_running, 3);
}

static void make_lines(struct buf *text, size_t size)
{
	uint32_t seed = 1;
	while (text->len < size) {
		seed = seed * 1664525 + 1013904223;
		buf_append(text, &seed, sizeof(seed));
	}
}

static void lambda__an_overlay_too_large_for_a_request_goes_by_the_bucket(void **state)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct error err;
	make_lines(&text, 7 << 20);
	struct digest digest = digest_of(buf_slice(&text));
	assert_int_equal(store_put(files, &digest, buf_slice(&text), &err), 0);
	struct told *t = prepare(0);
	t->overlay.digest = digest;
	exec_start(lambda, &t->job, done, t);
	run();
	assert_delivered(t);
	assert_int_equal(cloud.n_overlays_inline, 0);
	assert_int_equal(cloud.puts, 2);
}

/* Run jobs with sources of some length, one after the other: as many as make a dictionary. */
static void run_many(void)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct error err;
	make_lines(&text, 2 * DICTIONARY_JOB_BYTES);
	struct digest digest = digest_of(buf_slice(&text));
	assert_int_equal(store_put(files, &digest, buf_slice(&text), &err), 0);
	for (unsigned i = 0; i < DICTIONARY_FIRST + DICTIONARY_BYTES / DICTIONARY_JOB_BYTES + 2; i++) {
		struct told *t = prepare(i);
		t->overlay.digest = digest;
		exec_start(lambda, &t->job, done, t);
		run();
		assert_delivered(t);
		assert_int_equal(cloud.n_overlays_inline, 1);
	}
}

static void lambda__after_many_jobs_others_come_folded(void **state)
{
	run_many();
	assert_int_equal(cloud.puts, 2);
	assert_in_range(cloud.folded, 1, 2);
	unsigned folded = cloud.folded;
	assert_delivered(run_one());
	assert_int_equal(cloud.folded, folded + 1);
	assert_int_equal(lambda_counters(lambda).retries, 0);
}

static void lambda__without_the_dictionary_nothing_is_folded(void **state)
{
	assert_delivered(run_one());
	cloud.fail_puts = 1;
	run_many();
	assert_int_equal(cloud.folded, 0);
	assert_delivered(run_one());
	anew(JOBS, 0);
	run_many();
	assert_true(cloud.folded > 0);
	cloud_lose(&cloud, "p/blob/");
	assert_delivered(run_one());
	assert_int_equal(lambda_counters(lambda).retries, 1);
	unsigned folded = cloud.folded;
	assert_delivered(run_one());
	assert_int_equal(cloud.folded, folded);
}

static void lambda__outputs_that_stand_apart_are_fetched(void **state)
{
	_cleanup_buf_ struct buf output = { 0 };
	make_lines(&output, 1 << 20);
	cloud.output = buf_slice(&output);
	cloud.apart_bytes = 1000;
	struct told *t = run_one();
	assert_delivered(t);
	assert_int_equal(cloud.gets, 2);
	cloud.fail_gets = 1;
	t = run_one();
	assert_delivered(t);
	assert_int_equal(lambda_counters(lambda).retries, 1);
}

static void lose_outputs(Job__Result *result, const Job__Job *job)
{
	cloud_lose(&cloud, "p/blob/");
}

static void damage_outputs(Job__Result *result, const Job__Job *job)
{
	cloud_damage(&cloud, "p/blob/");
}

static void lambda__outputs_that_are_lost_or_damaged_in_the_bucket_are_refused(void **state)
{
	cloud.output = slice_str("an output of more than ten bytes");
	cloud.apart_bytes = 10;
	cloud.tamper = lose_outputs;
	assert_int_equal(run_one()->outcome, -1);
	assert_int_equal(cloud.invocations, LAMBDA_ATTEMPTS);
	cloud.tamper = damage_outputs;
	assert_int_equal(run_one()->outcome, -1);
	assert_int_equal(access(told[0].temporary, F_OK), -1);
}

/* --- What is missing ------------------------------------------------------------------------------------------- */

static void lambda__what_the_bucket_lost_is_sent_again(void **state)
{
	cloud.lose_puts = 1;
	assert_delivered(run_one());
	assert_int_equal(cloud.invocations, 2);
	cloud_lose(&cloud, "p/pack/");
	assert_delivered(run_one());
	assert_int_equal(cloud.invocations, 4);
	cloud_damage(&cloud, "p/pack/");
	assert_delivered(run_one());
	assert_int_equal(cloud.invocations, 6);
	assert_int_equal(lambda_counters(lambda).retries, 3);
	cloud_lose(&cloud, "p/pack/");
	cloud.lose_puts = UINT32_MAX;
	struct told *t = run_one();
	assert_int_equal(t->outcome, -1);
	assert_non_null(strstr(t->err.text, "bucket bucket loses"));
	assert_int_equal(cloud.invocations, 6 + 1 + LAMBDA_REPAIRS);
}

/* Many find it out at once; it is sent once. */
static void lambda__a_lost_pack_is_mended_once_for_all(void **state)
{
	anew(JOBS, 100);
	assert_delivered(run_one());
	cloud_lose(&cloud, "p/pack/");
	cloud.lambda_delay_ms = 50;
	unsigned puts = cloud.puts;
	for (unsigned i = 0; i < 100; i++)
		start(i)->times = 0;
	run();
	for (unsigned i = 0; i < 100; i++)
		assert_delivered(&told[i]);
	assert_int_equal(cloud.puts, puts + 1);
}

static void lambda__what_the_bucket_lost_and_home_too_is_told(void **state)
{
	assert_delivered(run_one());
	cloud_lose(&cloud, "p/pack/");
	store_memory_clear(files);
	struct told *t = prepare(0);
	t->job.n_overlays = 0;
	exec_start(lambda, &t->job, done, t);
	run();
	assert_int_equal(t->outcome, EXEC_MISSING);
	struct digest header = digest_of(slice_str("header"));
	assert_true(digest_equal(&t->result.missing, &header));
}

static void lambda__tells_what_is_gone_from_home(void **state)
{
	struct told *t = prepare(0);
	t->overlay.digest = digest_of(slice_str("gone"));
	exec_start(lambda, &t->job, done, t);
	run();
	assert_int_equal(t->outcome, EXEC_MISSING);
	assert_true(digest_equal(&t->result.missing, &t->overlay.digest));
	t = prepare(1);
	t->job.root = digest_of(slice_str("no root"));
	exec_start(lambda, &t->job, done, t);
	run();
	assert_int_equal(t->outcome, EXEC_MISSING);
	assert_true(digest_equal(&t->result.missing, &t->job.root));
	assert_int_equal(cloud.invocations, 0);
}

/* --- Failures -------------------------------------------------------------------------------------------------- */

static enum lambda_outcome failure;
static unsigned n_failures; /* that many come first */
static int failure_code;

static void fail_first(struct cloud *c, unsigned n, struct slice payload, struct cloud_reply *reply)
{
	if (n >= n_failures) {
		cloud_work(c, payload, reply);
		return;
	}
	reply->outcome = failure;
	reply->code = failure_code;
	reply->reason = failure_reason;
}

static struct told *run_with_failures(enum lambda_outcome outcome, unsigned n)
{
	cloud.script = fail_first;
	cloud.invocations = 0;
	failure = outcome;
	failure_code = 0;
	n_failures = n;
	return run_one();
}

static void lambda__what_may_pass_is_tried_three_times(void **state)
{
	assert_delivered(run_with_failures(LAMBDA_TRANSIENT, 2));
	assert_int_equal(cloud.invocations, 3);
	struct told *t = run_with_failures(LAMBDA_TRANSIENT, 3);
	assert_int_equal(t->outcome, -1);
	assert_string_equal(t->err.text, "Lambda is ill");
	assert_int_equal(cloud.invocations, 3);
	assert_int_equal(lambda_counters(lambda).retries, 4);
	assert_int_equal(lambda_counters(lambda).errors, 1);
}

static void lambda__what_crashed_or_hung_is_tried_once_more(void **state)
{
	assert_delivered(run_with_failures(LAMBDA_CRASHED, 1));
	assert_delivered(run_with_failures(LAMBDA_TIMED_OUT, 1));
	assert_int_equal(run_with_failures(LAMBDA_CRASHED, 2)->outcome, -1);
	assert_int_equal(cloud.invocations, 2);
	assert_int_equal(run_with_failures(LAMBDA_TIMED_OUT, 9)->outcome, -1);
	assert_int_equal(cloud.invocations, 2);
	assert_null(lambda_down(lambda, &down_ms)); /* it may be the jobs' own fault */
}

static void hang(struct cloud *c, unsigned n, struct slice payload, struct cloud_reply *reply)
{
	*reply = (struct cloud_reply){ .outcome = LAMBDA_TRANSIENT, .code = ETIMEDOUT };
}

static void lambda__a_call_that_got_no_answer_in_time_is_one_that_hung(void **state)
{
	cloud.script = hang;
	assert_int_equal(run_one()->outcome, -1);
	assert_int_equal(cloud.invocations, LAMBDA_CRASHES);
}

static void lambda__what_is_too_large_fails_at_once(void **state)
{
	assert_int_equal(run_with_failures(LAMBDA_TOO_LARGE, 9)->outcome, -1);
	assert_int_equal(cloud.invocations, 1);
	assert_null(lambda_down(lambda, &down_ms));
}

static void lambda__refused_credentials_fail_everybody_for_a_while(void **state)
{
	cloud.script = fail_first;
	failure = LAMBDA_DENIED;
	n_failures = 1;
	anew(JOBS, 1);
	for (unsigned i = 0; i < 100; i++)
		start(i);
	run();
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].outcome, -1);
		assert_string_equal(told[i].err.text, "Lambda is ill");
	}
	assert_int_equal(cloud.invocations, 1);
	assert_string_equal(lambda_down(lambda, &down_ms), "Lambda is ill");
	assert_int_equal(run_one()->outcome, -1);
	assert_int_equal(cloud.invocations, 1);
	while (lambda_down(lambda, &down_ms))
		usleep(1000);
	assert_delivered(run_one());
}

static void lambda__an_expired_token_is_one_for_a_moment(void **state)
{
	failure_reason = "ExpiredTokenException";
	assert_delivered(run_with_failures(LAMBDA_DENIED, 2));
	assert_null(lambda_down(lambda, &down_ms));
	assert_int_equal(run_with_failures(LAMBDA_DENIED, 9)->outcome, -1);
	assert_int_equal(cloud.invocations, LAMBDA_ATTEMPTS);
	assert_non_null(lambda_down(lambda, &down_ms));
}

static void lambda__a_few_failures_in_a_row_are_everybodys(void **state)
{
	cloud.script = fail_first;
	failure = LAMBDA_TRANSIENT;
	n_failures = UINT32_MAX;
	for (unsigned i = 0; i < LAMBDA_STRIKES; i++) {
		assert_null(lambda_down(lambda, &down_ms));
		assert_int_equal(run_one()->outcome, -1);
	}
	assert_non_null(lambda_down(lambda, &down_ms));
	unsigned invocations = cloud.invocations;
	assert_int_equal(run_one()->outcome, -1);
	assert_int_equal(cloud.invocations, invocations);
	while (lambda_down(lambda, &down_ms))
		usleep(1000);
	assert_int_equal(run_one()->outcome, -1); /* nothing has got better */
	assert_int_equal(cloud.invocations, invocations + LAMBDA_ATTEMPTS);
	assert_non_null(lambda_down(lambda, &down_ms));
	while (lambda_down(lambda, &down_ms))
		usleep(1000);
	n_failures = 0;
	assert_delivered(run_one());
	n_failures = UINT32_MAX;
	assert_int_equal(run_one()->outcome, -1);
	assert_null(lambda_down(lambda, &down_ms));
}

static void lambda__who_cannot_be_reached_is_not_asked_again(void **state)
{
	static const int codes[] = { EHOSTUNREACH, ENETUNREACH };
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		cloud.script = fail_first;
		cloud.invocations = 0;
		failure = LAMBDA_TRANSIENT;
		failure_code = codes[i];
		n_failures = 1;
		assert_int_equal(run_one()->outcome, -1);
		assert_int_equal(cloud.invocations, 1);
	}
	failure_code = 0;
	assert_null(lambda_down(lambda, &down_ms));
}

/* The last strike comes while others pause, too. */
static void lambda__what_fails_before_it_is_sent_is_too(void **state)
{
	struct digest malformed = digest_of(slice_str("no Directory"));
	struct error err;
	unsigned last = 50;
	assert_int_equal(store_put(directories, &malformed, slice_str("no Directory"), &err), 0);
	for (unsigned strike = 1; strike <= LAMBDA_STRIKES; strike++) {
		assert_null(lambda_down(lambda, &down_ms));
		for (unsigned i = 0; i < (strike < LAMBDA_STRIKES ? 1 : last); i++) {
			struct told *t = prepare(i);
			t->job.root = malformed;
			t->times = 0;
			exec_start(lambda, &t->job, done, t);
		}
		run();
	}
	assert_non_null(lambda_down(lambda, &down_ms));
	for (unsigned i = 0; i < last; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].outcome, -1);
	}
}

static void lambda__one_pack_that_fails_for_many_is_no_outage(void **state)
{
	cloud.fail_puts = LAMBDA_ATTEMPTS;
	for (unsigned i = 0; i < 100; i++)
		start(i);
	run();
	assert_null(lambda_down(lambda, &down_ms));
	assert_delivered(run_one());
}

static void lambda__a_put_that_failed_is_tried_again(void **state)
{
	cloud.fail_puts = LAMBDA_ATTEMPTS - 1;
	assert_delivered(run_one());
	assert_int_equal(lambda_counters(lambda).retries, LAMBDA_ATTEMPTS - 1);
}

static void lambda__a_bucket_that_is_ill_is_too(void **state)
{
	cloud.fail_puts = UINT32_MAX;
	for (unsigned i = 0; i < LAMBDA_STRIKES; i++)
		assert_int_equal(run_one()->outcome, -1);
	assert_non_null(lambda_down(lambda, &down_ms));
	assert_int_equal(cloud.invocations, 0);
}

static void lambda__a_bucket_that_refuses_us_refuses_everybody(void **state)
{
	cloud.refuse_puts = EACCES;
	for (unsigned i = 0; i < 10; i++)
		start(i);
	run();
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(told[i].outcome, -1);
	assert_non_null(lambda_down(lambda, &down_ms));
	assert_int_equal(lambda_counters(lambda).retries, 0);
	assert_string_equal(lambda_trouble(lambda), told[9].err.text);
}

static void lambda__throttling_is_flow_control(void **state)
{
	cloud.limit = 7;
	cloud.lambda_delay_ms = 20;
	for (unsigned i = 0; i < 60; i++)
		start(i);
	run();
	for (unsigned i = 0; i < 60; i++)
		assert_delivered(&told[i]);
	struct lambda_counters counters = lambda_counters(lambda);
	assert_true(counters.throttles > 0);
	assert_int_equal(counters.retries + counters.errors, 0);
	assert_int_equal(counters.requests, 60 + counters.throttles);
}

static void lambda__who_is_only_throttled_fails_in_the_end(void **state)
{
	cloud.script = fail_first;
	failure = LAMBDA_THROTTLED;
	n_failures = UINT32_MAX;
	for (unsigned i = 0; i < 30; i++)
		start(i);
	run();
	for (unsigned i = 0; i < 30; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].outcome, -1);
	}
	/* It would have been thirty times as many. */
	assert_true(cloud.invocations < 100);
}

/* --- Answers that are not to be believed ----------------------------------------------------------------------- */

static void other_id(Job__Result *result, const Job__Job *job)
{
	static uint8_t id[LAMBDA_ID_BYTES];
	result->id.data = id;
}

static void short_id(Job__Result *result, const Job__Job *job)
{
	result->id.len = 3;
}

static void other_digest(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->digest->hash[0] ^= 1;
}

static void malformed_digest(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->digest->hash[0] = 'G';
}

static void no_digest(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->digest = NULL;
}

static void other_size(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->digest->size_bytes++;
}

static void negative_size(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->contents.len = 0;
	result->result->output_files[0]->digest->size_bytes = -1;
}

static void enormous(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->contents.len = 0;
	result->result->output_files[0]->digest->size_bytes = (int64_t)1 << 40;
}

static void unasked_output(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->path = (char *)"/home/u/.bashrc";
}

static void roundabout_output(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[0]->path = (char *)"/src/../src/0.o";
}

static void output_twice(Job__Result *result, const Job__Job *job)
{
	result->result->output_files[1] = result->result->output_files[0];
}

static void output_symlink(Job__Result *result, const Job__Job *job)
{
	static Reapi__OutputSymlink link = REAPI__OUTPUT_SYMLINK__INIT;
	static Reapi__OutputSymlink *links[] = { &link };
	link.path = (char *)"/src/0.o";
	link.target = (char *)"/etc/passwd";
	result->result->output_symlinks = links;
	result->result->n_output_symlinks = 1;
}

static void no_result(Job__Result *result, const Job__Job *job)
{
	result->result = NULL;
}

static void wild_exit_code(Job__Result *result, const Job__Job *job)
{
	result->result->exit_code = 256;
}

static void wild_signal(Job__Result *result, const Job__Job *job)
{
	result->signal = -9;
}

static void relative_stray(Job__Result *result, const Job__Job *job)
{
	static char *strays[] = { (char *)"../x" };
	result->strays = strays;
	result->n_strays = 1;
}

static void malformed_lookups(Job__Result *result, const Job__Job *job)
{
	result->lookups.len = 1;
}

static void unasked_pack(Job__Result *result, const Job__Job *job)
{
	static Job__Pack pack = JOB__PACK__INIT;
	static uint8_t hash[DIGEST_HASH_BYTES];
	pack.hash = (ProtobufCBinaryData){ sizeof(hash), hash };
	pack.size_bytes = 100;
	result->kept = &pack;
}

static void unknown_outcome(Job__Result *result, const Job__Job *job)
{
	result->outcome = (Job__Result__Outcome)17;
}

static void missing_nothing(Job__Result *result, const Job__Job *job)
{
	result->outcome = JOB__RESULT__OUTCOME__MISSING;
}

static void lambda__an_answer_that_is_not_honest_is_refused(void **state)
{
	void (*const tampers[])(Job__Result *, const Job__Job *) = {
		other_id, short_id, other_digest, malformed_digest, no_digest, other_size, negative_size, enormous, unasked_output, roundabout_output,
		output_twice, output_symlink, no_result, wild_exit_code, wild_signal, relative_stray, malformed_lookups, unasked_pack, unknown_outcome,
		missing_nothing,
	};
	for (size_t i = 0; i < sizeof(tampers) / sizeof(*tampers); i++) {
		anew(JOBS, 0);
		cloud.invocations = 0;
		cloud.tamper = tampers[i];
		struct told *t = run_one();
		if (t->outcome != -1)
			fail_msg("tamper %zu: outcome %d", i, t->outcome);
		assert_int_equal(cloud.invocations, LAMBDA_ATTEMPTS);
		assert_int_equal(access(t->temporary, F_OK), -1);
		cloud.tamper = NULL;
		assert_delivered(run_one());
	}
}

static const char *garbage;

static void answer_garbage(struct cloud *c, unsigned n, struct slice payload, struct cloud_reply *reply)
{
	buf_append_str(&reply->payload, garbage);
}

static void lambda__garbage_is_refused(void **state)
{
	static const char *const texts[] = { "", "null", "{}", "{\"llama\":1,\"result\":\"AAAA\"}", "{\"llama\":1,\"result\":\"!\"}", "SUCCESS" };
	cloud.script = answer_garbage;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		anew(JOBS, 0);
		garbage = texts[i];
		assert_int_equal(run_one()->outcome, -1);
	}
}

/* Millions of empty messages are small and unpack to gigabytes. */
static void answer_bomb(struct cloud *c, unsigned n, struct slice payload, struct cloud_reply *reply)
{
	_cleanup_buf_ struct buf message = { 0 };
	char *at = buf_reserve(&message, 32 << 20);
	for (size_t i = 0; i < 32 << 20; i += 2)
		at[i] = 5 << 3 | 2, at[i + 1] = 0;
	message.len = 32 << 20;
	job_seal(JOB_RESULT, buf_slice(&message), &reply->payload);
}

static void lambda__an_answer_cannot_take_all_memory(void **state)
{
	cloud.script = answer_bomb;
	assert_int_equal(run_one()->outcome, -1);
}

static void other_version(Job__Result *result, const Job__Job *job)
{
	result->version = JOB_VERSION + 1;
}

static void lambda__another_version_is_told_to_everybody(void **state)
{
	cloud.tamper = other_version;
	struct told *t = run_one();
	assert_int_equal(t->outcome, -1);
	assert_non_null(strstr(t->err.text, "update its image"));
	assert_int_equal(cloud.invocations, 1);
	assert_non_null(lambda_down(lambda, &down_ms));
	/* One that can't even read the request says it by an error's type. */
	anew(JOBS, 0);
	cloud.tamper = NULL;
	cloud.script = fail_first;
	failure = LAMBDA_CRASHED;
	failure_reason = JOB_ERROR_VERSION;
	n_failures = UINT32_MAX;
	t = run_one();
	assert_non_null(strstr(t->err.text, "update its image"));
	assert_int_equal(cloud.invocations, 2);
	assert_non_null(lambda_down(lambda, &down_ms));
	/* What it can't answer it can't answer twice. */
	anew(JOBS, 0);
	failure_reason = JOB_ERROR_REQUEST;
	assert_int_equal(run_one()->outcome, -1);
	assert_int_equal(cloud.invocations, 3);
	assert_null(lambda_down(lambda, &down_ms));
}

static void leak(Job__Result *result, const Job__Job *job)
{
	result->outcome = JOB__RESULT__OUTCOME__LEAKED;
	result->error = (char *)"/src/0.o";
}

static void refuse(Job__Result *result, const Job__Job *job)
{
	result->outcome = JOB__RESULT__OUTCOME__FAILED;
	result->error = (char *)"disk\nfull";
}

static void lambda__a_leak_and_a_failure_of_the_worker_are_told_apart(void **state)
{
	cloud.tamper = leak;
	struct told *t = run_one();
	assert_int_equal(t->outcome, EXEC_LEAKED);
	assert_null(t->result.outputs);
	assert_int_equal(access(t->temporary, F_OK), -1);
	cloud.tamper = refuse;
	t = run_one();
	assert_int_equal(t->outcome, -1);
	assert_string_equal(t->err.text, "the worker could not run the job: disk full");
	assert_int_equal(cloud.invocations, 1 + LAMBDA_CRASHES);
	/* What no worker can do is nobody's to try. */
	for (unsigned i = 1; i < LAMBDA_STRIKES; i++)
		run_one();
	assert_non_null(lambda_down(lambda, &down_ms));
}

/* --- Ends of commands, deadlines ------------------------------------------------------------------------------- */

static void exit_with_3(Job__Result *result, const Job__Job *job)
{
	static char *strays[] = { (char *)"/src/core" };
	result->result->exit_code = 3;
	result->result->n_output_files = 0;
	result->strays = strays;
	result->n_strays = 1;
}

static void lambda__the_commands_own_failure_is_no_error(void **state)
{
	cloud.tamper = exit_with_3;
	struct told *t = run_one();
	assert_int_equal(t->outcome, 0);
	assert_int_equal(t->result.exit_code, 3);
	assert_false(t->result.outputs[0].present);
	assert_int_equal(t->result.n_strays, 1);
	assert_string_equal(t->result.strays[0], "/src/core");
}

static void time_out(Job__Result *result, const Job__Job *job)
{
	result->timed_out = true;
	result->signal = 9;
}

static void lambda__a_deadline_is_the_jobs_or_ours(void **state)
{
	cloud.tamper = time_out;
	struct told *t = prepare(0);
	t->job.timeout_ms = 5000;
	exec_start(lambda, &t->job, done, t);
	run();
	assert_int_equal(cloud.timeout_ms, 5000);
	assert_int_equal(t->outcome, 0);
	assert_true(t->result.timed_out);
	assert_int_equal(access(t->temporary, F_OK), -1);
	t = run_one();
	assert_int_equal(t->outcome, -1);
	assert_int_equal(t->err.code, ETIMEDOUT);
	/* The first attempt had 120 s, and what took so long got more in the second. */
	assert_true(cloud.timeout_ms > 120000);
}

static void lambda__what_was_seen_has_a_deadline_by_what_it_took(void **state)
{
	assert_delivered(run_one());
	assert_int_equal(cloud.timeout_ms, 120000);
	assert_delivered(run_one());
	assert_int_equal(cloud.timeout_ms, 30000);
}

/* --- Cancelling ------------------------------------------------------------------------------------------------ */

static void assert_cancelled(struct told *t)
{
	assert_non_null(t->op);
	exec_cancel(t->op);
	exec_cancel(t->op);
	assert_int_equal(t->times, 0);
	run();
	assert_int_equal(t->times, 1);
	assert_int_equal(t->outcome, EXEC_CANCELLED);
	t->times = 0;
}

static void hang_all(struct cloud *c, unsigned n, struct slice payload, struct cloud_reply *reply)
{
	reply->hang = true;
}

static void lambda__is_cancelled_in_every_state(void **state)
{
	/* While the uplink is busy, and before anything began. */
	cloud.hold_puts = true;
	struct told *t = start(0);
	run();
	assert_int_equal(cloud.puts, 1);
	struct told *other = start(1);
	exec_cancel(t->op);
	exec_cancel(other->op);
	cloud_release_puts(&cloud);
	run();
	assert_int_equal(t->outcome, EXEC_CANCELLED);
	assert_int_equal(other->outcome, EXEC_CANCELLED);
	t->times = other->times = 0;
	/* While it is sealed. */
	assert_cancelled(start(0));
	assert_int_equal(cloud.invocations, 0);
	/* With the function, and in the queue behind it. */
	anew(1, 1);
	cloud.script = hang_all;
	t = start(0);
	run(); /* to where nothing more happens by itself */
	assert_int_equal(cloud.invocations, 1);
	other = start(1);
	run();
	assert_int_equal(cloud.invocations, 1);
	exec_cancel(other->op);
	uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(other->times, 1);
	assert_int_equal(other->outcome, EXEC_CANCELLED);
	other->times = 0;
	assert_cancelled(t);
	/* The window has its place back. */
	cloud.script = NULL;
	assert_delivered(run_one());
}

/* Step by step: whatever it is about when the cancellation comes. */
static void lambda__is_cancelled_at_any_turn_of_the_loop(void **state)
{
	unsigned n_cancelled = 0, n_done = 0;
	cloud.output = slice_str("an output of more than ten bytes");
	cloud.apart_bytes = 10;
	for (unsigned turns = 0; turns < 30; turns++) {
		struct told *t = start(0);
		t->times = 0;
		for (unsigned i = 0; i < turns && t->op; i++)
			uv_run(&loop, UV_RUN_ONCE);
		if (t->op)
			exec_cancel(t->op);
		run();
		assert_int_equal(t->times, 1);
		assert_true(t->outcome == 0 || t->outcome == EXEC_CANCELLED);
		n_cancelled += t->outcome == EXEC_CANCELLED;
		n_done += t->outcome == 0;
	}
	assert_true(n_cancelled > 0 && n_done > 0);
}

static void lambda__is_cancelled_while_it_pauses(void **state)
{
	struct lambda_options options = {
		.aws = cloud_aws(&cloud),
		.function = "llama",
		.uplink = uplink,
		.place = { "bucket", "p/", "us-east-1", "" },
		.files = files,
		.width = 1,
		.retry_ms = (int64_t)1 << 30,
	};
	executor_free(lambda);
	lambda = lambda_new(&loop, &options);
	cloud.script = fail_first;
	failure = LAMBDA_TRANSIENT;
	n_failures = UINT32_MAX;
	struct told *t = start(0);
	while (lambda_counters(lambda).retries == 0)
		uv_run(&loop, UV_RUN_ONCE);
	assert_cancelled(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lambda__runs_a_job),
		TEST(lambda__a_thousand_jobs_are_in_flight),
		TEST(lambda__jobs_beyond_the_width_wait),
		TEST(lambda__an_overlay_too_large_for_a_request_goes_by_the_bucket),
		TEST(lambda__after_many_jobs_others_come_folded),
		TEST(lambda__without_the_dictionary_nothing_is_folded),
		TEST(lambda__outputs_that_stand_apart_are_fetched),
		TEST(lambda__outputs_that_are_lost_or_damaged_in_the_bucket_are_refused),
		TEST(lambda__what_the_bucket_lost_is_sent_again),
		TEST(lambda__a_lost_pack_is_mended_once_for_all),
		TEST(lambda__what_the_bucket_lost_and_home_too_is_told),
		TEST(lambda__tells_what_is_gone_from_home),
		TEST(lambda__what_may_pass_is_tried_three_times),
		TEST(lambda__what_crashed_or_hung_is_tried_once_more),
		TEST(lambda__a_call_that_got_no_answer_in_time_is_one_that_hung),
		TEST(lambda__what_is_too_large_fails_at_once),
		TEST(lambda__refused_credentials_fail_everybody_for_a_while),
		TEST(lambda__an_expired_token_is_one_for_a_moment),
		TEST(lambda__a_few_failures_in_a_row_are_everybodys),
		TEST(lambda__who_cannot_be_reached_is_not_asked_again),
		TEST(lambda__what_fails_before_it_is_sent_is_too),
		TEST(lambda__one_pack_that_fails_for_many_is_no_outage),
		TEST(lambda__a_put_that_failed_is_tried_again),
		TEST(lambda__a_bucket_that_is_ill_is_too),
		TEST(lambda__a_bucket_that_refuses_us_refuses_everybody),
		TEST(lambda__throttling_is_flow_control),
		TEST(lambda__who_is_only_throttled_fails_in_the_end),
		TEST(lambda__an_answer_that_is_not_honest_is_refused),
		TEST(lambda__garbage_is_refused),
		TEST(lambda__an_answer_cannot_take_all_memory),
		TEST(lambda__another_version_is_told_to_everybody),
		TEST(lambda__a_leak_and_a_failure_of_the_worker_are_told_apart),
		TEST(lambda__the_commands_own_failure_is_no_error),
		TEST(lambda__a_deadline_is_the_jobs_or_ours),
		TEST(lambda__what_was_seen_has_a_deadline_by_what_it_took),
		TEST(lambda__is_cancelled_in_every_state),
		TEST(lambda__is_cancelled_at_any_turn_of_the_loop),
		TEST(lambda__is_cancelled_while_it_pauses),
	};
	work_set_threads(4);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
