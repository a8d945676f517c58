#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "worker/lookup_log.h"
#include "worker/runner.h"

/* A runner with its directory. In namespaces the root is this machine's /usr and libraries, reached through symlinks into a bind-like copy: too
 * large to copy, so a few programs and their libraries are. */
struct fixture {
	enum runner_mode mode;
	char dir[64];
	char place[80]; /* root, or directory for temporaries */
	struct runner *runner;
};

static const char *const programs[] = { "/bin/sh", "/bin/true", "/bin/cat", "/bin/sleep", "/bin/mkdir", "/bin/ls",
	"/usr/bin/env", "/usr/bin/id", "/usr/bin/tty", "/usr/bin/setsid", "/usr/bin/head", "/usr/bin/stat",
	"/usr/bin/readlink", "/usr/bin/tr", "/bin/grep" };

static void shell(const char *format, ...)
{
	_cleanup_buf_ struct buf command = { 0 };
	va_list args;
	va_start(args, format);
	buf_vprintf(&command, format, args);
	va_end(args);
	assert_int_equal(system(buf_str(&command)), 0);
}

static void make_root(const char *root)
{
	assert_int_equal(mkdir(root, 0755), 0);
	shell("mkdir -p %s/usr/bin %s/work %s/tmp && ln -s usr/bin %s/bin", root, root, root, root);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		shell("cp -L %s %s/usr/bin/ && for l in $(ldd %s | grep -o '/[^ ]*'); do mkdir -p %s/${l%%/*}; cp -nL "
		      "$l %s/$l; done",
			programs[i], root, programs[i], root, root);
}

static char shared_root[64]; /* made once: copying takes its time */

static struct runner *new_runner(const struct fixture *f, struct error *err)
{
	struct runner_options options = {
		.mode = f->mode,
		.program = TEST_RUNNER,
		.interposer = TEST_INTERPOSER,
		.root = f->mode == RUNNER_NAMESPACES ? f->place : NULL,
		.tmpdir = f->mode == RUNNER_INPLACE ? f->place : NULL,
	};
	return runner_new(&options, err);
}

static int set_up(struct fixture *f)
{
	strcpy(f->dir, "/tmp/llama-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	struct error err = { 0 };
	if (f->mode == RUNNER_NAMESPACES) {
		strcpy(f->place, shared_root);
	} else {
		snprintf(f->place, sizeof(f->place), "%s/tmp", f->dir);
		assert_int_equal(mkdir(f->place, 0700), 0);
	}
	f->runner = new_runner(f, &err);
	if (!f->runner)
		fail_msg("%s", err.text);
	return 0;
}

static int set_up_inplace(void **state)
{
	static struct fixture f;
	f = (struct fixture){ .mode = RUNNER_INPLACE };
	*state = &f;
	return set_up(&f);
}

static int set_up_namespaces(void **state)
{
	static struct fixture f;
	f = (struct fixture){ .mode = RUNNER_NAMESPACES };
	*state = &f;
	return set_up(&f);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct error err;
	runner_free(f->runner);
	f->runner = NULL;
	return file_remove_tree(AT_FDCWD, f->dir, &err);
}

#define _cleanup_result_ __attribute__((cleanup(run_result_deinit)))

static const char *const plain_env[] = { "PATH=/usr/bin:/bin", "COLOUR=red", "TMPDIR=/elsewhere", NULL };

/* Run a shell script, as a template for struct run_command. */
#define SCRIPT(text)                                                                                                   \
	.argv = (const char *const[]){ "/bin/sh", "-c", text, NULL }, .env = plain_env, .cwd = "/", .umask = 022

static void run(struct fixture *f, const struct run_command *command, struct run_result *ret)
{
	struct error err;
	if (runner_run(f->runner, command, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void runner__exit_code_and_both_streams_come_back(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state, &(struct run_command){ SCRIPT("echo out; echo err >&2; cat; exit 7") }, &result);
	assert_int_equal(result.exit_code, 7);
	assert_int_equal(result.signal, 0);
	assert_string_equal(buf_str(&result.out), "out\n");
	assert_string_equal(buf_str(&result.err), "err\n");
	assert_true(result.wall_us > 0 && result.max_rss_kb > 0);
}

static void runner__signals_are_told_apart_from_exits(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state, &(struct run_command){ SCRIPT("kill -TERM $$") }, &result);
	assert_int_equal(result.signal, SIGTERM);
	run_result_deinit(&result);
	run(*state, &(struct run_command){ SCRIPT("kill -ABRT $$") }, &result);
	assert_int_equal(result.signal, SIGABRT);
}

static void runner__large_output_on_both_streams_is_whole(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state, &(struct run_command){ SCRIPT("head -c 9000000 /dev/zero & head -c 8000000 /dev/zero >&2; wait") },
		&result);
	assert_int_equal(result.exit_code, 0);
	assert_int_equal(result.out.len, 9000000);
	assert_int_equal(result.err.len, 8000000);
}

static void runner__too_much_output_is_an_error(void **state)
{
	struct fixture *f = *state;
	_cleanup_result_ struct run_result result = { 0 };
	struct error err;
	assert_int_equal(runner_run(f->runner, &(struct run_command){ SCRIPT("cat /dev/zero") }, &result, &err), -1);
	assert_int_equal(err.code, EFBIG);
}

static void runner__environment_is_the_given_one(void **state)
{
	struct fixture *f = *state;
	_cleanup_result_ struct run_result result = { 0 };
	run(f,
		&(struct run_command){ SCRIPT("echo $COLOUR $TMPDIR; test -d $TMPDIR; echo $? $HOME; env | grep -c -e "
					      "LD_PRELOAD -e LLAMA_TRACE") },
		&result);
	char expected[200];
	snprintf(expected, sizeof(expected), "red %s\n0\n2\n", f->mode == RUNNER_INPLACE ? f->place : "/.llama/tmp");
	assert_string_equal(buf_str(&result.out), expected);
}

static void runner__stderr_may_be_a_terminal(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	struct run_command command = {
		SCRIPT("test -t 2 && echo terminal; test -t 1 || echo none; printf 'a\\nb\\tc\\n' >&2; "
		       "head -c 200000 /dev/zero | tr '\\0' x >&2"),
		.tty = true, .columns = 97, .rows = 33
	};
	run(*state, &command, &result);
	assert_string_equal(buf_str(&result.out), "terminal\nnone\n");
	assert_int_equal(result.err.len, 6 + 200000);
	assert_memory_equal(result.err.ptr, "a\nb\tc\nxxx", 9);
}

static void runner__umask_and_cwd_are_the_given_ones(void **state)
{
	struct fixture *f = *state;
	_cleanup_result_ struct run_result result = { 0 };
	struct run_command command = { SCRIPT("umask; pwd; cd $TMPDIR; mkdir d; stat -c %a d") };
	command.umask = 0137;
	command.cwd = "/usr";
	run(f, &command, &result);
	assert_string_equal(buf_str(&result.out), "0137\n/usr\n640\n");
}

static void runner__missing_cwd_is_an_error_that_names_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_result_ struct run_result result = { 0 };
	struct error err;
	struct run_command command = { SCRIPT("true") };
	command.cwd = "/no/such";
	assert_int_equal(runner_run(f->runner, &command, &result, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_non_null(strstr(err.text, "/no/such"));
	/* And the runner is as good as before. */
	run_result_deinit(&result);
	run(f, &(struct run_command){ SCRIPT("exit 3") }, &result);
	assert_int_equal(result.exit_code, 3);
}

static void runner__missing_program_is_an_error_that_names_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_result_ struct run_result result = { 0 };
	struct error err;
	struct run_command command = { SCRIPT("true") };
	command.argv = (const char *const[]){ "/no/such/cc", NULL };
	assert_int_equal(runner_run(f->runner, &command, &result, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_non_null(strstr(err.text, "/no/such/cc"));
}

static void runner__timeout_kills(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	int64_t start_ms = clock_monotonic_ms();
	struct run_command command = { SCRIPT("sleep 60 & sleep 60; true"), .timeout_ms = 100 };
	run(*state, &command, &result);
	assert_true(result.timed_out);
	assert_int_equal(result.signal, SIGKILL);
	assert_true(clock_monotonic_ms() - start_ms < 20000);
}

struct killer {
	struct runner *runner;
	pthread_t thread;
	bool done;
};

static void *kill_until_done(void *ctx)
{
	struct killer *killer = ctx;
	while (!__atomic_load_n(&killer->done, __ATOMIC_RELAXED)) {
		runner_kill(killer->runner);
		usleep(1000);
	}
	return NULL;
}

static void runner__kill_works_from_another_thread_and_hits_no_later_command(void **state)
{
	struct fixture *f = *state;
	struct killer killer = { .runner = f->runner };
	assert_int_equal(pthread_create(&killer.thread, NULL, kill_until_done, &killer), 0);
	for (int i = 0; i < 20; i++) {
		_cleanup_result_ struct run_result result = { 0 };
		run(f, &(struct run_command){ SCRIPT("sleep 60") }, &result);
		assert_int_equal(result.signal, SIGKILL);
	}
	__atomic_store_n(&killer.done, true, __ATOMIC_RELAXED);
	pthread_join(killer.thread, NULL);
	_cleanup_result_ struct run_result result = { 0 };
	run(f, &(struct run_command){ SCRIPT("exit 5") }, &result);
	assert_int_equal(result.exit_code, 5);
}

static bool process_exists(const char *argument)
{
	char command[200];
	snprintf(command, sizeof(command), "grep -qslz -- '^%s$' /proc/[0-9]*/cmdline", argument);
	return system(command) == 0;
}

static void runner__what_a_command_leaves_behind_is_killed(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	char script[200], mark[32];
	snprintf(mark, sizeof(mark), "7%d", (int)getpid());
	snprintf(script, sizeof(script),
		"sleep %s & setsid sleep %s & (setsid sh -c 'sleep %s; :' >/dev/null 2>&1 &); echo done", mark, mark,
		mark);
	int64_t start_ms = clock_monotonic_ms();
	run(*state, &(struct run_command){ SCRIPT(script) }, &result);
	assert_int_equal(result.exit_code, 0);
	assert_string_equal(buf_str(&result.out), "done\n");
	assert_true(clock_monotonic_ms() - start_ms < 20000);
	assert_false(process_exists(mark));
}

static void runner__a_job_ends_with_its_runner(void **state)
{
	struct fixture *f = *state;
	char mark[32];
	snprintf(mark, sizeof(mark), "8%d", (int)getpid());
	/* Another process plays the daemon and is killed. */
	pid_t daemon = fork();
	if (daemon == 0) {
		struct error err;
		struct runner *runner = new_runner(f, &err);
		char script[64];
		snprintf(script, sizeof(script), "sleep %s; true", mark);
		struct run_result result;
		if (runner)
			(void)runner_run(runner, &(struct run_command){ SCRIPT(script) }, &result, &err);
		_exit(1);
	}
	for (int i = 0; i < 2000 && !process_exists(mark); i++)
		usleep(5000);
	assert_true(process_exists(mark));
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
	for (int i = 0; i < 2000 && process_exists(mark); i++)
		usleep(5000);
	assert_false(process_exists(mark));
}

static void runner__temporaries_are_gone_after_the_command(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state, &(struct run_command){ SCRIPT("cd $TMPDIR && mkdir -p a/b && echo x > a/b/c && echo y > d && ls") },
		&result);
	assert_string_equal(buf_str(&result.out), "a\nd\n");
	run_result_deinit(&result);
	run(*state, &(struct run_command){ SCRIPT("ls $TMPDIR") }, &result);
	assert_string_equal(buf_str(&result.out), "");
}

static void runner__large_arguments_pass_or_say_too_big(void **state)
{
	struct fixture *f = *state;
	enum { N = 100, SIZE = 100 * 1000 };
	_cleanup_free_ char *text = malloc(SIZE + 8);
	memset(text, 'x', SIZE);
	memcpy(text, "V=", 2);
	text[SIZE] = '\0';
	const char *env[N + 1] = { NULL };
	for (int i = 0; i < 10; i++)
		env[i] = text;
	struct run_command command = { SCRIPT("exit 4") };
	command.env = env;
	_cleanup_result_ struct run_result result = { 0 };
	run(f, &command, &result); /* 1 MB */
	assert_int_equal(result.exit_code, 4);
	run_result_deinit(&result);
	for (int i = 0; i < N; i++)
		env[i] = text;
	struct error err;
	assert_int_equal(runner_run(f->runner, &command, &result, &err), -1); /* 10 MB */
	assert_int_equal(err.code, E2BIG);
}

static size_t count_fds(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	_cleanup_closedir_ DIR *dir = opendir(path);
	assert_non_null(dir);
	size_t n = 0;
	while (readdir(dir))
		n++;
	return n;
}

static void runner__two_hundred_runs_leak_no_descriptor(void **state)
{
	_cleanup_result_ struct run_result first = { 0 }, last = { 0 };
	/* The runner's own descriptors are $PPID's, once it has closed those of the run. */
	struct run_command list = { SCRIPT("sleep 0.2; ls /proc/$PPID/fd; exit 0") };
	run(*state, &list, &first);
	size_t before = count_fds(getpid());
	for (int i = 0; i < 200; i++) {
		_cleanup_result_ struct run_result result = { 0 };
		run(*state, &(struct run_command){ SCRIPT("exit 0"), .tty = i % 2 }, &result);
	}
	run(*state, &list, &last);
	assert_int_equal(count_fds(getpid()), before);
	assert_string_equal(buf_str(&last.out), buf_str(&first.out));
}

static void runner__commands_hold_no_descriptor_but_the_log(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state, &(struct run_command){ SCRIPT("ls /proc/$$/fd; readlink /proc/$$/fd/0") }, &result);
	assert_string_equal(buf_str(&result.out), "0\n1\n100\n2\n/dev/null\n");
}

static void runner__a_command_cannot_cut_off_the_log(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state, &(struct run_command){ SCRIPT("(: >/proc/self/fd/$LLAMA_TRACE) 2>/dev/null || echo refused") }, &result);
	assert_string_equal(buf_str(&result.out), "refused\n");
}

static void runner__look_ups_are_logged(void **state)
{
	struct fixture *f = *state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_result_ struct run_result result = { 0 };
	struct run_command command = { SCRIPT(
		"cat nothere; cat /usr/./bin/env >/dev/null; echo x >$TMPDIR/y; nosuchprogram; true") };
	command.cwd = "/usr";
	run(f, &command, &result);
	struct lookup_log log;
	struct lookup_log_filter filter = { .private_dir = f->mode == RUNNER_INPLACE ? f->place : "/.llama" };
	struct error err;
	assert_int_equal(lookup_log_parse(slice_of(result.trace, result.trace_bytes), &filter, &arena, &log, &err), 0);
	assert_true(log.complete);
	assert_int_equal(log.n_written, 0);
	struct {
		const char *path;
		enum lookup_kind kind;
		bool seen;
	} expected[] = { { "/usr/nothere", LOOKUP_ABSENT, false }, { "/usr/bin/env", LOOKUP_FILE, false },
		{ "/bin/nosuchprogram", LOOKUP_ABSENT, false }, { "/usr/bin/nosuchprogram", LOOKUP_ABSENT, false },
		{ "/usr/bin/cat", LOOKUP_FILE, false } };
	for (size_t i = 0; i < log.lookups.n; i++)
		for (size_t j = 0; j < 5; j++)
			expected[j].seen |= expected[j].kind == log.lookups.v[i].kind &&
					    strcmp(expected[j].path, log.lookups.v[i].path) == 0;
	for (size_t j = 0; j < 5; j++)
		if (!expected[j].seen)
			fail_msg("%s is not in the log", expected[j].path);
}

static void runner__in_place_outputs_go_to_their_temporaries(void **state)
{
	struct fixture *f = *state;
	char target[100], temporary[100], script[300];
	snprintf(target, sizeof(target), "%s/out", f->dir);
	snprintf(temporary, sizeof(temporary), "%s/.out.tmp", f->dir);
	snprintf(script, sizeof(script), "echo one >.//out; cat %s/./out; echo two >>$PWD/out", f->dir);
	shell("echo old >%s", target);
	struct run_command command = { SCRIPT(script) };
	command.cwd = f->dir;
	command.redirects = &(struct run_redirect){ target, temporary };
	command.n_redirects = 1;
	_cleanup_result_ struct run_result result = { 0 };
	run(f, &command, &result);
	assert_string_equal(buf_str(&result.out), "one\n");
	_cleanup_buf_ struct buf old = { 0 }, new = { 0 };
	struct error err;
	assert_int_equal(file_read(target, 100, &old, &err), 0);
	assert_int_equal(file_read(temporary, 100, &new, &err), 0);
	assert_string_equal(buf_str(&old), "old\n");
	assert_string_equal(buf_str(&new), "one\ntwo\n");
}

static void runner__in_place_no_temporary_outlives_the_daemon(void **state)
{
	struct fixture *f = *state;
	char target[100], temporary[100], script[200];
	snprintf(target, sizeof(target), "%s/out", f->dir);
	snprintf(temporary, sizeof(temporary), "%s/.out.tmp", f->dir);
	snprintf(script, sizeof(script), "echo one >%s; sleep 1000; true", target);
	pid_t daemon = fork();
	if (daemon == 0) {
		struct error err;
		struct runner *runner = new_runner(f, &err);
		struct run_command command = { SCRIPT(script) };
		command.redirects = &(struct run_redirect){ target, temporary };
		command.n_redirects = 1;
		struct run_result result;
		if (runner)
			(void)runner_run(runner, &command, &result, &err);
		_exit(1);
	}
	for (int i = 0; i < 2000 && access(temporary, F_OK) < 0; i++)
		usleep(5000);
	assert_int_equal(access(temporary, F_OK), 0);
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
	for (int i = 0; i < 2000 && access(temporary, F_OK) == 0; i++)
		usleep(5000);
	assert_int_equal(access(temporary, F_OK), -1);
	assert_int_equal(access(target, F_OK), -1);
}

static void runner__in_namespaces_nothing_of_home_is_in_reach(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state,
		&(struct run_command){ SCRIPT("test -e /etc/passwd && echo home; ls /; ls /dev; ls /sys 2>/dev/null; "
					      "grep Cap /proc/self/status; grep NoNewPrivs /proc/self/status") },
		&result);
	assert_null(strstr(buf_str(&result.out), "home"));
	assert_non_null(strstr(buf_str(&result.out), "fd\nfull\nnull\nrandom\nstderr\nstdin\nstdout\nurandom\nzero\n"));
	for (const char *set = buf_str(&result.out); (set = strstr(set, "Cap")); set++)
		assert_memory_equal(set + 6, ":\t0000000000000000", 18);
	assert_non_null(strstr(buf_str(&result.out), "NoNewPrivs:\t1"));
}

static void runner__in_namespaces_neither_the_runner_nor_the_kernel_can_be_changed(void **state)
{
	_cleanup_result_ struct run_result result = { 0 };
	run(*state,
		&(struct run_command){ SCRIPT("cat /proc/1/environ && echo environment; readlink /proc/1/fd/3 && echo descriptors; "
					      "(: >>/proc/1/mem) && echo memory; (echo 0 >/proc/self/oom_score_adj) && "
					      "echo proc; (: >>/proc/sys/kernel/core_pattern) && echo kernel; "
					      "cat /proc/self/environ >/dev/null && echo self; true") },
		&result);
	assert_string_equal(buf_str(&result.out), "self\n");
}

static void runner__a_root_that_is_missing_is_an_error_that_names_it(void **state)
{
	struct error err;
	struct fixture f = { .mode = RUNNER_NAMESPACES, .place = "/no/such/root" };
	assert_null(new_runner(&f, &err));
	assert_non_null(strstr(err.text, "/no/such/root"));
}

static void runner__a_helper_that_is_missing_is_an_error_that_names_it(void **state)
{
	struct error err;
	struct runner_options options = {
		.mode = RUNNER_INPLACE, .program = "/no/such/runner", .interposer = TEST_INTERPOSER, .tmpdir = "/tmp"
	};
	assert_null(runner_new(&options, &err));
	assert_non_null(strstr(err.text, "/no/such/runner"));
}

#define COMMON(setup)                                                                                                  \
	cmocka_unit_test_setup_teardown(runner__exit_code_and_both_streams_come_back, setup, tear_down),               \
		cmocka_unit_test_setup_teardown(runner__signals_are_told_apart_from_exits, setup, tear_down),          \
		cmocka_unit_test_setup_teardown(runner__large_output_on_both_streams_is_whole, setup, tear_down),      \
		cmocka_unit_test_setup_teardown(runner__too_much_output_is_an_error, setup, tear_down),                \
		cmocka_unit_test_setup_teardown(runner__environment_is_the_given_one, setup, tear_down),               \
		cmocka_unit_test_setup_teardown(runner__stderr_may_be_a_terminal, setup, tear_down),                   \
		cmocka_unit_test_setup_teardown(runner__umask_and_cwd_are_the_given_ones, setup, tear_down),           \
		cmocka_unit_test_setup_teardown(runner__missing_cwd_is_an_error_that_names_it, setup, tear_down),      \
		cmocka_unit_test_setup_teardown(runner__missing_program_is_an_error_that_names_it, setup, tear_down),  \
		cmocka_unit_test_setup_teardown(runner__timeout_kills, setup, tear_down),                              \
		cmocka_unit_test_setup_teardown(                                                                       \
			runner__kill_works_from_another_thread_and_hits_no_later_command, setup, tear_down),           \
		cmocka_unit_test_setup_teardown(runner__what_a_command_leaves_behind_is_killed, setup, tear_down),     \
		cmocka_unit_test_setup_teardown(runner__a_job_ends_with_its_runner, setup, tear_down),                 \
		cmocka_unit_test_setup_teardown(runner__temporaries_are_gone_after_the_command, setup, tear_down),     \
		cmocka_unit_test_setup_teardown(runner__large_arguments_pass_or_say_too_big, setup, tear_down),        \
		cmocka_unit_test_setup_teardown(runner__two_hundred_runs_leak_no_descriptor, setup, tear_down),        \
		cmocka_unit_test_setup_teardown(runner__commands_hold_no_descriptor_but_the_log, setup, tear_down),    \
		cmocka_unit_test_setup_teardown(runner__a_command_cannot_cut_off_the_log, setup, tear_down),           \
		cmocka_unit_test_setup_teardown(runner__look_ups_are_logged, setup, tear_down)

static int remove_root(void **state)
{
	struct error err;
	return file_remove_tree(AT_FDCWD, shared_root, &err);
}

int main(void)
{
	const struct CMUnitTest inplace[] = {
		COMMON(set_up_inplace),
		cmocka_unit_test_setup_teardown(
			runner__in_place_outputs_go_to_their_temporaries, set_up_inplace, tear_down),
		cmocka_unit_test_setup_teardown(
			runner__in_place_no_temporary_outlives_the_daemon, set_up_inplace, tear_down),
		cmocka_unit_test(runner__a_helper_that_is_missing_is_an_error_that_names_it),
	};
	const struct CMUnitTest namespaces[] = {
		COMMON(set_up_namespaces),
		cmocka_unit_test(runner__a_root_that_is_missing_is_an_error_that_names_it),
		cmocka_unit_test_setup_teardown(
			runner__in_namespaces_nothing_of_home_is_in_reach, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(
			runner__in_namespaces_neither_the_runner_nor_the_kernel_can_be_changed, set_up_namespaces, tear_down),
	};
	int failed = cmocka_run_group_tests_name("in place", inplace, NULL, NULL);

	snprintf(shared_root, sizeof(shared_root), "/tmp/llama-test-root-%d", (int)getpid());
	make_root(shared_root);
	struct error err;
	struct fixture probe = { .mode = RUNNER_NAMESPACES };
	strcpy(probe.place, shared_root);
	struct runner *runner = new_runner(&probe, &err);
	if (!runner) {
		/* A machine may forbid them; then this must say so, and the other mode is all there is. */
		print_message("skipped: namespaces: %s\n", err.text);
		remove_root(NULL);
		return failed;
	}
	runner_free(runner);
	return failed + cmocka_run_group_tests_name("namespaces", namespaces, NULL, remove_root);
}
