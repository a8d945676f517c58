/* llama-runtime as Lambda starts it: with a Runtime API that has two jobs for it, a bucket behind HTTP, and a /tmp of its own. */
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

#include "aws/test-server.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/test-home.h"
#include "wire/job.h"

enum { SKIPPED = 77 };

#define SECRET "a0b1c2-the-secret-d3e4f5"

static struct fixture {
	struct test_home home;
	struct server *bucket, *api;
	struct buf jobs[3];
	size_t n_jobs, given;
	struct buf answers[3];
	size_t n_answers;
	struct buf errors;
} f;

/* GET /bucket/KEY, with or without a range. */
static void serve_bucket(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	char range[1024], authorization[1024];
	struct slice body;
	size_t from = 0, to;
	server_header(request, "authorization", authorization);
	if (!strstr(authorization, "Credential=AKIDEXAMPLE/") || !strstr(authorization, "/eu-test-1/s3/aws4_request")) {
		reply->status = 403;
		return;
	}
	if (strcmp(request->method, "GET") != 0 || strncmp(request->target, "/bucket/some/", 13) != 0 ||
		!test_bucket_get(f.home.bucket, request->target + 13, &body)) {
		reply->status = 404;
		return;
	}
	to = body.len - 1;
	server_header(request, "range", range);
	if (*range && sscanf(range, "bytes=%zu-%zu", &from, &to) >= 1) {
		reply->status = 206;
		buf_printf(&reply->head, "Content-Range: bytes %zu-%zu/%zu\r\n", from, to, body.len);
	}
	buf_append(&reply->body, body.ptr + from, to + 1 - from);
}

static void serve_api(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	if (strcmp(request->target, "/2018-06-01/runtime/invocation/next") == 0) {
		if (f.given == f.n_jobs) {
			reply->status = 500; /* "exit promptly" */
			return;
		}
		buf_printf(&reply->head, "Lambda-Runtime-Aws-Request-Id: id-%zu\r\n", f.given);
		buf_append_slice(&reply->body, buf_slice(&f.jobs[f.given++]));
		return;
	}
	char expected[100];
	snprintf(expected, sizeof(expected), "/2018-06-01/runtime/invocation/id-%zu/response", f.given - 1);
	reply->status = 202;
	if (strcmp(request->target, expected) == 0)
		buf_append_slice(&f.answers[f.n_answers++], request->body);
	else
		buf_append_slice(&f.errors, request->body);
}

static int set_up(void **state)
{
	f = (struct fixture){ 0 };
	test_home_init(&f.home, "/var/tmp/llama-home-XXXXXX", TEST_RUNNER, TEST_INTERPOSER);
	f.bucket = server_start(serve_bucket, NULL);
	f.api = server_start(serve_api, NULL);
	return 0;
}

static int tear_down(void **state)
{
	server_stop(f.api);
	server_stop(f.bucket);
	for (size_t i = 0; i < 3; i++) {
		buf_deinit(&f.jobs[i]);
		buf_deinit(&f.answers[i]);
	}
	buf_deinit(&f.errors);
	test_home_free(&f.home);
	return 0;
}

static void add_job(const char *script)
{
	struct test_command command = { .argv = (const char *const[]){ "/bin/sh", "-c", script, NULL },
		.outputs = { "a.o" } };
	struct run_result run;
	test_home_run(&f.home, &command, &run);
	run_result_deinit(&run);
	unlink(test_home_path(&f.home, "a.o"));
	struct digest root = test_home_root(&f.home);
	Job__Job *job = test_home_job(&f.home, &command, &root);
	job->bucket->prefix = (char *)"some/";
	job->bucket->region = (char *)"eu-test-1";
	job->bucket->endpoint = (char *)server_url(f.bucket);
	_cleanup_buf_ struct buf message = { 0 };
	message.len = job__job__pack(job, (uint8_t *)buf_reserve(&message, job__job__get_packed_size(job)));
	job_seal(JOB_REQUEST, buf_slice(&message), &f.jobs[f.n_jobs++]);
}

static void write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(SKIPPED);
}

/* Its exit status, when it has had enough. */
static int run_runtime(void)
{
	char api[100], uid_map[40], gid_map[40];
	snprintf(api, sizeof(api), "AWS_LAMBDA_RUNTIME_API=%s", server_url(f.api) + strlen("http://"));
	snprintf(uid_map, sizeof(uid_map), "993 %u 1", geteuid());
	snprintf(gid_map, sizeof(gid_map), "993 %u 1", getegid());
	const char *const env[] = { api, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=" SECRET,
		"AWS_SESSION_TOKEN=" SECRET, "AWS_REGION=elsewhere-1", "PATH=/usr/bin:/bin",
		"ASAN_OPTIONS=detect_leaks=0" /* which would trace it */, NULL };
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(SKIPPED);
		write_text("/proc/self/setgroups", "deny");
		write_text("/proc/self/uid_map", uid_map);
		write_text("/proc/self/gid_map", gid_map);
		if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
			_exit(SKIPPED);
		execve(TEST_RUNTIME, (char *const[]){ (char *)TEST_RUNTIME, NULL }, (char *const *)env);
		_exit(126);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static Job__Result *result_of(size_t i)
{
	_cleanup_buf_ struct buf message = { 0 };
	struct error err;
	if (i >= f.n_answers || job_open(JOB_RESULT, buf_slice(&f.answers[i]), &message, &err) < 0)
		fail_msg("no answer: %s", buf_str(&f.errors));
	Job__Result *result = job__result__unpack(NULL, message.len, (const uint8_t *)buf_str(&message));
	assert_non_null(result);
	if (result->outcome != JOB__RESULT__OUTCOME__DONE)
		fail_msg("outcome %d: %s", result->outcome, result->error);
	return result;
}

static void expect_output(const Job__Result *result, const char *text)
{
	assert_int_equal(result->result->n_output_files, 1);
	const Reapi__OutputFile *file = result->result->output_files[0];
	if (!slice_equal_str(slice_of(file->contents.data, file->contents.len), text))
		fail_msg("%.*s", (int)file->contents.len, (char *)file->contents.data);
}

static void runtime__serves_until_its_end(void **state)
{
	test_home_write(&f.home, "in", "text");
	add_job("cat in >a.o");
	test_home_write(&f.home, "in", "other text");
	add_job("cat in >a.o");
	buf_append_str(&f.jobs[f.n_jobs++], "{}");
	int status = run_runtime();
	if (status == SKIPPED)
		skip();
	assert_int_equal(status, 1);
	Job__Result *first = result_of(0), *second = result_of(1);
	expect_output(first, "text");
	expect_output(second, "other text");
	assert_true(first->usage->cold && !second->usage->cold);
	assert_true(first->usage->s3_gets > 0 && second->usage->s3_gets > 0);
	assert_true(second->usage->s3_bytes_in < first->usage->s3_bytes_in);
	assert_int_equal(f.n_answers, 2);
	assert_non_null(strstr(buf_str(&f.errors), "\"errorType\":\"Llama.Request\""));
	job__result__free_unpacked(first, NULL);
	job__result__free_unpacked(second, NULL);
}

/* Not by its environment, though the bytes lie where the kernel reads them, and nothing can be read of the process at all. */
static void runtime__keeps_its_credentials_to_itself(void **state)
{
	add_job("{ cat /proc/[0-9]*/environ; for p in /proc/[0-9]*; do cat $p/mem; done; true; } 2>&1 >a.o | cat "
		">/dev/null; "
		"env -u LLAMA_TRACE -u TMPDIR -u LD_PRELOAD grep -c " SECRET " a.o; "
		"env -u LLAMA_TRACE -u TMPDIR -u LD_PRELOAD true; echo >a.o; true");
	int status = run_runtime();
	if (status == SKIPPED)
		skip();
	Job__Result *result = result_of(0);
	assert_int_equal(result->result->exit_code, 0);
	assert_true(slice_equal_str(slice_of(result->result->stdout_raw.data, result->result->stdout_raw.len), "0\n"));
	job__result__free_unpacked(result, NULL);
}

static void runtime__is_not_started_by_hand(void **state)
{
	assert_int_equal(WEXITSTATUS(system("ASAN_OPTIONS=detect_leaks=0 env -u AWS_LAMBDA_RUNTIME_API " TEST_RUNTIME
					    " 2>/dev/null")),
		2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runtime__serves_until_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(runtime__keeps_its_credentials_to_itself, set_up, tear_down),
		cmocka_unit_test(runtime__is_not_started_by_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
