#include "setup/update_function.h"

#include <fcntl.h>

#include "aws/oci.h"
#include "aws/test-session.h"
#include "base/file.h"

#define FUNCTION(uri, digest, memory, timeout) "{\"Configuration\":{\"FunctionArn\":\"arn:f\",\"State\":\"Active\",\"LastUpdateStatus\":\"Successful\",\"MemorySize\":" \
	memory ",\"Timeout\":" timeout ",\"Architectures\":[\"x86_64\"]},\"Code\":{\"ImageUri\":\"" uri "\",\"ResolvedImageUri\":\"1.ecr/mine@" digest "\"}}"
#define OLD FUNCTION("1.ecr/mine:latest", "sha256:0ld", "1769", "60")
#define NEW FUNCTION("1.ecr/mine@sha256:new", "sha256:new", "1769", "60")

static void function__only_what_differs_is_changed(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 200, NULL, OLD);
	script_add(&s, 200, NULL, "{}");
	script_add(&s, 200, NULL, OLD);
	assert_int_equal(update_function(&s.session, "f", &(struct update_options){ .memory_mb = 3008, .timeout_s = 60 }, &s.err), 0);
	assert_has(buf_str(&s.asked), "PUT /2015-03-31/functions/f/configuration  AWS4-HMAC-SHA256\n{\"MemorySize\":3008}\n");
	script_is_over(&s);
	script_reset(&s);
	script_add(&s, 200, NULL, OLD);
	const struct update_options as_it_is = { .memory_mb = 1769, .timeout_s = 60, .image_uri = "1.ecr/mine@sha256:0ld" };
	assert_int_equal(update_function(&s.session, "f", &as_it_is, &s.err), 0);
	script_is_over(&s);
	script_end(&s);
}

static void function__takes_an_image_that_is_there(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 200, NULL, OLD);
	script_add(&s, 200, NULL, "{}");
	script_add(&s, 200, NULL, NEW);
	script_add(&s, 200, NULL, NEW);
	assert_int_equal(update_function(&s.session, "f", &(struct update_options){ .image_uri = "1.ecr/mine:v2" }, &s.err), 0);
	assert_has(buf_str(&s.asked), "PUT /2015-03-31/functions/f/code  AWS4-HMAC-SHA256\n{\"ImageUri\":\"1.ecr/mine:v2\"}\n");
	script_is_over(&s);
	script_reset(&s);
	script_add(&s, 200, NULL, OLD);
	script_add(&s, 409, NULL, "{\"Message\":\"The operation cannot be performed at this time. An update is in progress\"}");
	assert_int_equal(update_function(&s.session, "f", &(struct update_options){ .image_uri = "1.ecr/mine:v2" }, &s.err), -1);
	assert_int_equal(s.err.code, EBUSY);
	script_reset(&s);
	script_add(&s, 404, "x-amzn-ErrorType: ResourceNotFoundException\r\n", "{\"Message\":\"Function not found\"}");
	assert_int_equal(update_function(&s.session, "f", &(struct update_options){ .memory_mb = 128 }, &s.err), -1);
	assert_int_equal(s.err.code, ENOENT);
	assert_has(s.err.text, "there is no function f in us-east-1: `llama bootstrap` makes one");
	script_end(&s);
}

static void function__an_image_that_lambda_would_not_take_is_not_pushed(void **state)
{
	struct script s;
	char dir[] = "/tmp/test-update-XXXXXX";
	script_begin(&s);
	if (!mkdtemp(dir))
		fail();
	static const char *const none[] = { NULL };
	const struct oci_image image = { .title = "test", .architecture = "arm64", .entrypoint = none, .env = none };
	assert_int_equal(oci_write(dir, &image, NULL, &s.err), 0);
	script_add(&s, 200, NULL, OLD);
	assert_int_equal(update_function(&s.session, "f", &(struct update_options){ .image = dir }, &s.err), -1);
	assert_has(s.err.text, "Lambda wouldn't take the image in");
	script_is_over(&s);
	assert_int_equal(file_remove_tree(AT_FDCWD, dir, &s.err), 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(function__only_what_differs_is_changed),
		cmocka_unit_test(function__takes_an_image_that_is_there),
		cmocka_unit_test(function__an_image_that_lambda_would_not_take_is_not_pushed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
