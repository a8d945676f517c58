/* The test cloud's Lambda, called as the front calls it, with a function that does what it is told (fake_runtime.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/lambda.h"
#include "tests/cloud/test_layout.h"

#define ROLE "arn:aws:iam::000000000000:role/llama"

static char directory[64], state_dir[96], uri[128];
static struct cloud *cloud;
static bool jails_work;

/* --- Calls -------------------------------------------------------------------------------------------------------- */

struct call {
	struct arena arena;
	struct cloud_request request;
	struct cloud_response response;
	json_t *json; /* the response's body; NULL when it isn't any */
};

static void call_deinit(struct call *call)
{
	json_decref(call->json);
	buf_deinit(&call->response.body);
	arena_deinit(&call->arena);
}

#define _cleanup_call_ __attribute__((cleanup(call_deinit)))

static void send_call(
	struct call *call, const char *method, const char *path, struct slice body, const struct cloud_pair *headers)
{
	*call = (struct call){ .response = { .status = 200, .content_length = -1, .cut_after = -1 } };
	size_t n = 0;
	while (headers && headers[n].name)
		n++;
	call->request = (struct cloud_request){ .arena = &call->arena,
		.method = method,
		.target = path,
		.path = path,
		.headers = headers,
		.n_headers = n,
		.body = body,
		.service = "lambda",
		.region = "us-east-1" };
	lambda_handle(cloud, &call->request, &call->response);
	call->json = json_loadb(buf_str(&call->response.body), call->response.body.len, JSON_DECODE_ANY, NULL);
}

static void send_text(struct call *call, const char *method, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void send_text(struct call *call, const char *method, const char *path, const char *format, ...)
{
	_cleanup_buf_ struct buf body = { 0 };
	va_list args;
	va_start(args, format);
	buf_vprintf(&body, format, args);
	va_end(args);
	send_call(call, method, path, buf_slice(&body), NULL);
}

static const char *header(const struct call *call, const char *name)
{
	for (size_t i = 0; i < call->response.n_headers; i++)
		if (strcasecmp(call->response.headers[i].name, name) == 0)
			return call->response.headers[i].value;
	return "";
}

static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));
	return text ? text : "";
}

static int number_of(const struct call *call, const char *key)
{
	assert_non_null(json_object_get(call->json, key));
	return (int)json_integer_value(json_object_get(call->json, key));
}

static void assert_refused(const struct call *call, int status, const char *type, const char *message)
{
	const char *said = text_of(call->json, "message");
	assert_int_equal(call->response.status, status);
	assert_string_equal(header(call, "x-amzn-ErrorType"), type);
	if (!strstr(said, message))
		fail_msg("\"%s\" is not in \"%s\"", message, said);
}

static void assert_refusal(
	const char *method, const char *path, const char *body, int status, const char *type, const char *message)
{
	_cleanup_call_ struct call call;
	send_call(&call, method, path, slice_str(body), NULL);
	assert_refused(&call, status, type, message);
}

/* Wait for what happens elsewhere; a minute is for slow machines. */
#define wait_until(condition)                                                                                          \
	do {                                                                                                           \
		int64_t limit_ms_ = clock_monotonic_ms() + 60000;                                                      \
		while (!(condition)) {                                                                                 \
			if (clock_monotonic_ms() > limit_ms_)                                                          \
				fail_msg("never came true: %s", #condition);                                           \
			poll(NULL, 0, 2);                                                                              \
		}                                                                                                      \
	} while (0)

static bool has_status(const char *key, const char *value)
{
	_cleanup_call_ struct call call;
	send_text(&call, "GET", "/2015-03-31/functions/f/configuration", "%s", "");
	assert_int_equal(call.response.status, 200);
	return strcmp(text_of(call.json, key), value) == 0;
}

static void configure(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void configure(const char *format, ...)
{
	_cleanup_buf_ struct buf body = { 0 };
	_cleanup_call_ struct call call;
	va_list args;
	va_start(args, format);
	buf_vprintf(&body, format, args);
	va_end(args);
	send_call(&call, "PUT", "/2015-03-31/functions/f/configuration", buf_slice(&body), NULL);
	assert_int_equal(call.response.status, 200);
	wait_until(has_status("LastUpdateStatus", "Successful"));
}

static void invoke_with(struct call *call, const char *what, const struct cloud_pair *headers)
{
	_cleanup_buf_ struct buf body = { 0 };
	buf_printf(&body, "{\"do\": \"%s\"}", what);
	send_call(call, "POST", "/2015-03-31/functions/f/invocations", buf_slice(&body), headers);
}

static void invoke(struct call *call, const char *what)
{
	invoke_with(call, what, NULL);
}

static void assert_done(const struct call *call)
{
	if (call->response.status != 200 || *header(call, "x-amz-function-error"))
		fail_msg("%d %s", call->response.status, buf_str(&call->response.body));
}

static void assert_function_error(const char *what, const char *type, const char *message)
{
	_cleanup_call_ struct call call;
	invoke(&call, what);
	assert_int_equal(call.response.status, 200);
	assert_string_equal(header(&call, "x-amz-function-error"), "Unhandled");
	assert_string_equal(text_of(call.json, "errorType"), type);
	if (!strstr(text_of(call.json, "errorMessage"), message))
		fail_msg("\"%s\" is not in \"%s\"", message, text_of(call.json, "errorMessage"));
}

/* --- Environments ------------------------------------------------------------------------------------------------- */

struct look {
	size_t n; /* of environments */
	char state[16];
	int64_t ever, id, starts;
	int pid;
};

/* At the environments; the fields are of the first one. */
static struct look look(void)
{
	_cleanup_call_ struct call call = { .response = { .status = 200 } };
	lambda_get_environments(cloud, &call.request, &call.response);
	call.json = json_loadb(call.response.body.ptr, call.response.body.len, 0, NULL);
	const json_t *all = json_object_get(call.json, "environments"), *first = json_array_get(all, 0);
	struct look look = { .n = json_array_size(all),
		.ever = json_integer_value(json_object_get(call.json, "ever")),
		.id = json_integer_value(json_object_get(first, "id")),
		.starts = json_integer_value(json_object_get(first, "starts")),
		.pid = (int)json_integer_value(json_object_get(first, "pid")) };
	snprintf(look.state, sizeof(look.state), "%s", text_of(first, "state"));
	return look;
}

static int act(const char *what)
{
	_cleanup_call_ struct call call = { .response = { .status = 200 } };
	const char *body = arena_printf(&call.arena, "{\"act\": \"%s\", \"n\": 1}", what);
	call.request = (struct cloud_request){ .arena = &call.arena, .body = slice_str(body) };
	lambda_post_environments(cloud, &call.request, &call.response);
	call.json = json_loadb(call.response.body.ptr, call.response.body.len, 0, NULL);
	assert_int_equal(call.response.status, 200);
	return number_of(&call, "done");
}

static char process_state(int pid, int *ret_parent)
{
	char path[64], state = '-';
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	_cleanup_buf_ struct buf text = { 0 };
	if (file_read(path, 4096, &text, NULL) < 0)
		return '-';
	const char *after = strrchr(buf_str(&text), ')');
	if (!after || sscanf(after + 1, " %c %d", &state, ret_parent) != 2)
		return '-';
	return state;
}

/* How many processes run below the jail's init, and in which states they all are ("T": all are stopped). */
static int jailed(int jail, char state)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	int n = 0;
	for (struct dirent *entry; (entry = readdir(proc));) {
		int pid = atoi(entry->d_name), parent = 0, grandparent = 0, above = 0;
		char is = pid > 0 ? process_state(pid, &parent) : '-';
		if (is == '-' || is == 'Z' || parent <= 1)
			continue;
		process_state(parent, &grandparent);
		process_state(grandparent > 1 ? grandparent : parent, &above);
		if (pid != jail && parent != jail && (grandparent == jail || above == jail) && (!state || is == state))
			n++;
	}
	return n;
}

/* An invocation on a thread of its own. */
struct background {
	pthread_t thread;
	const char *what;
	struct call call;
};

static void *run_background(void *ctx)
{
	struct background *background = ctx;
	invoke(&background->call, background->what);
	return NULL;
}

static void start_background(struct background *background, const char *what)
{
	background->what = what;
	assert_int_equal(pthread_create(&background->thread, NULL, run_background, background), 0);
	wait_until(strcmp(look().state, "busy") == 0);
}

/* --- Set-up ------------------------------------------------------------------------------------------------------- */

static int make_cloud(void **unused)
{
	int64_t settings[CLOUD_N_SETTINGS];
	for (size_t i = 0; i < CLOUD_N_SETTINGS; i++)
		settings[i] = cloud_settings[i].value;
	settings[SETTING_UPDATE_MS] = 1;
	snprintf(directory, sizeof(directory), "/tmp/test-lambda-XXXXXX");
	snprintf(state_dir, sizeof(state_dir), "%s/state", mkdtemp(directory));
	snprintf(uri, sizeof(uri), "oci:%s/image", directory);
	test_layout_write(
		uri + 4, &(struct test_layout){ .layers = { { test_layout_program(TEST_RUNTIME), NULL, false } } });
	struct error err;
	cloud = cloud_new(state_dir, "us-east-1", settings, &err);
	return cloud ? 0 : -1;
}

static int make_function(void **unused)
{
	if (make_cloud(unused) < 0)
		return -1;
	_cleanup_call_ struct call call;
	send_text(&call, "POST", "/2015-03-31/functions",
		"{\"FunctionName\": \"f\", \"PackageType\": \"Image\", \"Code\": {\"ImageUri\": \"%s\"}, \"Role\": "
		"\"" ROLE "\", \"Timeout\": 60}",
		uri);
	assert_int_equal(call.response.status, 201);
	wait_until(has_status("State", "Active"));
	return 0;
}

static int remove_cloud(void **unused)
{
	cloud_free(cloud);
	cloud = NULL;
	return file_remove_tree(AT_FDCWD, directory, NULL);
}

/* The same way that the jail goes. */
static bool try_namespaces(void)
{
	long pid = syscall(SYS_clone,
		CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL,
		NULL);
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	return pid > 0 && waitpid((pid_t)pid, NULL, 0) == pid;
}

static void need_jails(void)
{
	if (jails_work)
		return;
	print_message("skipped: this system allows no user namespaces\n");
	skip();
}

/* --- Functions ---------------------------------------------------------------------------------------------------- */

static void lambda__a_function_is_created_read_changed_and_deleted(void **unused)
{
	_cleanup_call_ struct call got, listed, deleted, limits;
	cloud->settings[SETTING_CONCURRENCY] = 12;
	configure("{\"MemorySize\": 256, \"Environment\": {\"Variables\": {\"A\": \"1\"}}}");
	send_text(&got, "GET", "/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:f", "%s", "");
	const json_t *config = json_object_get(got.json, "Configuration");
	assert_string_equal(text_of(config, "State"), "Active");
	assert_string_equal(text_of(config, "PackageType"), "Image");
	assert_int_equal(json_integer_value(json_object_get(config, "MemorySize")), 256);
	assert_string_equal(text_of(json_object_get(json_object_get(config, "Environment"), "Variables"), "A"), "1");
	assert_string_equal(text_of(json_object_get(got.json, "Code"), "ImageUri"), uri);
	send_text(&listed, "GET", "/2015-03-31/functions/", "%s", "");
	assert_int_equal(json_array_size(json_object_get(listed.json, "Functions")), 1);
	send_text(&limits, "GET", "/2016-08-19/account-settings/", "%s", "");
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(limits.json, "AccountLimit"), "ConcurrentExecutions")),
		12);
	send_text(&deleted, "DELETE", "/2015-03-31/functions/f", "%s", "");
	assert_int_equal(deleted.response.status, 204);
	assert_refusal("GET", "/2015-03-31/functions/f", "", 404, "ResourceNotFoundException",
		"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f");
}

static void lambda__a_function_that_changes_refuses_other_changes(void **unused)
{
	_cleanup_call_ struct call first;
	cloud->settings[SETTING_UPDATE_MS] = 60000;
	send_text(&first, "PUT", "/2015-03-31/functions/f/configuration", "{\"Timeout\": 5}");
	assert_string_equal(text_of(first.json, "LastUpdateStatus"), "InProgress");
	assert_refusal("PUT", "/2015-03-31/functions/f/configuration", "{\"Timeout\": 6}", 409,
		"ResourceConflictException", "An update is in progress");
	assert_refusal(
		"DELETE", "/2015-03-31/functions/f", "", 409, "ResourceConflictException", "An update is in progress");
	if (jails_work) {
		_cleanup_call_ struct call call;
		invoke(&call, "echo"); /* the old code goes on */
		assert_done(&call);
	}
}

static void lambda__a_pending_function_cannot_be_invoked(void **unused)
{
	_cleanup_call_ struct call made, invoked;
	cloud->settings[SETTING_UPDATE_MS] = 60000;
	send_text(&made, "POST", "/2015-03-31/functions",
		"{\"FunctionName\": \"f\", \"PackageType\": \"Image\", \"Code\": {\"ImageUri\": \"%s\"}, \"Role\": "
		"\"" ROLE "\"}",
		uri);
	assert_string_equal(text_of(made.json, "State"), "Pending");
	invoke(&invoked, "echo");
	assert_refused(&invoked, 409, "ResourceConflictException", "currently in the following state: Pending");
}

static void lambda__a_bad_image_fails_the_update_and_the_old_code_goes_on(void **unused)
{
	static const struct test_entry orphan[] = { { "a/b", S_IFREG | 0644, "", NULL, false },
		{ NULL, 0, NULL, NULL, false } };
	_cleanup_call_ struct call updated, got;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *bad = arena_printf(&arena, "%s/bad", directory);
	test_layout_write(bad, &(struct test_layout){ .layers = { { orphan, NULL, false } } });
	send_text(&updated, "PUT", "/2015-03-31/functions/f/code", "{\"ImageUri\": \"oci:%s\"}", bad);
	assert_int_equal(updated.response.status, 200);
	wait_until(has_status("LastUpdateStatus", "Failed"));
	send_text(&got, "GET", "/2015-03-31/functions/f", "%s", "");
	const json_t *config = json_object_get(got.json, "Configuration");
	assert_string_equal(text_of(config, "State"), "Active");
	assert_string_equal(text_of(config, "LastUpdateStatusReasonCode"), "InvalidImage");
	assert_non_null(strstr(text_of(config, "LastUpdateStatusReason"), "MissingParentDirectory"));
	assert_string_equal(text_of(json_object_get(got.json, "Code"), "ImageUri"), uri);
	if (jails_work) {
		_cleanup_call_ struct call call;
		invoke(&call, "echo");
		assert_done(&call);
	}
	configure("{\"Timeout\": 9}");
}

static void lambda__wrong_requests_are_refused_in_its_words(void **unused)
{
	static const char functions[] = "/2015-03-31/functions", f[] = "/2015-03-31/functions/f/configuration",
			  code[] = "/2015-03-31/functions/f/code";
	assert_refusal("POST", functions,
		"{\"FunctionName\": \"a b\", \"MemorySize\": 64, \"Code\": {}, \"Role\": \"" ROLE "\"}", 400,
		"ValidationException",
		"2 validation errors detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must "
		"satisfy regular expression pattern: "
		"[a-zA-Z0-9-_]+; Value '64' at 'memorySize' failed to satisfy constraint: Member must have value "
		"greater than or equal to 128");
	assert_refusal("POST", functions, "{\"FunctionName\": \"g\", \"Code\": {}}", 400, "ValidationException",
		"1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be "
		"null");
	assert_refusal("POST", functions, "{\"FunctionName\": \"g\", \"Code\": {}, \"Role\": \"" ROLE "\"}", 400,
		"InvalidParameterValueException", "Image");
	assert_refusal("POST", functions, "{", 400, "SerializationException", "Could not parse");
	assert_refusal("PUT", f, "{\"Timeout\": 901}", 400, "ValidationException", "less than or equal to 900");
	assert_refusal("PUT", f, "{\"Environment\": {\"Variables\": {\"AWS_REGION\": \"x\"}}}", 400,
		"InvalidParameterValueException", "reserved keys");
	assert_refusal("PUT", f, "{\"RevisionId\": \"other\"}", 412, "PreconditionFailedException", "Revision Id");
	assert_refusal("PUT", code, "{\"ImageUri\": \"oci:/nowhere\"}", 400, "InvalidParameterValueException",
		"Source image oci:/nowhere does not exist");
	assert_refusal("PUT", code, "{\"ImageUri\": \"1.dkr.ecr.x.amazonaws.com/y\"}", 400,
		"InvalidParameterValueException", "is not valid");
	assert_refusal("GET", "/2015-03-31/layers", "", 404, "UnknownOperationException", "");
}

/* --- Invocations -------------------------------------------------------------------------------------------------- */

static void lambda__an_invocation_answers_and_shows_its_log(void **unused)
{
	static const struct cloud_pair tail[] = { { "x-amz-log-type", "Tail" }, { "x-amz-client-context", "e30=" },
		{ NULL, NULL } };
	need_jails();
	for (int cold = 1; cold >= 0; cold--) {
		char log[8192] = "";
		_cleanup_call_ struct call call;
		invoke_with(&call, "echo", tail);
		assert_done(&call);
		assert_string_equal(text_of(call.json, "do"), "echo");
		assert_string_equal(header(&call, "x-amz-executed-version"), "$LATEST");
		const char *encoded = header(&call, "x-amz-log-result");
		assert_true(EVP_DecodeBlock(
				    (unsigned char *)log, (const unsigned char *)encoded, (int)strlen(encoded)) > 0);
		const char *start = strstr(log, arena_printf(&call.arena, "START RequestId: %s Version: $LATEST\n",
							header(&call, "x-amzn-requestid")));
		const char *said = start ? strstr(start, "said by the function\nEND RequestId: ") : NULL;
		const char *report = said ? strstr(said, "REPORT RequestId: ") : NULL;
		assert_non_null(report);
		assert_non_null(strstr(report, "\tBilled Duration: "));
		assert_non_null(strstr(report, "\tMemory Size: 128 MB\tMax Memory Used: "));
		assert_int_equal(strstr(report, "\tInit Duration: ") != NULL, cold);
	}
	assert_int_equal(look().ever, 1);
}

static void lambda__what_cannot_be_an_invocation_is_refused(void **unused)
{
	static const struct cloud_pair form[] = { { "content-type", "application/x-www-form-urlencoded" },
		{ NULL, NULL } },
				       type[] = { { "x-amz-invocation-type", "Sometime" }, { NULL, NULL } };
	_cleanup_call_ struct call wrong_media, wrong_type, large;
	_cleanup_buf_ struct buf body = { 0 };
	assert_refusal("POST", "/2015-03-31/functions/g/invocations", "{}", 404, "ResourceNotFoundException",
		"Function not found");
	assert_refusal("POST", "/2015-03-31/functions/f/invocations", "oh", 400, "InvalidRequestContentException",
		"Could not parse request body into json");
	invoke_with(&wrong_media, "echo", form);
	assert_refused(&wrong_media, 415, "UnsupportedMediaTypeException", "");
	invoke_with(&wrong_type, "echo", type);
	assert_refused(&wrong_type, 400, "ValidationException", "[Event, RequestResponse, DryRun]");
	memset(buf_reserve(&body, (6 << 20) + 1), 'x', (6 << 20) + 1);
	body.len = (6 << 20) + 1;
	send_call(&large, "POST", "/2015-03-31/functions/f/invocations", buf_slice(&body), NULL);
	assert_refused(&large, 413, "RequestTooLargeException",
		"Request must be smaller than 6291456 bytes for the InvokeFunction operation");
	assert_int_equal(look().ever, 0);
}

static void lambda__six_megabytes_travel(void **unused)
{
	need_jails();
	_cleanup_call_ struct call call;
	_cleanup_buf_ struct buf body = { 0 };
	buf_append_str(&body, "{\"do\": \"state\", \"x\": \"");
	size_t n = (6 << 20) - body.len - 2;
	memset(buf_reserve(&body, n), 'x', n);
	body.len += n;
	buf_append_str(&body, "\"}");
	assert_int_equal(body.len, 6 << 20);
	/* More than the function's buffer: it gives up, but it was delivered. */
	send_call(&call, "POST", "/2015-03-31/functions/f/invocations", buf_slice(&body), NULL);
	assert_string_equal(text_of(call.json, "errorType"), "Runtime.ExitError");
}

static void lambda__ways_to_fail_have_lambdas_shapes(void **unused)
{
	need_jails();
	assert_function_error("exit", "Runtime.ExitError", "Error: Runtime exited with error: exit status 1");
	assert_function_error("exit0", "Runtime.ExitError", "Error: Runtime exited without providing a reason");
	assert_function_error(
		"crash", "Runtime.ExitError", "Error: Runtime exited with error: signal: segmentation fault");
	assert_function_error("error", "Function.Broken", "it is broken");
	assert_function_error("large", "Function.ResponseSizeTooLarge",
		"Response payload size (7340032 bytes) exceeded maximum allowed payload size (6291556 bytes).");
	assert_function_error("allocate", "Runtime.ExitError", "Error: Runtime exited with error: signal: killed");
	_cleanup_call_ struct call call;
	invoke(&call, "respond_then_exit");
	assert_done(&call);
	assert_int_equal(look().ever, 1);
}

static void lambda__a_failed_runtime_is_started_anew_over_the_same_tmp(void **unused)
{
	need_jails();
	_cleanup_call_ struct call first, second, third;
	invoke(&first, "state");
	assert_int_equal(number_of(&first, "marked"), 0);
	invoke(&second, "state");
	assert_int_equal(number_of(&second, "marked"), 1);
	assert_int_equal(number_of(&second, "n"), 2);
	assert_function_error("exit", "Runtime.ExitError", "");
	invoke(&third, "state");
	assert_int_equal(number_of(&third, "marked"), 1);
	assert_int_equal(number_of(&third, "n"), 1);
	assert_int_equal(look().starts, 2);
}

static void lambda__a_late_function_is_ended(void **unused)
{
	need_jails();
	_cleanup_call_ struct call call;
	configure("{\"Timeout\": 1}");
	assert_function_error("hang", "Sandbox.Timedout", "Error: Task timed out after 1.00 seconds");
	invoke(&call, "state");
	assert_int_equal(number_of(&call, "n"), 1);
}

static void lambda__a_runtime_that_does_not_start_fails_the_invocation(void **unused)
{
	need_jails();
	cloud->settings[SETTING_INIT_TIMEOUT_MS] = 100;
	configure("{\"Environment\": {\"Variables\": {\"FAKE_INIT\": \"exit\"}}}");
	assert_function_error("echo", "Runtime.ExitError", "exit status 3");
	configure("{\"Environment\": {\"Variables\": {\"FAKE_INIT\": \"error\"}}}");
	assert_function_error("echo", "Function.NoStart", "no start");
	configure("{\"Timeout\": 1, \"Environment\": {\"Variables\": {\"FAKE_INIT\": \"hang\"}}}");
	assert_function_error("echo", "Sandbox.Timedout", "Task timed out after 1.00 seconds");
	configure("{\"Environment\": {}, \"ImageConfig\": {\"EntryPoint\": [\"/bin/link\"]}}");
	assert_function_error("echo", "Runtime.InvalidEntrypoint", "symbolic link");
	configure("{\"ImageConfig\": {\"EntryPoint\": [\"bin/entry\"]}}");
	assert_function_error("echo", "Runtime.InvalidEntrypoint", "not absolute");
	configure("{\"ImageConfig\": {}}");
	_cleanup_call_ struct call call;
	invoke(&call, "echo");
	assert_done(&call);
}

static void lambda__other_types_of_invocation_do_not_wait(void **unused)
{
	static const struct cloud_pair dry[] = { { "x-amz-invocation-type", "DryRun" }, { NULL, NULL } },
				       event[] = { { "x-amz-invocation-type", "Event" }, { NULL, NULL } };
	need_jails();
	_cleanup_call_ struct call first, second;
	invoke_with(&first, "echo", dry);
	assert_int_equal(first.response.status, 204);
	assert_int_equal(look().ever, 0);
	invoke_with(&second, "echo", event);
	assert_int_equal(second.response.status, 202);
	wait_until(look().ever == 1 && strcmp(look().state, "idle") == 0);
}

/* --- Environments ------------------------------------------------------------------------------------------------- */

static void lambda__the_walls_hold(void **unused)
{
	static const struct {
		const char *name;
		int value;
	} expected[] = {
		{ "uid", 993 },
		{ "gid", 990 },
		{ "files", 1024 },
		{ "processes", 1024 },
		{ "chroot", EPERM },
		{ "ptrace", EPERM },
		{ "unshare", EPERM },
		{ "mount", EPERM },
		{ "umount", EPERM },
		{ "pivot", EPERM },
		{ "setns", EPERM },
		{ "clone_user", EPERM },
		{ "clone3", ENOSYS },
		{ "seccomp", EPERM },
		{ "prctl_seccomp", EPERM },
		{ "pdeathsig", EPERM },
		{ "no_new_privs", EPERM },
		{ "fallocate", EPERM },
		{ "process_vm", EPERM },
		{ "bpf", EPERM },
		{ "keyctl", EPERM },
		{ "perf", EPERM },
		{ "root_write", EROFS },
		{ "proc_write", EROFS },
		{ "shm", ENOENT },
		{ "dev_fd", ENOENT },
		{ "tty", ENOENT },
		{ "init_root", EACCES },
		{ "null", 0 },
		{ "urandom", 0 },
		{ "memfd", 0 },
		{ "link", 0 },
		{ "too_many_files", EMFILE },
	};
	need_jails();
	_cleanup_call_ struct call call;
	invoke(&call, "walls");
	assert_done(&call);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (number_of(&call, expected[i].name) != expected[i].value)
			fail_msg("%s: %d instead of %d", expected[i].name, number_of(&call, expected[i].name),
				expected[i].value);
	assert_string_equal(text_of(call.json, "caps"), "0000000000000000");
}

static void lambda__tmp_is_limited(void **unused)
{
	need_jails();
	_cleanup_call_ struct call call;
	invoke(&call, "fill");
	assert_int_equal(number_of(&call, "errno"), ENOSPC);
	assert_in_range(number_of(&call, "mb"), 500, 512);
}

static bool has_setting(const struct call *call, const char *setting)
{
	for (size_t i = 0; i < json_array_size(call->json); i++)
		if (strncmp(json_string_value(json_array_get(call->json, i)), setting, strlen(setting)) == 0)
			return true;
	return false;
}

static void lambda__the_environment_is_lambdas(void **unused)
{
	static const char *const expected[] = { "AWS_LAMBDA_RUNTIME_API=127.0.0.1:", "AWS_LAMBDA_FUNCTION_NAME=f",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1", "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"LAMBDA_TASK_ROOT=/var/task", "TZ=:UTC", "LANG=C", "PATH=", "MINE=1", "AWS_CA_BUNDLE=/.cloud/ca.pem" };
	need_jails();
	_cleanup_call_ struct call call;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_int_equal(
		file_replace(arena_printf(&arena, "%s/ca.pem", state_dir), slice_str("certificate"), 0644, NULL), 0);
	configure("{\"Environment\": {\"Variables\": {\"MINE\": \"1\", \"LANG\": \"C\"}}}");
	invoke(&call, "env");
	assert_done(&call);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (!has_setting(&call, expected[i]))
			fail_msg("no %s in %s", expected[i], buf_str(&call.response.body));
	const struct sigv4_key *role = &cloud->keys->keys[cloud->keys->n - 1];
	assert_true(has_setting(&call, arena_printf(&arena, "AWS_ACCESS_KEY_ID=%s", role->access_key)));
	assert_true(has_setting(&call, arena_printf(&arena, "AWS_SECRET_ACCESS_KEY=%s", role->secret_key)));
	assert_true(has_setting(&call, arena_printf(&arena, "AWS_SESSION_TOKEN=%s", role->session_token)));
}

static void lambda__between_invocations_nothing_moves(void **unused)
{
	need_jails();
	_cleanup_call_ struct call spawned, later;
	invoke(&spawned, "spawn");
	assert_done(&spawned);
	int jail = look().pid;
	wait_until(jailed(jail, 'T') == 2);
	assert_int_equal(jailed(jail, 0), 2);
	invoke(&later, "state");
	assert_true(number_of(&later, "ticks") >= 3);
	/* A runtime's end is its children's. */
	assert_function_error("exit", "Runtime.ExitError", "");
	assert_int_equal(jailed(jail, 0), 0);
}

static void lambda__too_many_at_a_time_are_throttled(void **unused)
{
	need_jails();
	struct background background;
	_cleanup_call_ struct call call, again;
	cloud->settings[SETTING_CONCURRENCY] = 1;
	start_background(&background, "sleep");
	invoke(&call, "echo");
	assert_refused(&call, 429, "TooManyRequestsException", "Rate Exceeded");
	assert_string_equal(text_of(call.json, "Reason"), "ConcurrentInvocationLimitExceeded");
	assert_string_equal(header(&call, "retry-after"), "1");
	pthread_join(background.thread, NULL);
	assert_done(&background.call);
	call_deinit(&background.call);
	invoke(&again, "echo");
	assert_done(&again);
	assert_int_equal(look().ever, 1);
}

static void lambda__new_environments_have_a_burst_rate(void **unused)
{
	need_jails();
	struct background background;
	_cleanup_call_ struct call call;
	cloud->settings[SETTING_BURST] = 1;
	start_background(&background, "sleep");
	invoke(&call, "echo");
	assert_int_equal(call.response.status, 429);
	pthread_join(background.thread, NULL);
	call_deinit(&background.call);
}

static void lambda__ten_requests_a_second_for_each_of_the_limit(void **unused)
{
	need_jails();
	cloud->settings[SETTING_CONCURRENCY] = 1;
	int throttled = 0;
	for (int i = 0; i < 40; i++) {
		_cleanup_call_ struct call call;
		invoke(&call, "echo");
		if (call.response.status == 429) {
			assert_string_equal(text_of(call.json, "Reason"), "FunctionInvocationRateLimitExceeded");
			throttled++;
		}
	}
	assert_true(throttled > 0);
}

static void lambda__storms_can_be_ordered(void **unused)
{
	_cleanup_call_ struct call call;
	struct error err;
	assert_int_equal(faults_add(cloud->faults, "lambda.Invoke.throttle=1000:CallerRateLimitExceeded", &err), 0);
	invoke(&call, "echo");
	assert_refused(&call, 429, "TooManyRequestsException", "Rate Exceeded");
	assert_string_equal(text_of(call.json, "Reason"), "CallerRateLimitExceeded");
}

static void lambda__a_killed_environment_is_lambdas_fault_and_gone(void **unused)
{
	need_jails();
	struct background background;
	_cleanup_call_ struct call before, after;
	invoke(&before, "state");
	start_background(&background, "hang");
	assert_int_equal(act("kill"), 1);
	pthread_join(background.thread, NULL);
	assert_refused(&background.call, 500, "ServiceException", "");
	call_deinit(&background.call);
	wait_until(look().n == 0);
	invoke(&after, "state");
	assert_int_equal(number_of(&after, "marked"), 0);
	assert_int_equal(look().ever, 2);
}

static void lambda__faults_kill_crash_and_hang(void **unused)
{
	need_jails();
	struct background background;
	struct error err;
	_cleanup_call_ struct call killed;
	start_background(&background, "hang");
	assert_int_equal(act("crash"), 1);
	pthread_join(background.thread, NULL);
	assert_string_equal(text_of(background.call.json, "errorType"), "Runtime.ExitError");
	call_deinit(&background.call);
	configure("{\"Timeout\": 1}");
	assert_int_equal(faults_add(cloud->faults, "lambda.Invoke.hang=1000", &err), 0);
	assert_function_error("echo", "Sandbox.Timedout", "1.00 seconds");
	faults_clear(cloud->faults);
	assert_int_equal(faults_add(cloud->faults, "lambda.Invoke.kill=1000:5", &err), 0);
	assert_int_equal(faults_add(cloud->faults, "lambda.Invoke.cold-start=1000:20", &err), 0);
	invoke(&killed, "hang");
	assert_refused(&killed, 500, "ServiceException", "");
}

static void lambda__idle_environments_end(void **unused)
{
	need_jails();
	_cleanup_call_ struct call call;
	invoke(&call, "spawn");
	int jail = look().pid;
	assert_int_equal(look().n, 1);
	cloud->settings[SETTING_ENVIRONMENT_IDLE_MS] = 0;
	wait_until(look().n == 0);
	wait_until(jailed(jail, 0) == 0);
}

static void lambda__stopping_ends_what_runs(void **unused)
{
	need_jails();
	struct background background;
	start_background(&background, "hang");
	lambda_stop(cloud->lambda);
	pthread_join(background.thread, NULL);
	assert_int_equal(background.call.response.status, 500);
	call_deinit(&background.call);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_function, remove_cloud)

int main(void)
{
	/* As the front's threads have it. */
	signal(SIGPIPE, SIG_IGN);
	jails_work = try_namespaces();
	const struct CMUnitTest tests[] = {
		TEST(lambda__a_function_is_created_read_changed_and_deleted),
		TEST(lambda__a_function_that_changes_refuses_other_changes),
		cmocka_unit_test_setup_teardown(lambda__a_pending_function_cannot_be_invoked, make_cloud, remove_cloud),
		TEST(lambda__a_bad_image_fails_the_update_and_the_old_code_goes_on),
		TEST(lambda__wrong_requests_are_refused_in_its_words),
		TEST(lambda__an_invocation_answers_and_shows_its_log),
		TEST(lambda__what_cannot_be_an_invocation_is_refused),
		TEST(lambda__six_megabytes_travel),
		TEST(lambda__ways_to_fail_have_lambdas_shapes),
		TEST(lambda__a_failed_runtime_is_started_anew_over_the_same_tmp),
		TEST(lambda__a_late_function_is_ended),
		TEST(lambda__a_runtime_that_does_not_start_fails_the_invocation),
		TEST(lambda__other_types_of_invocation_do_not_wait),
		TEST(lambda__the_walls_hold),
		TEST(lambda__tmp_is_limited),
		TEST(lambda__the_environment_is_lambdas),
		TEST(lambda__between_invocations_nothing_moves),
		TEST(lambda__too_many_at_a_time_are_throttled),
		TEST(lambda__new_environments_have_a_burst_rate),
		TEST(lambda__ten_requests_a_second_for_each_of_the_limit),
		TEST(lambda__storms_can_be_ordered),
		TEST(lambda__a_killed_environment_is_lambdas_fault_and_gone),
		TEST(lambda__faults_kill_crash_and_hang),
		TEST(lambda__idle_environments_end),
		TEST(lambda__stopping_ends_what_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
