#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "aws/process.h"
#include "base/buf.h"

struct outcome {
	unsigned calls;
	bool failed;
	int code, exit_status, term_signal;
	struct buf out, err;
};

static void done(void *ctx, const struct process_result *result, const struct error *err)
{
	struct outcome *outcome = ctx;
	outcome->calls++;
	outcome->failed = !result;
	if (!result) {
		outcome->code = err->code;
		return;
	}
	outcome->exit_status = result->exit_status;
	outcome->term_signal = result->term_signal;
	buf_append_slice(&outcome->out, result->out);
	buf_append_slice(&outcome->err, result->err);
}

static char *environment[] = { (char *)"PATH=/usr/bin:/bin", (char *)"NAME=value", NULL };

static struct process *start(
	uv_loop_t *loop, const char *script, int64_t limit_ms, size_t limit_bytes, struct outcome *outcome)
{
	struct error err;
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	uv_loop_init(loop);
	*outcome = (struct outcome){ 0 };
	struct process *process = process_start(loop, argv, environment, limit_ms, limit_bytes, done, outcome, &err);
	assert_non_null(process);
	assert_int_equal(outcome->calls, 0);
	return process;
}

static void run(uv_loop_t *loop, struct outcome *outcome, unsigned calls)
{
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
	assert_int_equal(outcome->calls, calls);
}

static void end(struct outcome *outcome)
{
	buf_deinit(&outcome->out);
	buf_deinit(&outcome->err);
}

static void process__gives_both_outputs_and_the_exit_status(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct outcome outcome;
	start(&loop, "echo out $NAME; echo err >&2; cat; exit 3", 10000, 1000, &outcome);
	run(&loop, &outcome, 1);
	assert_false(outcome.failed);
	assert_int_equal(outcome.exit_status, 3);
	assert_string_equal(outcome.out.ptr, "out value\n");
	assert_string_equal(outcome.err.ptr, "err\n");
	end(&outcome);
}

static void process__gives_the_signal_that_ended_it(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct outcome outcome;
	start(&loop, "kill -TERM $$", 10000, 1000, &outcome);
	run(&loop, &outcome, 1);
	assert_int_equal(outcome.term_signal, SIGTERM);
	end(&outcome);
}

static void process__whoever_writes_too_much_is_killed(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct outcome outcome;
	start(&loop, "yes", 10000, 100000, &outcome);
	run(&loop, &outcome, 1);
	assert_true(outcome.failed);
	assert_int_equal(outcome.code, EFBIG);
	/* Standard error is cut, no more. */
	start(&loop, "head -c 100000 /dev/zero >&2; echo ok", 10000, 1000, &outcome);
	run(&loop, &outcome, 1);
	assert_false(outcome.failed);
	assert_int_equal(outcome.err.len, 1024);
	assert_string_equal(outcome.out.ptr, "ok\n");
	end(&outcome);
}

static void process__whoever_takes_too_long_is_killed_with_its_children(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct outcome outcome;
	int pipe_ends[2];
	char byte;
	assert_int_equal(pipe(pipe_ends), 0);
	start(&loop, "sleep 1000 & wait", 50, 1000, &outcome);
	close(pipe_ends[1]); /* the children have the other copies */
	run(&loop, &outcome, 1);
	assert_int_equal(outcome.code, ETIMEDOUT);
	assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* all are gone */
	close(pipe_ends[0]);
	end(&outcome);
}

static void process__a_cancelled_one_is_never_heard_of(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct outcome outcome;
	process_cancel(start(&loop, "sleep 1000", 100000, 1000, &outcome));
	run(&loop, &outcome, 0);
	process_cancel(NULL);
}

static void process__what_cannot_be_started_says_so(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct outcome outcome = { 0 };
	struct error err;
	char *argv[] = { (char *)"/nonexistent/helper", NULL };
	uv_loop_init(&loop);
	assert_null(process_start(&loop, argv, environment, 1000, 1000, done, &outcome, &err));
	assert_int_equal(err.code, ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/helper"));
	run(&loop, &outcome, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(process__gives_both_outputs_and_the_exit_status),
		cmocka_unit_test(process__gives_the_signal_that_ended_it),
		cmocka_unit_test(process__whoever_writes_too_much_is_killed),
		cmocka_unit_test(process__whoever_takes_too_long_is_killed_with_its_children),
		cmocka_unit_test(process__a_cancelled_one_is_never_heard_of),
		cmocka_unit_test(process__what_cannot_be_started_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
