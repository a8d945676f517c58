/* Jobs below a foreign root, without the image: programs are home's own, what they look up is not. (test-rooted.c has the rest.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "runtime/job.h"
#include "runtime/test-home.h"
#include "store/pack.h"
#include "wire/compress.h"
#include "wire/job.h"
#include "worker/lookup_wire.h"

static struct fixture {
	struct test_home home;
	char dir[64];
	struct workplace workplace;
	Job__Result *result; /* of the last job */
	size_t answer_bytes;
} f;

static struct bucket *take_bucket(const struct bucket_place *place, char *const *secrets, struct error *err)
{
	assert_string_equal(place->name, "bucket");
	f.home.bucket_taken = true;
	return &f.home.bucket->bucket;
}

static int set_up(void **state)
{
	f = (struct fixture){ .dir = "/tmp/llama-place-XXXXXX" };
	test_home_init(&f.home, "/tmp/llama-home-XXXXXX", TEST_RUNNER, TEST_INTERPOSER);
	assert_non_null(mkdtemp(f.dir));
	struct workplace_options options = { .root = arena_printf(&f.home.arena, "%s/r", f.dir),
		.runner = TEST_RUNNER,
		.interposer = TEST_INTERPOSER,
		.open_bucket = take_bucket };
	workplace_init(&f.workplace, &options);
	return 0;
}

static int tear_down(void **state)
{
	struct error err;
	if (f.result)
		job__result__free_unpacked(f.result, NULL);
	workplace_deinit(&f.workplace);
	assert_int_equal(file_remove_tree(AT_FDCWD, f.dir, &err), 0);
	test_home_free(&f.home);
	return 0;
}

#define COMMAND(...)                                                                                                   \
	(&(struct test_command){ .argv = (const char *const[]){ __VA_ARGS__, NULL }, .outputs = { "a.o", "b.o" } })
#define SHELL(script) COMMAND("/bin/sh", "-c", script)

static Job__Result *perform(Job__Job *job)
{
	_cleanup_buf_ struct buf request = { 0 }, json = { 0 }, answer = { 0 }, message = { 0 };
	struct job_times times = { .received_ns = clock_monotonic_ns() };
	struct error err;
	request.len = job__job__pack(job, (uint8_t *)buf_reserve(&request, job__job__get_packed_size(job)));
	job_seal(JOB_REQUEST, buf_slice(&request), &json);
	if (job_run(&f.workplace, buf_slice(&json), &times, &answer, &err) < 0 ||
		job_open(JOB_RESULT, buf_slice(&answer), &message, &err) < 0)
		fail_msg("%s", err.text);
	if (f.result)
		job__result__free_unpacked(f.result, NULL);
	f.answer_bytes = answer.len;
	f.result = job__result__unpack(NULL, message.len, (const uint8_t *)buf_str(&message));
	assert_non_null(f.result);
	assert_int_equal(f.result->version, JOB_VERSION);
	assert_true(f.result->id.len == 4 && memcmp(f.result->id.data, "id 1", 4) == 0);
	assert_true(f.result->usage->overhead_us > 0);
	return f.result;
}

/* The job made of what it looked up when it ran at home; its outputs there are removed. */
static Job__Job *observe(const struct test_command *command)
{
	struct run_result run;
	test_home_run(&f.home, command, &run);
	run_result_deinit(&run);
	for (size_t i = 0; i < 8 && command->outputs[i]; i++)
		unlink(test_home_path(&f.home, command->outputs[i]));
	struct digest root = test_home_root(&f.home);
	return test_home_job(&f.home, command, &root);
}

static Job__Result *done(Job__Job *job)
{
	Job__Result *result = perform(job);
	if (result->outcome != JOB__RESULT__OUTCOME__DONE)
		fail_msg("outcome %d: %s", result->outcome, result->error);
	return result;
}

static struct slice output(const char *name)
{
	const char *path = test_home_path(&f.home, name);
	for (size_t i = 0; i < f.result->result->n_output_files; i++) {
		const Reapi__OutputFile *file = f.result->result->output_files[i];
		if (strcmp(file->path, path) == 0)
			return slice_of(file->contents.data, file->contents.len);
	}
	fail_msg("no output %s", name);
	return slice_of(NULL, 0);
}

static void expect_output(const char *name, const char *text)
{
	struct slice bytes = output(name);
	if (!slice_equal_str(bytes, text))
		fail_msg("%s: %.*s, stderr: %.*s", name, (int)bytes.len, bytes.ptr,
			(int)f.result->result->stderr_raw.len, (char *)f.result->result->stderr_raw.data);
}

/* The tree is what its digest says, and marked so. */
static void expect_pristine(void)
{
	struct sync_report report;
	struct error err;
	assert_int_equal(f.workplace.target.state, SYNC_CLEAN);
	if (sync_check_full(&f.workplace.target, &f.workplace.directories.store, &report, &err) != 0)
		fail_msg("%s", err.text);
}

static void add_overlay(Job__Job *job, const char *name, const char *text)
{
	Job__Overlay *overlay = arena_new(&f.home.arena, Job__Overlay);
	job__overlay__init(overlay);
	overlay->path = (char *)test_home_path(&f.home, name);
	overlay->contents = (ProtobufCBinaryData){ strlen(text), (uint8_t *)text };
	overlay->mtime_ns = 1500000000123456789;
	job->overlays = job->n_overlays > 0 ? job->overlays : arena_array(&f.home.arena, Job__Overlay *, 8);
	job->overlays[job->n_overlays++] = overlay;
}

static void job__a_compilation_is_as_at_home(void **state)
{
	static const char *const compilers[] = { "/usr/bin/gcc", "/usr/bin/clang" };
	for (size_t i = 0; i < 2; i++) {
		const struct test_command *command = &(struct test_command){
			.argv = (const char *const[]){ compilers[i], "-g", "-O1", "-MD", "-c", "x.c", "-o", "a.o",
				NULL },
			.outputs = { "a.o", "a.d" }
		};
		struct run_result home;
		struct error err;
		_cleanup_buf_ struct buf object = { 0 }, depfile = { 0 };
		test_home_write(&f.home, "x.h", "#include <stdio.h>\n");
		test_home_write(
			&f.home, "x.c", "#include \"x.h\"\nint main(void) { int n; return printf(__FILE__, n); }\n");
		test_home_run(&f.home, command, &home);
		assert_int_equal(file_read(test_home_path(&f.home, "a.o"), 1 << 20, &object, &err), 0);
		assert_int_equal(file_read(test_home_path(&f.home, "a.d"), 1 << 20, &depfile, &err), 0);
		run_result_deinit(&home);
		Job__Result *result = done(observe(command));
		assert_int_equal(result->result->exit_code, 0);
		assert_true(result->complete);
		assert_true(slice_equal(output("a.o"), buf_slice(&object)));
		assert_true(slice_equal(output("a.d"), buf_slice(&depfile)));
		struct lookups lookups;
		assert_int_equal(lookup_wire_decode(slice_of(result->lookups.data, result->lookups.len), &f.home.arena,
					 &lookups, &err),
			0);
		size_t n = 0;
		for (size_t j = 0; j < lookups.n; j++)
			n += strcmp(lookups.v[j].path, "/usr/include/stdio.h") == 0 ||
			     strcmp(lookups.v[j].path, test_home_path(&f.home, "x.h")) == 0;
		assert_true(n >= 2);
		assert_int_equal(result->usage->cold, i == 0);
		expect_pristine();
	}
}

static void job__the_same_root_again_costs_no_request(void **state)
{
	test_home_write(&f.home, "in", "text");
	Job__Job *job = observe(SHELL("cat in >a.o; echo out; echo err >&2"));
	assert_true(done(job)->usage->s3_gets > 0);
	assert_int_equal(done(job)->usage->s3_gets, 0);
	expect_output("a.o", "text");
	assert_int_equal(f.result->result->n_output_files, 1);
	assert_true(slice_equal_str(
		slice_of(f.result->result->stdout_raw.data, f.result->result->stdout_raw.len), "out\n"));
	assert_true(slice_equal_str(
		slice_of(f.result->result->stderr_raw.data, f.result->result->stderr_raw.len), "err\n"));
	expect_pristine();
}

static void job__an_overlay_stands_in_for_one_job(void **state)
{
	test_home_write(&f.home, "in", "old");
	test_home_write(&f.home, "sub/x", "x");
	Job__Job *job = observe(SHELL("cat in sub/* >a.o; stat -c %Y in >b.o"));
	Job__Job *with = observe(SHELL("cat in sub/* >a.o; stat -c %Y in >b.o"));
	add_overlay(with, "in", "new");
	add_overlay(with, "sub/y", "y");
	done(job);
	expect_output("a.o", "oldx");
	assert_int_equal(done(with)->usage->s3_gets, 0);
	expect_output("a.o", "newxy");
	expect_output("b.o", "1500000000\n");
	expect_pristine();
	assert_int_equal(done(job)->usage->s3_gets, 0);
	expect_output("a.o", "oldx");

	/* Its contents may be in the bucket, which the worker then asks again. */
	Job__Job *apart = observe(SHELL("cat in sub/* >a.o; stat -c %Y in >b.o"));
	add_overlay(apart, "in", "");
	Reapi__Digest *digest = apart->overlays[0]->digest = arena_new(&f.home.arena, Reapi__Digest);
	struct digest missing = digest_of(slice_str("far"));
	reapi__digest__init(digest);
	digest->hash = arena_alloc(&f.home.arena, DIGEST_HEX_CHARS + 1);
	digest_hex(&missing, digest->hash);
	digest->size_bytes = 3;
	assert_int_equal(perform(apart)->outcome, JOB__RESULT__OUTCOME__MISSING);
	assert_int_equal(f.result->n_missing, 1);
	assert_string_equal(f.result->missing[0]->hash, digest->hash);
	test_home_write(&f.home, "elsewhere", "far");
	test_home_mirror(&f.home, test_home_path(&f.home, "elsewhere"));
	test_home_root(&f.home);
	Job__Job *packs = test_home_job(&f.home, SHELL("true"), &(struct digest){ 0 });
	apart->packs = packs->packs;
	apart->n_packs = packs->n_packs;
	done(apart);
	expect_output("a.o", "farx");
	expect_pristine();

	add_overlay(with, "no/such/directory", "x");
	assert_int_equal(perform(with)->outcome, JOB__RESULT__OUTCOME__FAILED);
	expect_pristine();
}

static void job__what_it_leaves_is_told_and_removed(void **state)
{
	test_home_write(&f.home, "in", "text");
	Job__Job *job = observe(SHELL("[ -e /dev/null ]; cat in >a.o"));
	job->command->arguments[2] = (char *)"cat in >a.o; echo 1 >stray; mkdir made; rm -f in; echo x >in";
	Job__Result *result = done(job);
	assert_int_equal(result->n_strays, 2);
	assert_string_equal(result->strays[0], test_home_path(&f.home, "in"));
	assert_string_equal(result->strays[1], test_home_path(&f.home, "stray"));
	expect_pristine();
	job->command->arguments[2] = (char *)"cat in >a.o; [ ! -e stray ]";
	assert_int_equal(done(job)->result->exit_code, 0);
	expect_output("a.o", "text");
}

static void job__what_was_not_observed_is_told_and_undone(void **state)
{
	test_home_write(&f.home, "in", "text");
	test_home_write(&f.home, "sub/in", "text");
	Job__Job *job = observe(
		COMMAND(TEST_STATIC, "/bin/sh", "-c", "cat in sub/in >a.o; [ ! -e stray ]; rm -f none"));
	assert_false(done(job)->complete);
	expect_output("a.o", "texttext");
	expect_pristine();
	job->command->arguments[3] = (char *)"echo >stray; rm -f in; rm -f sub/in; echo other >sub/in";
	/* Of this nothing is in the log. */
	Job__Job *unseen = observe(COMMAND("/usr/bin/env", "-u", "LD_PRELOAD", "/bin/sh", "-c", "true"));
	unseen->command->arguments[5] = arena_printf(&f.home.arena,
		"cd %s%s; echo >stray; echo more >>sub/stray; exec true", f.workplace.options.root, f.home.dir);
	assert_false(done(unseen)->complete);
	assert_int_equal(f.result->n_strays, 0);
	expect_pristine();
	assert_int_equal(done(job)->n_strays, 2);
	expect_pristine();
	job->command->arguments[3] = (char *)"cat in sub/in >a.o; [ ! -e stray ]";
	assert_int_equal(done(job)->result->exit_code, 0);
	expect_output("a.o", "texttext");
}

static void job__what_the_bucket_lacks_is_told_and_then_found(void **state)
{
	test_home_write(&f.home, "in", "text");
	done(observe(SHELL("cat in >a.o")));
	test_home_write(&f.home, "in", "other text");
	struct test_bucket *there = f.home.bucket;
	f.home.bucket = test_bucket_new(); /* what is new goes where nobody looks */
	Job__Job *job = observe(SHELL("cat in >a.o"));
	Job__Result *result = perform(job);
	assert_int_equal(result->outcome, JOB__RESULT__OUTCOME__MISSING);
	assert_true(result->n_missing > 0);
	char key[128];
	struct slice body;
	pack_key(f.home.packs[f.home.n_packs - 1].hash, key);
	assert_true(test_bucket_get(f.home.bucket, key, &body));
	test_bucket_put(there, key, body);
	bucket_free(&f.home.bucket->bucket);
	f.home.bucket = there;
	done(job);
	expect_output("a.o", "other text");
	expect_pristine();
}

static void job__a_root_that_leaks_is_told(void **state)
{
	Job__Job *job = observe(SHELL("echo text >a.o"));
	const char *root = f.workplace.options.root;
	job->command->arguments[2] = arena_printf(&f.home.arena, "echo x%s/usr >a.o", root);
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__LEAKED);
	assert_null(f.result->result);
	job->command->arguments[2] = arena_printf(&f.home.arena, "echo %s >&2", root);
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__LEAKED);
	job->command->arguments[2] = arena_printf(&f.home.arena, "echo %sust >a.o", root);
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__DONE);
}

static void job__how_a_command_ended_is_told(void **state)
{
	Job__Job *job = observe(SHELL("echo text >a.o"));
	job->command->arguments[2] = (char *)"exit 3";
	assert_int_equal(done(job)->result->exit_code, 3);
	job->command->arguments[2] = (char *)"kill -SEGV $$";
	assert_int_equal(done(job)->signal, SIGSEGV);
	job->command->arguments[2] = (char *)"kill -KILL $$";
	assert_int_equal(done(job)->signal, SIGKILL);
	job->command->arguments[2] = (char *)"while :; do :; done";
	job->timeout_ms = 100;
	assert_true(done(job)->timed_out);
	job->command->arguments[0] = (char *)"/no/such/program";
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__FAILED);
	assert_non_null(strstr(f.result->error, "/no/such/program"));
	job->command->arguments[0] = (char *)"/bin/sh";
	job->command->arguments[2] = (char *)"echo again >a.o";
	assert_int_equal(done(job)->usage->s3_gets, 0);
	expect_pristine();
}

static void job__a_command_has_the_job_s_environment_and_nothing_else(void **state)
{
	setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
	/* Without the runner's own, which name the root. */
	struct test_command command = { .argv = (const char *const[]){ "/usr/bin/env", "-u", "LD_PRELOAD", "-u",
						"TMPDIR", "-u", "LLAMA_TRACE", "/usr/bin/env", NULL },
		.env = (const char *const[]){ "B=2", "A=1", "LD_PRELOAD=x", NULL } };
	Job__Result *result = done(observe(&command));
	unsetenv("AWS_SECRET_ACCESS_KEY");
	assert_true(slice_equal_str(
		slice_of(result->result->stdout_raw.data, result->result->stdout_raw.len), "B=2\nA=1\n"));
}

static void job__nothing_of_a_command_survives_it(void **state)
{
	Job__Job *job = observe(SHELL("echo text >a.o; setsid sleep 0.01"));
	int64_t start_ms = clock_monotonic_ms();
	job->command->arguments[2] = (char *)"(setsid sleep 100 & ) & echo text >a.o; echo x >$TMPDIR/left";
	done(job);
	assert_true(clock_monotonic_ms() - start_ms < 50000);
	expect_output("a.o", "text\n");
	const char *left = arena_printf(&f.home.arena, "%s/.llama/tmp/left", f.dir);
	assert_int_equal(access(left, F_OK), -1);
	expect_pristine();
}

static void job__outputs_too_large_for_an_answer_are_in_the_bucket(void **state)
{
	Job__Job *job = observe(SHELL("head -c 100 /dev/urandom >a.o; echo x >b.o"));
	job->command->arguments[2] = (char *)"head -c 7000000 /dev/urandom >a.o; echo x >b.o";
	Job__Result *result = done(job);
	assert_true(f.answer_bytes < JOB_BODY_LIMIT);
	assert_int_equal(output("a.o").len, 0);
	expect_output("b.o", "x\n");
	struct digest digest;
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 };
	char key[128];
	struct slice stored;
	digest_parse_hex(slice_str(result->result->output_files[0]->digest->hash), &digest);
	digest.size_bytes = 7000000;
	pack_key_alone(&digest, key);
	assert_true(test_bucket_get(f.home.bucket, key, &stored));
	assert_int_equal(pack_alone_read(&digest, stored, &bytes, &err), 0);
	assert_int_equal(result->usage->s3_puts, 1);
}

static void expect_in_pack(
	const struct pack_entry *entries, size_t n, struct slice pack, const Reapi__Digest *digest, const char *text)
{
	struct error err;
	for (size_t i = 0; i < n; i++) {
		char hex[DIGEST_HEX_CHARS + 1];
		_cleanup_buf_ struct buf bytes = { 0 };
		digest_hex(&entries[i].digest, hex);
		if (strcmp(hex, digest->hash) != 0)
			continue;
		assert_int_equal(
			pack_blob(&entries[i], slice_of(pack.ptr + entries[i].offset, entries[i].stored), &bytes, &err),
			0);
		assert_string_equal(buf_str(&bytes), text);
		return;
	}
	fail_msg("\"%s\" is not in the pack", text);
}

static void job__what_is_kept_is_one_pack(void **state)
{
	Job__Job *job = observe(SHELL("echo text >a.o; echo more >b.o; echo said"));
	job->keep = true;
	Job__Result *result = done(job);
	assert_non_null(result->kept);
	assert_int_equal(result->usage->s3_puts, 1);
	expect_output("a.o", "text\n");
	char key[128];
	struct slice pack;
	struct pack_entry *entries;
	size_t n;
	struct error err;
	pack_key(result->kept->hash.data, key);
	assert_true(test_bucket_get(f.home.bucket, key, &pack) && pack.len == (size_t)result->kept->size_bytes);
	assert_int_equal(pack_index_parse(pack, pack.len, &entries, &n, &err), 0);
	expect_in_pack(entries, n, pack, result->result->output_files[0]->digest, "text\n");
	expect_in_pack(entries, n, pack, result->result->output_files[1]->digest, "more\n");
	expect_in_pack(entries, n, pack, result->result->stdout_digest, "said\n");
	free(entries);
	/* A failure is of no use to others. */
	job->command->arguments[2] = (char *)"echo text >a.o; exit 1";
	assert_null(done(job)->kept);
}

static void job__messages_for_a_terminal_are_written_to_one(void **state)
{
	struct test_command command = *SHELL("[ -t 2 ] && stty size <&2 >a.o; echo x >&2");
	command.columns = 123;
	command.rows = 45;
	done(observe(&command));
	expect_output("a.o", "45 123\n");
}

/* A root with a file `large` of so many megabytes. */
static Job__Job *observe_large(int megabytes)
{
	const char *path = test_home_path(&f.home, "large");
	unlink(path);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	/* Hardly anything to send: what is written counts. */
	assert_true(fd >= 0 && ftruncate(fd, (off_t)megabytes << 20) == 0 &&
		    pwrite(fd, &megabytes, sizeof(megabytes), 0) > 0);
	return observe(SHELL("[ -e large ] && cat </dev/null >a.o; stat -c %s large >b.o"));
}

static bool fits(Job__Job *job)
{
	Job__Result *result = perform(job);
	return result->outcome == JOB__RESULT__OUTCOME__DONE && result->result->n_output_files == 2;
}

static bool write_map(const char *name, const char *text)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/%s", name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* In a file system of 130 MB, of which 64 are for what jobs write. */
static int run_in_a_small_place(Job__Job *const jobs[3])
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !write_map("setgroups", "deny") ||
		!write_map("uid_map", arena_printf(&f.home.arena, "0 %u 1", uid)) ||
		!write_map("gid_map", arena_printf(&f.home.arena, "0 %u 1", gid)) ||
		mount("tmpfs", f.dir, "tmpfs", 0, "size=130m") < 0)
		return 77;
	if (!fits(jobs[0]) || f.workplace.target.state != SYNC_CLEAN)
		return 1;
	if (!fits(jobs[1])) /* when the first is gone */
		return 2;
	if (fits(jobs[2]) || !strstr(f.result->error, "no room"))
		return 3;
	return fits(jobs[0]) ? 0 : 4;
}

static void job__a_tree_that_leaves_no_room_for_the_next_is_thrown_away(void **state)
{
	Job__Job *jobs[3];
	int status;
	for (int i = 0; i < 3; i++)
		jobs[i] = observe_large((const int[]){ 40, 45, 80 }[i]);
	for (int i = 0; i < 3; i++) { /* in whose pack they are */
		jobs[i]->n_packs = jobs[2]->n_packs;
		jobs[i]->packs = jobs[2]->packs;
	}
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_in_a_small_place(jobs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void job__a_folded_one_takes_a_dictionary_that_is_fetched_once(void **state)
{
	_cleanup_buf_ struct buf part = { 0 }, frame = { 0 }, stored = { 0 };
	char key[128], hex[DIGEST_HEX_CHARS + 1];
	struct slice text = slice_str("what many jobs say");
	struct digest digest = digest_of(text);
	struct dictionary *dictionary = dictionary_new(text);
	Job__Folded folded = JOB__FOLDED__INIT;
	Reapi__Digest named = REAPI__DIGEST__INIT;
	Job__Job *job = observe(SHELL("echo text >a.o"));
	job_part_to_fold(job, &part);
	compress_append_with(dictionary, buf_slice(&part), &frame);
	dictionary_free(dictionary);
	digest_hex(&digest, hex);
	named.hash = hex;
	named.size_bytes = digest.size_bytes;
	folded.dictionary = &named;
	folded.frame = (ProtobufCBinaryData){ frame.len, (uint8_t *)frame.ptr };
	job->command = NULL;
	job->n_overlays = 0;
	job->folded = &folded;
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__MISSING);
	assert_int_equal(f.result->n_missing, 1);
	assert_string_equal(f.result->missing[0]->hash, hex);

	pack_key_alone(&digest, key);
	pack_alone_write(text, &stored);
	test_bucket_put(f.home.bucket, key, buf_slice(&stored));
	assert_true(done(job)->usage->s3_gets > 0);
	expect_output("a.o", "text\n");
	assert_int_equal(done(job)->usage->s3_gets, 0);
	expect_output("a.o", "text\n");

	folded.frame.len--;
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__FAILED);
}

static void job__a_malformed_one_is_refused(void **state)
{
	struct job_times times = { 0 };
	struct error err;
	_cleanup_buf_ struct buf answer = { 0 };
	assert_int_equal(job_run(&f.workplace, slice_str("{}"), &times, &answer, &err), -1);
	assert_int_equal(job_run(&f.workplace, slice_str("{\"llama\":1,\"job\":\"\"}"), &times, &answer, &err), -1);
	assert_int_equal(err.code, EPROTO);
	Job__Job *job = observe(SHELL("echo text >a.o"));
	job->command->working_directory = (char *)"relative";
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__FAILED);
	job->command->working_directory = (char *)"/no/such/directory";
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__FAILED);
	job->command->working_directory = f.home.dir;
	done(job);
	job->root->hash = (char *)"nonsense";
	assert_int_equal(perform(job)->outcome, JOB__RESULT__OUTCOME__FAILED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(job__a_compilation_is_as_at_home),
		TEST(job__the_same_root_again_costs_no_request),
		TEST(job__an_overlay_stands_in_for_one_job),
		TEST(job__what_it_leaves_is_told_and_removed),
		TEST(job__what_was_not_observed_is_told_and_undone),
		TEST(job__what_the_bucket_lacks_is_told_and_then_found),
		TEST(job__a_root_that_leaks_is_told),
		TEST(job__how_a_command_ended_is_told),
		TEST(job__a_command_has_the_job_s_environment_and_nothing_else),
		TEST(job__nothing_of_a_command_survives_it),
		TEST(job__outputs_too_large_for_an_answer_are_in_the_bucket),
		TEST(job__what_is_kept_is_one_pack),
		TEST(job__messages_for_a_terminal_are_written_to_one),
		TEST(job__a_tree_that_leaves_no_room_for_the_next_is_thrown_away),
		TEST(job__a_folded_one_takes_a_dictionary_that_is_fetched_once),
		TEST(job__a_malformed_one_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
