#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/http_answer.h"

/* Whole only at its end, wherever it is cut before. */
static void expect(const char *text, int status, const char *body, bool last, bool to_the_end)
{
	struct http_answer answer = { 0 };
	struct error err;
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(http_answer_parse(slice_of(text, i), false, &answer, &err), HTTP_ANSWER_MORE);
	if (!to_the_end) {
		assert_int_equal(http_answer_parse(slice_of(text, n - 1), true, &answer, &err), -1);
		assert_int_equal(http_answer_parse(slice_str(text), false, &answer, &err), 0);
	} else {
		assert_int_equal(http_answer_parse(slice_str(text), true, &answer, &err), 0);
	}
	assert_int_equal(answer.status, status);
	assert_true(slice_equal_str(answer.body, body));
	assert_int_equal(answer.last, last);
	assert_int_equal(answer.length, n);
	http_answer_deinit(&answer);
}

static void http_answer__ends_where_its_length_says(void **state)
{
	expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", false, false);
	expect("HTTP/1.1 202 Accepted\r\ncontent-length:0\r\nConnection: close\r\n\r\n", 202, "", true, false);
	expect("HTTP/1.1 413\nContent-Length:  2 \n\nno", 413, "no", false, false);
	expect("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", true, false);
	expect("HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, false);
	expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false, false);
}

static void http_answer__ends_with_its_last_chunk(void **state)
{
	expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", 200,
		"hello world", false, false);
	expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200,
		"0123456789", false, false);
}

static void http_answer__without_length_ends_with_the_connection(void **state)
{
	expect("HTTP/1.1 200 OK\r\n\r\nall of it", 200, "all of it", true, true);
}

static void http_answer__headers_are_found_whatever_their_case(void **state)
{
	struct http_answer answer;
	struct error err;
	struct slice value;
	assert_int_equal(
		http_answer_parse(slice_str("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id:\t a b \r\nX:\r\n"
					    "Content-Length: 0\r\n\r\n"),
			false, &answer, &err),
		0);
	assert_true(http_answer_header(&answer, "lambda-runtime-aws-request-id", &value));
	assert_true(slice_equal_str(value, "a b"));
	assert_true(http_answer_header(&answer, "x", &value) && value.len == 0);
	assert_false(http_answer_header(&answer, "y", &value));
}

static void refuse(const char *text)
{
	struct http_answer answer;
	struct error err;
	if (http_answer_parse(slice_str(text), false, &answer, &err) != -1)
		fail_msg("%s", text);
}

static void http_answer__what_is_none_is_refused(void **state)
{
	refuse("HTTP/2 200 OK\r\n");
	refuse("SSH-2.0-OpenSSH\r\n");
	refuse("HTTP/1.1 2x0 OK\r\n");
	refuse("HTTP/1.1 2000 OK\r\n");
	refuse("HTTP/1.1 200 OK\r\nno header\r\n");
	refuse("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
	refuse("HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n");
	refuse("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
	refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
	refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
	refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_answer__ends_where_its_length_says),
		cmocka_unit_test(http_answer__ends_with_its_last_chunk),
		cmocka_unit_test(http_answer__without_length_ends_with_the_connection),
		cmocka_unit_test(http_answer__headers_are_found_whatever_their_case),
		cmocka_unit_test(http_answer__what_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
