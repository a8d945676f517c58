#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "exec/lane.h"
#include "files/snapshot.h"
#include "files/view.h"
#include "store/store_disk.h"
#include "store/store_memory.h"

enum { WIDTH = 2, JOBS_MAX = 6, SOON_MS = 20000 };

/* One job under way, with all that it borrows, and what its callback was told. */
struct job {
	struct exec_job job;
	const char *argv[4];
	struct exec_output outputs[3];
	struct exec_op *op;
	unsigned times;
	int outcome;
	struct exec_result result;
	struct error err;
};

static struct fixture {
	enum runner_mode mode;
	char dir[64];
	uv_loop_t loop;
	struct store *content, *directories, *files;
	struct view *view;
	struct snapshot *snapshot;
	struct executor *lanes;
	struct arena arena;
	struct job jobs[JOBS_MAX];
	size_t n_jobs;
} f;

/* --- Shorthand ------------------------------------------------------------------------------------------------- */

static const char *below(const char *name)
{
	return arena_printf(&f.arena, "%s/project/%s", f.dir, name);
}

static void write_file(const char *path, const char *text)
{
	struct error err;
	if (file_replace(path, slice_str(text), 0644, &err) < 0)
		fail_msg("%s", err.text);
}

static const char *text_of(const char *path)
{
	struct buf bytes = { 0 };
	struct error err;
	if (file_read(path, 1 << 20, &bytes, &err) < 0)
		fail_msg("%s", err.text);
	const char *text = arena_strndup(&f.arena, bytes.ptr ? bytes.ptr : "", bytes.len);
	buf_deinit(&bytes);
	return text;
}

static bool exists(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void mirror(const char *path)
{
	struct error err = { 0 };
	int outcome = snapshot_add_toolchain(f.snapshot, view_arrive(f.view), path, &err);
	if (outcome != 0)
		fail_msg("%s: %d %s", path, outcome, err.text);
}

/* The shell, some programs and what they load; gives their root's digest. */
static struct digest current_root(void)
{
	static const char *const programs[] = { "/bin/sh", "/bin/cat", "/bin/chmod", "/bin/mkdir", "/bin/rm",
		"/bin/sleep", "/bin/ln" };
	struct digest root;
	struct error err;
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		char command[100], library[PATH_MAX];
		mirror(programs[i]);
		snprintf(command, sizeof(command), "ldd %s | grep -o '/[^ ]*'", programs[i]);
		FILE *list = popen(command, "re");
		assert_non_null(list);
		while (fscanf(list, "%4095s", library) == 1)
			mirror(library);
		assert_int_equal(pclose(list), 0);
	}
	mirror(below("header"));
	mirror(below("directory/inner"));
	mirror("/tmp");
	assert_int_equal(tree_commit(snapshot_tree(f.snapshot), f.directories, &root, &err), 0);
	return root;
}

static void job_told(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct job *job = ctx;
	job->times++;
	job->outcome = outcome;
	job->result = *result;
	job->err = *err;
}

/* A shell script in the project directory; its outputs a.o, b.o and c.o are wanted in .a, .b and .c. */
static struct job *prepare(const char *script)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	struct job *job = &f.jobs[f.n_jobs++];
	*job = (struct job){ .argv = { "/bin/sh", "-c", script, NULL } };
	for (size_t i = 0; i < 3; i++) {
		job->outputs[i].path = arena_printf(&f.arena, "%s/project/%c.o", f.dir, (int)('a' + i));
		job->outputs[i].temporary = arena_printf(&f.arena, "%s/project/.%c-%zu", f.dir, (int)('a' + i), f.n_jobs);
	}
	job->job = (struct exec_job){
		.argv = job->argv,
		.env = env,
		.cwd = arena_printf(&f.arena, "%s/project", f.dir),
		.umask = 027,
		.outputs = job->outputs,
		.n_outputs = 3,
		.keep_outputs = true,
	};
	if (f.mode == RUNNER_NAMESPACES)
		job->job.root = current_root();
	return job;
}

static struct job *launch(struct job *job)
{
	job->op = exec_start(f.lanes, &job->job, job_told, job);
	assert_int_equal(job->times, 0);
	return job;
}

static struct job *start(const char *script)
{
	return launch(prepare(script));
}

static void finish(void)
{
	uv_run(&f.loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < f.n_jobs; i++)
		assert_int_equal(f.jobs[i].times, 1);
}

/* Start it, and wait until it is over: an outcome of 0, unless the test says otherwise. */
static struct job *run(const char *script)
{
	struct job *job = start(script);
	finish();
	if (job->outcome < 0)
		fail_msg("%s", job->err.text);
	return job;
}

static struct executor *open_lanes(const char *runner, const char *directory, struct error *err)
{
	return lanes_new(&f.loop,
		&(struct lane_options){
			.mode = f.mode,
			.width = WIDTH,
			.directory = arena_printf(&f.arena, "%s/%s", f.dir, directory),
			.runner = runner,
			.interposer = TEST_INTERPOSER,
			.content = f.content,
			.directories = f.directories,
			.files = f.files,
		},
		err);
}

static int tear_down(void **state);

static int set_up(enum runner_mode mode, struct error *err)
{
	f = (struct fixture){ .mode = mode, .dir = "/tmp/llama-test-lane-XXXXXX" };
	if (!mkdtemp(f.dir))
		return -1;
	uv_loop_init(&f.loop);
	f.content = store_disk_new(arena_printf(&f.arena, "%s/content", f.dir), 0, err);
	f.directories = store_memory_new();
	f.files = home_store_new();
	f.view = view_new();
	f.snapshot = snapshot_new(f.view, f.files);
	file_make_dirs(below("directory/inner"), 0755, err);
	write_file(below("header"), "old text\n");
	if (symlink(".", below("../link")) < 0)
		return -1;
	f.lanes = open_lanes(TEST_RUNNER, "link/lanes", err); /* as behind a cache directory that is a symlink */
	return f.lanes ? 0 : -1;
}

static int set_up_inplace(void **state)
{
	struct error err;
	return set_up(RUNNER_INPLACE, &err);
}

static int set_up_namespaces(void **state)
{
	struct error err;
	return set_up(RUNNER_NAMESPACES, &err);
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < f.n_jobs; i++)
		exec_result_deinit(&f.jobs[i].result);
	executor_free(f.lanes);
	snapshot_free(f.snapshot);
	view_free(f.view);
	store_free(f.files);
	store_free(f.directories);
	store_free(f.content);
	int busy = uv_loop_close(&f.loop);
	int removed = file_remove_tree(AT_FDCWD, f.dir, NULL);
	arena_deinit(&f.arena);
	return busy == 0 && removed == 0 ? 0 : -1;
}

/* --- Both modes ------------------------------------------------------------------------------------------------ */

static void lanes__outputs_land_in_their_temporaries_with_their_mode(void **state)
{
	struct job *job = run("echo object >a.o; echo program >b.o; chmod +x b.o; echo said; exit 3");
	struct stat st;
	assert_int_equal(job->result.exit_code, 3);
	assert_string_equal(job->result.out.ptr, "said\n");
	assert_string_equal(text_of(job->outputs[0].temporary), "object\n");
	assert_string_equal(text_of(job->outputs[1].temporary), "program\n");
	assert_int_equal(stat(job->outputs[0].temporary, &st) | st.st_mode, S_IFREG | 0640);
	assert_int_equal(stat(job->outputs[1].temporary, &st) | st.st_mode, S_IFREG | 0750);
	assert_true(job->result.outputs[0].present && !job->result.outputs[0].executable);
	assert_true(job->result.outputs[1].present && job->result.outputs[1].executable);
	assert_false(job->result.outputs[2].present || exists(job->outputs[2].temporary));
	for (size_t i = 0; i < 3; i++)
		assert_false(exists(job->outputs[i].path));
	assert_int_equal(job->result.n_strays, 0);
	assert_true(job->result.log.complete);
}

static void lanes__what_stood_at_an_output_stays(void **state)
{
	write_file(below("a.o"), "before");
	struct job *job = run("echo after >a.o; rm -f b.o");
	assert_string_equal(text_of(below("a.o")), "before");
	assert_string_equal(text_of(job->outputs[0].temporary), "after\n");
}

static void lanes__outputs_and_messages_are_kept_as_content(void **state)
{
	struct job *job = run("echo object >a.o; echo said; echo warned >&2");
	_cleanup_buf_ struct buf bytes = { 0 };
	const struct exec_result *result = &job->result;
	assert_true(result->outputs[0].kept);
	assert_int_equal(store_get(f.content, &result->outputs[0].digest, &bytes, NULL), 0);
	assert_int_equal(store_get(f.content, &result->out_digest, &bytes, NULL), 0);
	assert_int_equal(store_get(f.content, &result->err_digest, &bytes, NULL), 0);
	assert_string_equal(bytes.ptr, "object\nsaid\nwarned\n");
}

static void lanes__strays_are_reported(void **state)
{
	struct job *job = run("echo x >stray; echo y >passing; rm passing; mkdir -p nest; echo z >a.o");
	assert_int_equal(job->result.n_strays, 2);
	assert_string_equal(job->result.strays[0], below("nest"));
	assert_string_equal(job->result.strays[1], below("stray"));
}

static bool looked_up(const struct job *job, const char *path, enum lookup_kind kind)
{
	const struct lookups *lookups = &job->result.log.lookups;
	for (size_t i = 0; i < lookups->n; i++)
		if (lookups->v[i].kind == kind && strcmp(lookups->v[i].path, path) == 0)
			return true;
	return false;
}

static void lanes__look_ups_are_inputs_and_outputs_are_not(void **state)
{
	struct job *job = run("cat header; cat nowhere; echo x >a.o; cat a.o");
	assert_string_equal(job->result.out.ptr, "old text\nx\n");
	assert_true(looked_up(job, below("header"), LOOKUP_FILE));
	assert_true(looked_up(job, below("nowhere"), LOOKUP_ABSENT));
	for (size_t i = 0; i < job->result.log.lookups.n; i++) {
		const char *path = job->result.log.lookups.v[i].path;
		assert_false(strcmp(path, job->outputs[0].path) == 0 || strcmp(path, job->outputs[0].temporary) == 0);
	}
}

static void lanes__a_job_sees_nothing_of_another_s_temporaries(void **state)
{
	run("echo x >$TMPDIR/left; echo y >a.o");
	struct job *job = run("cat $TMPDIR/left");
	assert_int_equal(job->result.exit_code, 1);
}

static void lanes__no_more_run_than_the_width(void **state)
{
	int64_t before_ms = clock_monotonic_ms();
	for (size_t i = 0; i < JOBS_MAX; i++)
		start("sleep 0.2; echo x >a.o");
	finish();
	assert_true(clock_monotonic_ms() - before_ms >= JOBS_MAX / WIDTH * 200);
	for (size_t i = 0; i < JOBS_MAX; i++)
		assert_string_equal(text_of(f.jobs[i].outputs[0].temporary), "x\n");
}

static void cancel_all(uv_timer_t *timer)
{
	for (size_t i = 0; i < f.n_jobs; i++)
		if (!f.jobs[i].times)
			exec_cancel(f.jobs[i].op);
	uv_close((uv_handle_t *)timer, NULL);
}

/* At any moment: while the job waits, is prepared, starts, or runs. */
static void lanes__cancelling_ends_waiting_and_running_jobs_soon(void **state)
{
	static const uint64_t delays_ms[] = { 0, 1, 2, 4, 7, 12, 20, 40, 300 };
	for (size_t i = 0; i < sizeof(delays_ms) / sizeof(*delays_ms); i++) {
		int64_t before_ms = clock_monotonic_ms();
		uv_timer_t timer;
		f.n_jobs = 0;
		for (size_t n = 0; n < WIDTH + 1; n++)
			start("sleep 60; echo x >a.o");
		uv_timer_init(&f.loop, &timer);
		uv_timer_start(&timer, cancel_all, delays_ms[i], 0);
		finish();
		for (size_t n = 0; n < WIDTH + 1; n++)
			assert_int_equal(f.jobs[n].outcome, EXEC_CANCELLED);
		if (clock_monotonic_ms() - before_ms > SOON_MS)
			fail_msg("cancelled after %d ms, a job went on", (int)delays_ms[i]);
	}
	f.n_jobs = 0;
	assert_string_equal(run("echo good")->result.out.ptr, "good\n");
}

static void lanes__a_timeout_is_told(void **state)
{
	struct job *job = prepare("sleep 60");
	job->job.timeout_ms = 200;
	launch(job);
	finish();
	assert_int_equal(job->outcome, 0);
	assert_true(job->result.timed_out && job->result.signal == SIGKILL);
}

static void lanes__a_program_that_is_missing_is_an_error_and_no_more(void **state)
{
	struct job *job = prepare("");
	job->argv[0] = "/no/such/compiler";
	launch(job);
	finish();
	assert_int_equal(job->outcome, -1);
	assert_non_null(strstr(job->err.text, "/no/such/compiler"));
	assert_string_equal(run("echo good")->result.out.ptr, "good\n");
}

/* All processes that this one started and that still run. */
static void kill_children(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	_cleanup_fclose_ FILE *list = fopen(path, "re");
	int pid;
	while (fscanf(list, "%d", &pid) == 1)
		kill(pid, SIGKILL);
}

static void lanes__a_runner_that_died_is_replaced(void **state)
{
	run("echo first >a.o");
	kill_children();
	start("echo second >a.o"); /* may fail: that is how it is found out */
	finish();
	assert_string_equal(run("echo third")->result.out.ptr, "third\n");
}

static void lanes__a_mode_that_does_not_work_says_why(void **state)
{
	struct error err;
	assert_null(open_lanes("/no/such/runner", "other", &err));
	assert_non_null(strstr(err.text, "/no/such/runner"));
}

/* --- In place -------------------------------------------------------------------------------------------------- */

static void lanes__gcc_writes_the_same_object_in_place(void **state)
{
	write_file(below("unit.c"), "#include \"header.h\"\nint main(void) { return VALUE; }\n");
	write_file(below("header.h"), "#define VALUE 7\n");
	struct job *job = run("gcc -g -O2 -MD -MF b.o -c unit.c -o a.o");
	assert_int_equal(job->result.exit_code, 0);
	assert_true(looked_up(job, below("header.h"), LOOKUP_FILE));
	assert_int_equal(job->result.n_strays, 0);
	_cleanup_buf_ struct buf command = { 0 };
	buf_printf(&command, "cd %s/project && gcc -g -O2 -MD -MF b.o -c unit.c -o a.o && cmp a.o %s && cmp b.o %s", f.dir,
		job->outputs[0].temporary, job->outputs[1].temporary);
	assert_int_equal(system(command.ptr), 0);
}

/* --- Sandbox --------------------------------------------------------------------------------------------------- */

static void lanes__the_sandbox_holds_only_the_snapshot(void **state)
{
	struct job *job = run("test -e /etc/passwd && echo leak; cat header; test -d directory/inner && echo inner");
	assert_string_equal(job->result.out.ptr, "old text\ninner\n");
	assert_true(job->result.synced_bytes > 0);
	assert_int_equal(run("cat header")->result.synced_bytes, 0);
}

static void lanes__the_sandbox_is_as_before_after_a_job(void **state)
{
	for (size_t i = 0; i < WIDTH; i++) /* whichever lane the next job gets */
		start("rm -f header; echo new >header; rm -rf directory; ln -s /bin directory; mkdir -p more/of/it; "
		      "echo x >more/of/it/y; "
		      "echo z >a.o; mkdir b.o");
	finish();
	struct job *job = run("cat header; test -d directory/inner && echo inner; test -e more || test -e a.o || test "
			      "-e b.o || echo clean");
	assert_string_equal(job->result.out.ptr, "old text\ninner\nclean\n");
	assert_string_equal(text_of(below("header")), "old text\n");
}

static void lanes__a_sandbox_slot_has_one_user(void **state)
{
	struct error err;
	assert_null(open_lanes(TEST_RUNNER, "lanes", &err));
	assert_int_equal(err.code, EBUSY);
}

static void lanes__a_blob_that_changed_at_home_is_missing(void **state)
{
	struct digest old = digest_of(slice_str("old text\n"));
	struct job *job = prepare("cat header");
	write_file(below("header"), "new text\n");
	launch(job);
	finish();
	assert_int_equal(job->outcome, EXEC_MISSING);
	assert_true(digest_equal(&job->result.missing, &old));
	assert_string_equal(run("cat header")->result.out.ptr, "new text\n");
}

static void lanes__an_unpredicted_directory_of_an_output_is_no_output(void **state)
{
	struct job *job = prepare("echo x >deep/a.o || exit 9");
	job->outputs[0].path = below("deep/a.o");
	launch(job);
	finish();
	assert_int_equal(job->result.exit_code, 9);
	assert_false(job->result.outputs[0].present);
}

static void lanes__kinds_flip_into_each_other_between_jobs(void **state)
{
	static const struct {
		const char *change, *sees; /* at home, below project/ */
	} flips[] = {
		{ "rm header; mkdir header; echo deep >header/file", "directory: deep" },
		{ "rm -r header; echo far >target; ln -s target header", "link: far" },
		{ "rm header; mkdir -p header/file; rm -r directory; echo flat >directory", "directory: " },
		{ "rm -r header; ln -s directory header", "link: flat" },
		{ "rm header directory; echo file >header; mkdir -p directory/inner; echo in >directory/inner/x", "file: file" },
		{ "rm header; ln -s directory/inner header; echo deep >directory/inner/file", "link: deep" },
	};
	const char *script = "if test -h header; then echo -n link:\\ ; elif test -d header; then echo -n directory:\\ ; else "
			     "echo -n file:\\ ; fi; cat header/file 2>/dev/null || cat header 2>/dev/null; true";
	struct error err;
	for (size_t i = 0; i < sizeof(flips) / sizeof(*flips); i++) {
		assert_int_equal(system(arena_printf(&f.arena, "cd %s/project && %s", f.dir, flips[i].change)), 0);
		usleep(50000); /* files that were just written are looked at anew */
		assert_true(snapshot_refresh(f.snapshot, view_arrive(f.view), &err) >= 0);
		f.n_jobs = 0;
		for (size_t n = 0; n < WIDTH; n++) {
			struct job *job = prepare(script);
			view_arrive(f.view);
			mirror(below("header"));
			for (const char *const *p = (const char *const[]){ "header/file", "target", "directory", NULL }; *p; p++)
				mirror(below(*p));
			job->job.root = current_root();
			launch(job);
		}
		finish();
		for (size_t n = 0; n < WIDTH; n++) {
			struct job *job = &f.jobs[n];
			const char *out = job->outcome == 0 ? buf_str(&job->result.out) : job->err.text;
			if (strncmp(out, flips[i].sees, strlen(flips[i].sees)) != 0)
				fail_msg("after `%s` a job sees %s", flips[i].change, out);
			exec_result_deinit(&job->result);
		}
		f.n_jobs = 0;
	}
}

static void cancel_first(uv_timer_t *timer)
{
	exec_cancel(f.jobs[0].op);
	uv_close((uv_handle_t *)timer, NULL);
}

static void lanes__a_job_killed_half_way_leaves_nothing(void **state)
{
	uv_timer_t timer;
	start("rm -rf directory; echo spoilt >header; echo x >stray; echo half >a.o; sleep 60");
	uv_timer_init(&f.loop, &timer);
	uv_timer_start(&timer, cancel_first, 500, 0);
	finish();
	assert_int_equal(f.jobs[0].outcome, EXEC_CANCELLED);
	struct job *job = run("cat header; test -d directory/inner && echo inner; test -e stray || test -e a.o || echo clean");
	assert_string_equal(job->result.out.ptr, "old text\ninner\nclean\n");
}

/* A job's symlink leads out of the root only where somebody follows it from outside. */
static void lanes__a_symlink_out_of_the_root_leads_nowhere(void **state)
{
	assert_int_equal(mkdir(below("precious"), 0755), 0);
	write_file(below("precious/a.o"), "of home\n");
	struct job *job = prepare(arena_printf(&f.arena,
		"rm -rf directory; ln -s ../../../../../../../..%s directory", below("precious")));
	job->outputs[0].path = below("directory/a.o");
	launch(job);
	finish();
	assert_int_equal(job->outcome, 0);
	assert_false(job->result.outputs[0].present || exists(job->outputs[0].temporary));
	job = launch(prepare(arena_printf(&f.arena, "ln -s %s a.o", below("precious/a.o"))));
	uv_run(&f.loop, UV_RUN_DEFAULT);
	assert_int_equal(job->outcome, -1);
	assert_false(exists(job->outputs[0].temporary));
	for (size_t i = 0; i < WIDTH; i++)
		assert_string_equal(run("test -h directory || echo a directory")->result.out.ptr, "a directory\n");
	assert_string_equal(text_of(below("precious/a.o")), "of home\n");
}

#define COMMON(setup)                                                                                                  \
	cmocka_unit_test_setup_teardown(lanes__outputs_land_in_their_temporaries_with_their_mode, setup, tear_down),   \
		cmocka_unit_test_setup_teardown(lanes__what_stood_at_an_output_stays, setup, tear_down),               \
		cmocka_unit_test_setup_teardown(lanes__outputs_and_messages_are_kept_as_content, setup, tear_down),    \
		cmocka_unit_test_setup_teardown(lanes__strays_are_reported, setup, tear_down),                         \
		cmocka_unit_test_setup_teardown(lanes__look_ups_are_inputs_and_outputs_are_not, setup, tear_down),     \
		cmocka_unit_test_setup_teardown(lanes__a_job_sees_nothing_of_another_s_temporaries, setup, tear_down), \
		cmocka_unit_test_setup_teardown(lanes__no_more_run_than_the_width, setup, tear_down),                  \
		cmocka_unit_test_setup_teardown(                                                                       \
			lanes__cancelling_ends_waiting_and_running_jobs_soon, setup, tear_down),                       \
		cmocka_unit_test_setup_teardown(lanes__a_timeout_is_told, setup, tear_down),                           \
		cmocka_unit_test_setup_teardown(                                                                       \
			lanes__a_program_that_is_missing_is_an_error_and_no_more, setup, tear_down),                   \
		cmocka_unit_test_setup_teardown(lanes__a_runner_that_died_is_replaced, setup, tear_down),              \
		cmocka_unit_test_setup_teardown(lanes__a_mode_that_does_not_work_says_why, setup, tear_down)

int main(void)
{
	const struct CMUnitTest inplace[] = {
		COMMON(set_up_inplace),
		cmocka_unit_test_setup_teardown(lanes__gcc_writes_the_same_object_in_place, set_up_inplace, tear_down),
	};
	const struct CMUnitTest namespaces[] = {
		COMMON(set_up_namespaces),
		cmocka_unit_test_setup_teardown(
			lanes__the_sandbox_holds_only_the_snapshot, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(
			lanes__the_sandbox_is_as_before_after_a_job, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(
			lanes__kinds_flip_into_each_other_between_jobs, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(lanes__a_job_killed_half_way_leaves_nothing, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(lanes__a_symlink_out_of_the_root_leads_nowhere, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(lanes__a_sandbox_slot_has_one_user, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(
			lanes__a_blob_that_changed_at_home_is_missing, set_up_namespaces, tear_down),
		cmocka_unit_test_setup_teardown(
			lanes__an_unpredicted_directory_of_an_output_is_no_output, set_up_namespaces, tear_down),
	};
	int failed = cmocka_run_group_tests_name("in place", inplace, NULL, NULL);
	struct error err;
	int forbidden = set_up(RUNNER_NAMESPACES, &err);
	tear_down(NULL);
	if (forbidden) {
		print_message("skipped: namespaces: %s\n", err.text);
		return failed;
	}
	return failed + cmocka_run_group_tests_name("namespaces", namespaces, NULL, NULL);
}
