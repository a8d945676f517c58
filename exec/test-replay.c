#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "exec/fake.h"
#include "exec/record.h"
#include "exec/recording.h"
#include "exec/replay.h"
#include "store/store_memory.h"

enum { UNITS = 3, MANY = 1000, LATENCY_MS = 30 };

/* A job, and what its callback was told. */
struct unit {
	char source[32], object[128], temporary[160];
	const char *argv[6];
	struct exec_output output;
	struct exec_job job;
	unsigned times;
	int outcome;
	struct exec_result result;
	struct error err;
};

static uv_loop_t loop;
static char directory[64], recordings[96];
static struct store *content;
static struct executor *fake, *record, *replay;
static struct unit units[UNITS], stranger;

static const char *objects[UNITS] = { "\177ELF zero", "\177ELF one", "\177ELF two" };
static const size_t sizes[UNITS] = { 100, 1000, 10000 };

static void unit_init(struct unit *unit, const char *name, size_t size)
{
	*unit = (struct unit){ 0 };
	snprintf(unit->source, sizeof(unit->source), "%s.c", name);
	snprintf(unit->object, sizeof(unit->object), "%s/%s.o", directory, name);
	snprintf(unit->temporary, sizeof(unit->temporary), "%s/.%s.o", directory, name);
	const char *argv[] = { "/usr/bin/cc", "-c", unit->source, "-o", unit->object, NULL };
	memcpy(unit->argv, argv, sizeof(argv));
	unit->output = (struct exec_output){ unit->object, unit->temporary };
	unit->job = (struct exec_job){ .argv = unit->argv, .cwd = directory, .umask = 022, .outputs = &unit->output, .n_outputs = 1, .keep_outputs = true };
	_cleanup_buf_ struct buf path = { 0 }, text = { 0 };
	buf_printf(&path, "%s/%s", directory, unit->source);
	memset(buf_reserve(&text, size), 'x', size);
	text.len = size;
	assert_int_equal(file_replace(path.ptr, buf_slice(&text), 0644, NULL), 0);
}

static void unit_reset(struct unit *unit)
{
	exec_result_deinit(&unit->result);
	unlink(unit->temporary);
	unit->times = 0;
}

static int compile(void *ctx, const struct exec_job *job, struct exec_result *ret, struct error *err)
{
	for (size_t i = 0; i < UNITS; i++) {
		if (job != &units[i].job)
			continue;
		ret->wall_us = (int64_t)i + 7;
		buf_append_str(&ret->err, "a warning");
		fake_look_up(ret, "/usr/include/absent.h", LOOKUP_ABSENT);
		fake_look_up(ret, "/usr/include/a.h", LOOKUP_FILE);
		_cleanup_buf_ struct buf source = { 0 }; /* isn't recorded */
		buf_printf(&source, "%s/%s", directory, units[i].source);
		fake_look_up(ret, arena_strdup(&ret->arena, buf_str(&source)), LOOKUP_FILE);
		return fake_make_output(job, 0, slice_str(objects[i]), 0666, ret, err);
	}
	return error_set(err, 0, "an unknown job");
}

static void done(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct unit *unit = ctx;
	unit->times++;
	unit->outcome = outcome;
	unit->result = *result;
	unit->err = *err;
}

static struct executor *open_replay(unsigned width, uint64_t latency_ms, struct store *directories)
{
	struct replay_options options = {
		.directory = recordings, .width = width, .latency_ms = latency_ms, .content = content, .directories = directories,
	};
	struct error err;
	struct executor *executor = replay_new(&loop, &options, &err);
	assert_non_null(executor);
	return executor;
}

/* Every unit is recorded. */
static int set_up(void **state)
{
	strcpy(directory, "/tmp/llama-test-replay-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(recordings, sizeof(recordings), "%s/recordings", directory);
	uv_loop_init(&loop);
	content = store_memory_new();
	fake = fake_new(&loop, UNITS, NULL, compile, NULL);
	struct error err;
	record = record_new(&loop, fake, recordings, &err);
	assert_non_null(record);
	for (size_t i = 0; i < UNITS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "unit%zu", i);
		unit_init(&units[i], name, sizes[i]);
		exec_start(record, &units[i].job, done, &units[i]);
	}
	unit_init(&stranger, "stranger", 1100);
	uv_run(&loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < UNITS; i++) {
		assert_int_equal(units[i].times, 1);
		assert_int_equal(units[i].outcome, 0);
		unit_reset(&units[i]);
	}
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < UNITS; i++)
		unit_reset(&units[i]);
	unit_reset(&stranger);
	executor_free(replay);
	replay = NULL;
	executor_free(record);
	executor_free(fake);
	store_free(content);
	assert_int_equal(file_remove_tree(AT_FDCWD, directory, NULL), 0);
	return uv_loop_close(&loop);
}

static void run(struct unit *unit)
{
	exec_start(replay, &unit->job, done, unit);
	assert_int_equal(unit->times, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(unit->times, 1);
}

static void assert_object(const struct unit *unit, const char *begin, size_t length)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(file_read(unit->temporary, 4096, &bytes, NULL), 0);
	assert_int_equal(bytes.len, length);
	assert_memory_equal(bytes.ptr, begin, strlen(begin));
}

static void replay__a_recorded_job_is_answered_as_it_was(void **state)
{
	replay = open_replay(1, 0, NULL);
	run(&units[1]);
	const struct exec_result *result = &units[1].result;
	assert_int_equal(units[1].outcome, 0);
	assert_object(&units[1], objects[1], strlen(objects[1]));
	assert_string_equal(buf_str(&result->err), "a warning");
	assert_int_equal(result->out.len, 0);
	assert_int_equal(result->wall_us, 8);
	assert_true(result->log.complete);
	assert_int_equal(result->log.lookups.n, 2);
	assert_string_equal(result->log.lookups.v[0].path, "/usr/include/a.h");
	assert_int_equal(result->log.lookups.v[0].kind, LOOKUP_FILE);
	assert_int_equal(result->log.lookups.v[1].kind, LOOKUP_ABSENT);
	assert_true(result->outputs[0].present && result->outputs[0].kept && !result->outputs[0].executable);
	_cleanup_buf_ struct buf kept = { 0 };
	assert_int_equal(store_get(content, &result->outputs[0].digest, &kept, NULL), 0);
	assert_int_equal(store_get(content, &result->err_digest, &kept, NULL), 0);
	struct stat st;
	assert_int_equal(stat(units[1].temporary, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static void replay__an_unknown_job_gets_the_result_of_the_nearest_size_with_content_of_its_own(void **state)
{
	replay = open_replay(1, 0, NULL);
	run(&stranger);
	assert_int_equal(stranger.outcome, 0);
	assert_object(&stranger, objects[1], strlen(objects[1]) + DIGEST_HEX_CHARS);
}

static void replay__a_stand_in_is_one_whose_inputs_have_entered(void **state)
{
	replay = open_replay(1, 0, NULL);
	run(&units[2]);
	run(&stranger);
	assert_object(&stranger, objects[2], strlen(objects[2]) + DIGEST_HEX_CHARS);
}

static void replay__a_job_that_nothing_can_stand_in_for_fails(void **state)
{
	replay = open_replay(1, 0, NULL);
	stranger.job.n_outputs = 0;
	run(&stranger);
	assert_int_equal(stranger.outcome, -1);
	assert_string_equal(stranger.err.text, "no recording has 0 outputs");
}

static void replay__a_job_without_its_input_root_fails(void **state)
{
	struct store *directories = store_memory_new();
	replay = open_replay(1, 0, directories);
	run(&units[0]);
	assert_int_equal(units[0].outcome, -1);
	store_free(directories);
}

static void replay__jobs_beyond_the_width_wait_their_turn(void **state)
{
	replay = open_replay(2, LATENCY_MS, NULL);
	int64_t begin_ms = clock_monotonic_ms();
	for (size_t i = 0; i < UNITS; i++)
		exec_start(replay, &units[i].job, done, &units[i]);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_in_range(clock_monotonic_ms() - begin_ms, 2 * LATENCY_MS - 2, 60000);
	for (size_t i = 0; i < UNITS; i++)
		assert_int_equal(units[i].outcome, 0);
}

static void replay__jobs_can_be_cancelled_while_they_run_and_while_they_wait(void **state)
{
	replay = open_replay(1, 60000, NULL);
	struct exec_op *ops[UNITS];
	for (size_t i = 0; i < UNITS; i++)
		ops[i] = exec_start(replay, &units[i].job, done, &units[i]);
	exec_cancel(ops[1]);
	exec_cancel(ops[0]);
	uv_run(&loop, UV_RUN_NOWAIT);
	exec_cancel(ops[2]);
	uv_run(&loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < UNITS; i++) {
		assert_int_equal(units[i].times, 1);
		assert_int_equal(units[i].outcome, EXEC_CANCELLED);
		assert_int_equal(access(units[i].temporary, F_OK), -1);
	}
}

static unsigned n_ended;

static void one_ended(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct exec_output *output = ctx;
	assert_int_equal(outcome, 0);
	assert_int_equal(unlink(output->temporary), 0);
	exec_result_deinit(result);
	n_ended++;
}

static void replay__a_thousand_jobs_are_in_flight_at_once(void **state)
{
	static struct exec_output outputs[MANY];
	static char temporaries[MANY][128];
	static struct exec_job jobs[MANY];
	replay = open_replay(MANY, LATENCY_MS, NULL);
	n_ended = 0;
	int64_t begin_ms = clock_monotonic_ms();
	for (size_t i = 0; i < MANY; i++) {
		jobs[i] = units[i % UNITS].job;
		snprintf(temporaries[i], sizeof(temporaries[i]), "%s/.%zu", directory, i);
		outputs[i] = (struct exec_output){ units[i % UNITS].object, temporaries[i] };
		jobs[i].outputs = &outputs[i];
		exec_start(replay, &jobs[i], one_ended, &outputs[i]);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(n_ended, MANY);
	/* One after the other they would take 30 s. */
	assert_in_range(clock_monotonic_ms() - begin_ms, 0, MANY * LATENCY_MS / 2);
}

static void record__the_last_result_of_a_job_counts(void **state)
{
	objects[1] = "\177ELF anew";
	exec_start(record, &units[1].job, done, &units[1]);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(units[1].outcome, 0);
	unit_reset(&units[1]);
	replay = open_replay(1, 0, NULL);
	run(&units[1]);
	assert_object(&units[1], objects[1], strlen(objects[1]));
}

static void record__what_failed_is_not_recorded(void **state)
{
	exec_start(record, &stranger.job, done, &stranger);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(stranger.outcome, -1);
	struct error err;
	bool exact;
	struct recordings *all = recordings_open(recordings, &err);
	assert_non_null(all);
	assert_non_null(recordings_choose(all, &stranger.job, &exact));
	assert_false(exact);
	assert_non_null(recordings_choose(all, &units[0].job, &exact));
	assert_true(exact);
	recordings_close(all);
}

static void recordings__an_empty_or_foreign_directory_is_refused(void **state)
{
	struct error err;
	char empty[96], about[192];
	snprintf(empty, sizeof(empty), "%s/empty", directory);
	assert_null(recordings_open(empty, &err));
	assert_int_equal(mkdir(empty, 0700), 0);
	assert_null(recordings_open(empty, &err));
	snprintf(about, sizeof(about), "%s/%064d", empty, 0);
	assert_int_equal(mkdir(about, 0700), 0);
	strcat(about, "/about");
	assert_int_equal(file_replace(about, slice_str("9 1 1 0 0 0 0 0\n"), 0600, NULL), 0);
	assert_null(recordings_open(empty, &err));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(replay__a_recorded_job_is_answered_as_it_was),
		TEST(replay__an_unknown_job_gets_the_result_of_the_nearest_size_with_content_of_its_own),
		TEST(replay__a_stand_in_is_one_whose_inputs_have_entered),
		TEST(replay__a_job_that_nothing_can_stand_in_for_fails),
		TEST(replay__a_job_without_its_input_root_fails),
		TEST(replay__jobs_beyond_the_width_wait_their_turn),
		TEST(replay__jobs_can_be_cancelled_while_they_run_and_while_they_wait),
		TEST(replay__a_thousand_jobs_are_in_flight_at_once),
		TEST(record__the_last_result_of_a_job_counts),
		TEST(record__what_failed_is_not_recorded),
		TEST(recordings__an_empty_or_foreign_directory_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
