#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "event/watch.h"
#include "event/work.h"

struct piece {
	pthread_t loop_thread;
	bool ran_elsewhere, finished_on_loop;
};

static void piece_run(void *ctx)
{
	struct piece *piece = ctx;
	piece->ran_elsewhere = !pthread_equal(pthread_self(), piece->loop_thread);
}

static void piece_done(void *ctx)
{
	struct piece *piece = ctx;
	piece->finished_on_loop = pthread_equal(pthread_self(), piece->loop_thread);
}

static void work__runs_on_a_thread_and_finishes_on_the_loop(void **state)
{
	uv_loop_t loop;
	uv_loop_init(&loop);
	struct piece piece = { .loop_thread = pthread_self() };
	work_start(&loop, piece_run, piece_done, &piece);
	assert_false(piece.finished_on_loop);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(piece.ran_elsewhere);
	assert_true(piece.finished_on_loop);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static struct watch *current;
static int ended;

static void process_ended(void *ctx)
{
	ended++;
	watch_free(current);
}

static void watch__fires_once_when_a_process_ends(void **state)
{
	uv_loop_t loop;
	uv_loop_init(&loop);
	int hold[2];
	assert_int_equal(pipe(hold), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		close(hold[1]);
		_exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
	}
	close(hold[0]);
	struct error err;
	current = watch_process(&loop, pid, -1, process_ended, NULL, &err);
	assert_non_null(current);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(ended, 0);
	close(hold[1]);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(ended, 1);
	waitpid(pid, NULL, 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void watch__of_a_process_that_is_gone_is_refused(void **state)
{
	uv_loop_t loop;
	uv_loop_init(&loop);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	struct error err;
	assert_null(watch_process(&loop, pid, -1, process_ended, NULL, &err));
	assert_int_equal(err.code, ESRCH);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void watch__processor_time_is_that_of_all_descendants(void **state)
{
	int done[2];
	assert_int_equal(pipe(done), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (clock_t end = clock() + CLOCKS_PER_SEC / 5; clock() < end;)
				;
			_exit(write(done[1], "", 1) == 1 ? pause() : 1);
		}
		_exit(pause());
	}
	char byte;
	assert_int_equal(read(done[0], &byte, 1), 1);
	assert_true(watch_processor_time(pid) * 100 / sysconf(_SC_CLK_TCK) >= 15);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(watch_processor_time(pid), -1);
	close(done[0]);
	close(done[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work__runs_on_a_thread_and_finishes_on_the_loop),
		cmocka_unit_test(watch__fires_once_when_a_process_ends),
		cmocka_unit_test(watch__of_a_process_that_is_gone_is_refused),
		cmocka_unit_test(watch__processor_time_is_that_of_all_descendants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
