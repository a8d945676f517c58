#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "exec/lambda_wire.h"
#include "exec/recording.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/recorded.h"
#include "tests/cloud/s3.h"

static char directory[64], paths[5][128]; /* state, recordings, the outputs' temporaries */
static struct cloud *cloud;
static struct recorded *recorded;

static const char *const arguments[] = { "/usr/bin/cc", "-c", "x.c", "-MD", "-o", "x.o", NULL },
			 *const environment[] = { "A=1", NULL };
static struct exec_output outputs[] = { { "/w/x.o", paths[2] }, { "/w/x.d", paths[3] } };
static struct exec_job job = { .argv = arguments, .env = environment, .cwd = "/w", .outputs = outputs, .n_outputs = 2 };

static void write_text(const char *path, const char *text)
{
	struct error err;
	assert_int_equal(file_replace(path, slice_str(text), 0644, &err), 0);
}

/* One job is recorded: what it made, said and looked at. */
static void record(void)
{
	struct error err;
	struct exec_output_result made[] = { { .present = true }, { .present = true } };
	struct lookup lookups[] = { { "/w/x.c", LOOKUP_FILE, { { 0 }, 0 } },
		{ "/w/x.h", LOOKUP_ABSENT, { { 0 }, 0 } } };
	struct exec_result result = {
		.outputs = made, .wall_us = 5000, .log = { .lookups = { lookups, 2 }, .complete = true }
	};
	buf_append_str(&result.err, "a warning\n");
	write_text(paths[2], "object");
	write_text(paths[3], "x.o: x.c");
	assert_int_equal(recording_save(paths[1], &job, &result, &err), 0);
	assert_int_equal(unlink(paths[2]) + unlink(paths[3]), 0);
	exec_result_deinit(&result);
}

static int begin(void **state)
{
	static const char *const names[] = { "state", "recordings", "object", "depfile", "other" };
	int64_t settings[CLOUD_N_SETTINGS];
	struct error err;
	snprintf(directory, sizeof(directory), "/tmp/test-recorded-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	for (size_t i = 0; i < 5; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", directory, names[i]);
	for (size_t i = 0; i < CLOUD_N_SETTINGS; i++)
		settings[i] = cloud_settings[i].value;
	cloud = cloud_new(paths[0], "us-east-1", settings, &err);
	if (!cloud || mkdir(paths[1], 0700) < 0)
		return -1;
	record();
	recorded = recorded_open(cloud, paths[1], &err);
	return recorded ? 0 : -1;
}

static int end(void **state)
{
	recorded_close(recorded);
	cloud_free(cloud);
	return file_remove_tree(AT_FDCWD, directory, NULL);
}

/* Send the job as the daemon does; 0 or RECORDED_NOT. */
static int ask(struct recorded_worker *worker, struct lambda_answer *answer, struct exec_result *result, int64_t *us)
{
	static const struct lambda_place place = { "objects", "", "us-east-1", "" };
	static const uint8_t id[LAMBDA_ID_BYTES] = { 1, 2, 3 };
	struct uplink_pack pack = { .hash = { 7 }, .size_bytes = 1000 };
	struct lambda_parcel parcel = { .job = &job, .packs = &pack, .n_packs = 1, .place = &place };
	_cleanup_buf_ struct buf request = { 0 }, response = { 0 };
	struct digest missing;
	struct error err;
	memcpy(parcel.id, id, sizeof(id));
	*answer = (struct lambda_answer){ 0 };
	*result = (struct exec_result){ 0 };
	assert_int_equal(lambda_wire_job(&parcel, NULL, &request, &missing, &err), 0);
	int done = recorded_answer(recorded, worker, buf_slice(&request), &response, us);
	if (done == 0)
		assert_int_equal(lambda_wire_answer(buf_slice(&response), id, &job, answer, result, &err), 0);
	return done;
}

static void assert_text(const char *path, const char *text)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	struct error err;
	assert_int_equal(file_read(path, 4096, &bytes, &err), 0);
	assert_string_equal(buf_str(&bytes), text);
	assert_int_equal(unlink(path), 0);
}

static void recorded__a_job_is_answered_as_it_was(void **state)
{
	struct recorded_worker *worker = recorded_worker_new();
	int64_t cold_us, warm_us;
	for (int cold = 1; cold >= 0; cold--) {
		struct lambda_answer answer;
		struct exec_result result;
		struct error err;
		assert_int_equal(ask(worker, &answer, &result, cold ? &cold_us : &warm_us), 0);
		assert_int_equal(answer.kind, LAMBDA_ANSWER_DONE);
		assert_int_equal(answer.cold, cold);
		assert_int_equal(answer.s3_gets, cold); /* the pack is fetched once */
		assert_int_equal(result.wall_us, 5000);
		assert_true(result.log.complete);
		assert_int_equal(result.log.lookups.n, 3); /* and the program */
		assert_int_equal(lambda_wire_deliver(&answer, &job, NULL, &result, &err), 0);
		assert_text(paths[2], "object");
		assert_text(paths[3], "x.o: x.c");
		assert_string_equal(buf_str(&result.err), "a warning\n");
		lambda_answer_deinit(&answer);
		exec_result_deinit(&result);
	}
	assert_int_equal(warm_us, 5000 + cloud->settings[SETTING_REPLAY_OVERHEAD_MS] * 1000);
	assert_true(cold_us >= warm_us + cloud->settings[SETTING_REPLAY_S3_MS] * 1000);
	recorded_worker_free(worker);
}

static void recorded__what_is_to_be_shared_is_in_the_bucket(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct cloud_pair host = { "host", "localhost" };
	struct cloud_request request = { .arena = &arena,
		.method = "PUT",
		.target = "/objects",
		.path = "/objects",
		.headers = &host,
		.n_headers = 1,
		.service = "s3",
		.region = "us-east-1" };
	struct cloud_response response = { .status = 200, .content_length = -1, .cut_after = -1 };
	s3_handle(cloud, &request, &response);
	assert_int_equal(response.status, 200);
	buf_deinit(&response.body);
	struct recorded_worker *worker = recorded_worker_new();
	struct lambda_answer answer;
	struct exec_result result;
	int64_t us;
	job.share = true;
	assert_int_equal(ask(worker, &answer, &result, &us), 0);
	job.share = false;
	assert_int_equal(answer.kind, LAMBDA_ANSWER_DONE);
	assert_int_equal(answer.s3_puts, 1);
	assert_true(result.shared.size_bytes > 0);
	lambda_answer_deinit(&answer);
	exec_result_deinit(&result);
	recorded_worker_free(worker);
}

static void recorded__another_unit_of_the_build_has_a_stand_in(void **state)
{
	struct recorded_worker *worker = recorded_worker_new();
	struct lambda_answer answer;
	struct exec_result result;
	int64_t us;
	job.cwd = "/elsewhere";
	assert_int_equal(ask(worker, &answer, &result, &us), 0);
	job.cwd = "/w";
	assert_int_equal(answer.kind, LAMBDA_ANSWER_DONE);
	assert_int_equal(result.wall_us, 5000);
	lambda_answer_deinit(&answer);
	exec_result_deinit(&result);
	recorded_worker_free(worker);
}

static void recorded__other_jobs_are_to_be_run(void **state)
{
	struct recorded_worker *worker = recorded_worker_new();
	struct lambda_answer answer;
	struct exec_result result;
	_cleanup_buf_ struct buf response = { 0 };
	int64_t us;
	job.cwd = "/elsewhere";
	job.n_outputs = 1; /* a toolchain's probe */
	assert_int_equal(ask(worker, &answer, &result, &us), RECORDED_NOT);
	job.cwd = "/w";
	job.n_outputs = 2;
	assert_int_equal(
		recorded_answer(recorded, worker, slice_str("{\"do\": \"echo\"}"), &response, &us), RECORDED_NOT);
	assert_int_equal(response.len, 0);
	recorded_worker_free(worker);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(recorded__a_job_is_answered_as_it_was),
		TEST(recorded__what_is_to_be_shared_is_in_the_bucket),
		TEST(recorded__another_unit_of_the_build_has_a_stand_in),
		TEST(recorded__other_jobs_are_to_be_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
