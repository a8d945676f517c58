/* The worked examples of AWS's documentation, and the rules that they leave out. The comparison with another signer on many
 * requests is test-sign-botocore.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "aws/sign.h"

static const struct aws_keys s3_keys = { "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
enum { MAY_24_2013 = 1369353600 };

static struct sign_request s3_request(const char *method, const char *path)
{
	return (struct sign_request){ .service = "s3",
		.region = "us-east-1",
		.method = method,
		.host = "examplebucket.s3.amazonaws.com",
		.path = path,
		.now_s = MAY_24_2013 };
}

static const char *header(const struct signed_request *request, const char *name)
{
	for (size_t i = 0; i < request->n_headers; i++)
		if (strcmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return NULL;
}

#define CREDENTIAL "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "

/* Amazon S3 API reference, "Signature calculations for the Authorization header". */
static void sign__agrees_with_the_examples_of_s3(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct signed_request ret;

	struct sign_request get = s3_request("GET", "/test.txt");
	get.headers = (struct aws_pair[]){ { "Range", "bytes=0-9" } };
	get.n_headers = 1;
	sign(&get, &s3_keys, &arena, &ret);
	assert_string_equal(ret.target, "/test.txt");
	assert_string_equal(header(&ret, "Authorization"),
		CREDENTIAL "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
			   "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	assert_string_equal(header(&ret, "X-Amz-Date"), "20130524T000000Z");
	assert_string_equal(header(&ret, "X-Amz-Content-Sha256"),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_null(header(&ret, "X-Amz-Security-Token"));

	struct sign_request put = s3_request("PUT", "/test$file.text");
	put.headers = (struct aws_pair[]){ { "Date", "Fri, 24 May 2013 00:00:00 GMT" },
		{ "x-amz-storage-class", "REDUCED_REDUNDANCY" } };
	put.n_headers = 2;
	put.body = slice_str("Welcome to Amazon S3.");
	sign(&put, &s3_keys, &arena, &ret);
	assert_string_equal(ret.target, "/test%24file.text");
	assert_string_equal(header(&ret, "Authorization"),
		CREDENTIAL "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
			   "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

	struct sign_request lifecycle = s3_request("GET", "/");
	lifecycle.query = (struct aws_pair[]){ { "lifecycle", NULL } };
	lifecycle.n_query = 1;
	sign(&lifecycle, &s3_keys, &arena, &ret);
	assert_string_equal(ret.target, "/?lifecycle=");
	assert_string_equal(header(&ret, "Authorization"),
		CREDENTIAL "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
			   "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

	struct sign_request list = s3_request("GET", "");
	list.query = (struct aws_pair[]){ { "prefix", "J" }, { "max-keys", "2" } };
	list.n_query = 2;
	sign(&list, &s3_keys, &arena, &ret);
	assert_string_equal(ret.target, "/?max-keys=2&prefix=J");
	assert_string_equal(header(&ret, "Authorization"),
		CREDENTIAL "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
			   "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* The same, "Authenticating requests: using query parameters". */
static void sign__agrees_with_the_presigned_example_of_s3(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct signed_request ret;
	struct sign_request get = s3_request("GET", "/test.txt");
	sign_query(&get, &s3_keys, 86400, &arena, &ret);
	assert_string_equal(ret.target,
		"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
		"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	assert_int_equal(ret.n_headers, 0);
}

/* IAM user guide, "Create a signed AWS API request". */
static void sign__agrees_with_the_example_of_iam(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct signed_request ret;
	const struct aws_keys keys = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
	const struct sign_request list_users = { .service = "iam",
		.region = "us-east-1",
		.method = "GET",
		.host = "iam.amazonaws.com",
		.path = "/",
		.query = (struct aws_pair[]){ { "Action", "ListUsers" }, { "Version", "2010-05-08" } },
		.n_query = 2,
		.headers = (struct aws_pair[]){ { "Content-Type",
			"application/x-www-form-urlencoded; charset=utf-8" } },
		.n_headers = 1,
		.now_s = 1440938160 };
	sign(&list_users, &keys, &arena, &ret);
	assert_string_equal(header(&ret, "Authorization"),
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
		"SignedHeaders=content-type;host;x-amz-date, "
		"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
	assert_null(header(&ret, "X-Amz-Content-Sha256"));
}

static void sign__what_is_sent_is_encoded_once_and_never_normalised(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct signed_request s3, lambda;
	struct sign_request request = s3_request("GET", "/a b//../%41/\xc3\xa9+=~");
	request.query = (struct aws_pair[]){ { "b", "x y" }, { "a~", "\xff" }, { "a", "2" }, { "a", "10" },
		{ "a-", NULL } };
	request.n_query = 5;
	sign(&request, &s3_keys, &arena, &s3);
	request.service = "lambda";
	sign(&request, &s3_keys, &arena, &lambda);
	assert_string_equal(s3.target, "/a%20b//../%2541/%C3%A9%2B%3D~?a=10&a=2&a-=&a~=%FF&b=x%20y");
	assert_string_equal(lambda.target, s3.target);
	assert_string_not_equal(header(&lambda, "Authorization"), header(&s3, "Authorization"));
}

static const char *signature_of(const char *service, const char *path, const struct aws_pair *headers, size_t n)
{
	static char text[512];
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct signed_request ret;
	struct sign_request request = s3_request("GET", path);
	request.service = service;
	request.headers = headers;
	request.n_headers = n;
	sign(&request, &s3_keys, &arena, &ret);
	snprintf(text, sizeof(text), "%s", header(&ret, "Authorization"));
	return text;
}

static void sign__paths_that_mean_the_same_are_signed_the_same_but_for_s3(void **state)
{
	(void)state;
	static const char *const same[] = { "/a/b/", "//a//b/", "/./a/x/../b/", "/../a/b//", "/a/./b/" };
	char lambda[512], s3[512];
	snprintf(lambda, sizeof(lambda), "%s", signature_of("lambda", same[0], NULL, 0));
	snprintf(s3, sizeof(s3), "%s", signature_of("s3", same[0], NULL, 0));
	for (size_t i = 1; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_string_equal(signature_of("lambda", same[i], NULL, 0), lambda);
		assert_string_not_equal(signature_of("s3", same[i], NULL, 0), s3);
	}
}

static void sign__header_values_are_folded_and_doubles_joined_in_their_order(void **state)
{
	(void)state;
	char joined[512];
	snprintf(joined, sizeof(joined), "%s",
		signature_of("s3", "/", (struct aws_pair[]){ { "x-amz-meta-a", "1 2,3" }, { "b", "" } }, 2));
	assert_non_null(strstr(joined, "SignedHeaders=b;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a,"));
	struct aws_pair doubled[] = { { "X-Amz-Meta-A", " 1 \t 2  " }, { "B", NULL }, { "x-amz-meta-a", "3 " } };
	assert_string_equal(signature_of("s3", "/", doubled, 3), joined);
	struct aws_pair swapped[] = { doubled[2], doubled[1], doubled[0] };
	assert_string_not_equal(signature_of("s3", "/", swapped, 3), joined);
}

static void sign__headers_that_change_on_the_way_are_sent_unsigned(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct signed_request ret;
	struct sign_request request = s3_request("GET", "/");
	request.headers = (struct aws_pair[]){ { "User-Agent", "llama" }, { "Expect", "100-continue" } };
	request.n_headers = 2;
	sign(&request, &s3_keys, &arena, &ret);
	assert_string_equal(header(&ret, "User-Agent"), "llama");
	assert_null(strstr(header(&ret, "Authorization"), "user-agent"));
	assert_null(strstr(header(&ret, "Authorization"), "expect"));
}

static void sign__session_tokens_are_signed_and_payloads_need_not_be(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct signed_request ret;
	struct aws_keys keys = s3_keys;
	keys.session_token = "token/+=";
	struct sign_request request = s3_request("PUT", "/x");
	request.unsigned_payload = true;
	request.body = slice_str("one");
	sign(&request, &keys, &arena, &ret);
	assert_string_equal(header(&ret, "X-Amz-Security-Token"), "token/+=");
	assert_string_equal(header(&ret, "X-Amz-Content-Sha256"), "UNSIGNED-PAYLOAD");
	assert_non_null(strstr(header(&ret, "Authorization"), "x-amz-security-token"));
	const char *first = header(&ret, "Authorization");
	request.body = slice_str("another");
	sign(&request, &keys, &arena, &ret);
	assert_string_equal(header(&ret, "Authorization"), first);
	sign_query(&request, &keys, 60, &arena, &ret);
	assert_non_null(strstr(ret.target, "&X-Amz-Security-Token=token%2F%2B%3D&"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sign__agrees_with_the_examples_of_s3),
		cmocka_unit_test(sign__agrees_with_the_presigned_example_of_s3),
		cmocka_unit_test(sign__agrees_with_the_example_of_iam),
		cmocka_unit_test(sign__what_is_sent_is_encoded_once_and_never_normalised),
		cmocka_unit_test(sign__paths_that_mean_the_same_are_signed_the_same_but_for_s3),
		cmocka_unit_test(sign__header_values_are_folded_and_doubles_joined_in_their_order),
		cmocka_unit_test(sign__headers_that_change_on_the_way_are_sent_unsigned),
		cmocka_unit_test(sign__session_tokens_are_signed_and_payloads_need_not_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
