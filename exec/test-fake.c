#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "exec/fake.h"
#include "store/store_memory.h"

enum { JOBS = 5, WIDTH = 2 };

/* What the callback of a job was told. */
struct told {
	unsigned times;
	int outcome;
	struct exec_result result;
	struct error err;
};

static uv_loop_t loop;
static char directory[] = "/tmp/llama-test-fake-XXXXXX";
static struct store *content;
static struct executor *fake;
static int next_outcome; /* of the script */
static unsigned most_running;
static struct told told[JOBS];

static int script(void *ctx, const struct exec_job *job, struct exec_result *ret, struct error *err)
{
	if (fake_running(fake) > most_running)
		most_running = fake_running(fake);
	if (next_outcome < 0)
		return error_set(err, EIO, "the engine is broken");
	if (next_outcome > 0)
		return next_outcome;
	ret->exit_code = 3;
	buf_append_str(&ret->err, "a warning");
	fake_look_up(ret, "/usr/include/b.h", LOOKUP_FILE);
	fake_look_up(ret, "/usr/include/a.h", LOOKUP_ABSENT);
	return job->n_outputs ? fake_make_output(job, 0, slice_str("object"), 0777, ret, err) : 0;
}

static void done(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct told *t = ctx;
	t->times++;
	t->outcome = outcome;
	t->result = *result;
	t->err = *err;
}

static int set_up(void **state)
{
	uv_loop_init(&loop);
	content = store_memory_new();
	fake = fake_new(&loop, WIDTH, content, script, NULL);
	next_outcome = 0;
	most_running = 0;
	memset(told, 0, sizeof(told));
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < JOBS; i++)
		exec_result_deinit(&told[i].result);
	executor_free(fake);
	store_free(content);
	return uv_loop_close(&loop);
}

static void turn(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

static const struct exec_job empty_job = { 0 };

static void fake__a_scripted_job_ends_as_written(void **state)
{
	_cleanup_buf_ struct buf path = { 0 }, bytes = { 0 };
	buf_printf(&path, "%s/out", directory);
	struct exec_output output = { .path = "/x.o", .temporary = path.ptr };
	struct exec_job job = { .outputs = &output, .n_outputs = 1, .umask = 022, .keep_outputs = true };
	exec_start(fake, &job, done, &told[0]);
	assert_int_equal(told[0].times, 0);
	turn();
	const struct exec_result *result = &told[0].result;
	assert_int_equal(told[0].times, 1);
	assert_int_equal(told[0].outcome, 0);
	assert_int_equal(result->exit_code, 3);
	assert_string_equal(result->log.lookups.v[0].path, "/usr/include/a.h");
	assert_true(result->outputs[0].present && result->outputs[0].executable && result->outputs[0].kept);
	assert_int_equal(store_get(content, &result->outputs[0].digest, &bytes, NULL), 0);
	assert_int_equal(store_get(content, &result->err_digest, &bytes, NULL), 0);
	assert_string_equal(bytes.ptr, "objecta warning");
	struct stat st;
	assert_int_equal(stat(path.ptr, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
}

static void fake__no_more_run_than_the_width(void **state)
{
	for (size_t i = 0; i < JOBS; i++)
		exec_start(fake, &empty_job, done, &told[i]);
	turn();
	assert_int_equal(most_running, WIDTH);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(told[i].times, 1);
}

static void fake__held_jobs_wait_for_release(void **state)
{
	next_outcome = FAKE_HOLD;
	for (size_t i = 0; i < 3; i++)
		exec_start(fake, &empty_job, done, &told[i]);
	turn();
	assert_int_equal(fake_running(fake), 2);
	next_outcome = 0;
	fake_release(fake);
	turn();
	assert_int_equal(fake_started(fake), 3);
	assert_int_equal(told[0].times + told[1].times + told[2].times, 3);
}

static void fake__cancelling_reaches_waiting_held_and_starting_jobs(void **state)
{
	struct exec_op *ops[4];
	next_outcome = FAKE_HOLD;
	for (size_t i = 0; i < 3; i++)
		ops[i] = exec_start(fake, &empty_job, done, &told[i]);
	turn();
	exec_cancel(ops[2]); /* waits */
	exec_cancel(ops[0]); /* held */
	exec_cancel(ops[0]); /* twice is once */
	assert_int_equal(told[0].times, 0);
	turn();
	assert_int_equal(told[0].outcome, EXEC_CANCELLED);
	assert_int_equal(told[2].outcome, EXEC_CANCELLED);
	assert_int_equal(fake_started(fake), 2);
	ops[3] = exec_start(fake, &empty_job, done, &told[3]);
	exec_cancel(ops[3]);
	exec_cancel(ops[1]);
	turn();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(told[i].times, 1);
}

static void fake__failures_carry_their_error_and_no_result(void **state)
{
	next_outcome = -1;
	exec_start(fake, &empty_job, done, &told[0]);
	turn();
	assert_int_equal(told[0].outcome, -1);
	assert_int_equal(told[0].err.code, EIO);
	assert_null(told[0].result.outputs);
	next_outcome = EXEC_MISSING;
	exec_start(fake, &empty_job, done, &told[1]);
	turn();
	assert_int_equal(told[1].outcome, EXEC_MISSING);
}

static int make_directory(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	return file_remove_tree(AT_FDCWD, directory, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fake__a_scripted_job_ends_as_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fake__no_more_run_than_the_width, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fake__held_jobs_wait_for_release, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			fake__cancelling_reaches_waiting_held_and_starting_jobs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fake__failures_carry_their_error_and_no_result, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
