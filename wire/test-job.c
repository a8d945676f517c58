#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/compress.h"
#include "wire/job.h"

static const char *const sizes_text = "what a job says";

static void job__what_is_sealed_opens_again(void **state)
{
	for (size_t n = 0; n <= 5000; n += n < 20 ? 1 : 997) {
		_cleanup_buf_ struct buf message = { 0 }, json = { 0 }, opened = { 0 };
		for (size_t i = 0; i < n; i++)
			buf_append_char(&message, (char)(i * i % 251));
		job_seal(JOB_REQUEST, buf_slice(&message), &json);
		struct error err;
		assert_int_equal(job_open(JOB_REQUEST, buf_slice(&json), &opened, &err), 0);
		assert_true(slice_equal(buf_slice(&message), buf_slice(&opened)));
	}
}

static void job__other_spellings_of_the_same_json_open_too(void **state)
{
	_cleanup_buf_ struct buf json = { 0 }, other = { 0 }, opened = { 0 };
	job_seal(JOB_RESULT, slice_str(sizes_text), &json);
	const char *value = strstr(buf_str(&json), ":\"") + 2;
	buf_printf(&other, " { \"more\" : [1], \"result\" : \"%.*s\",\n\"llama\": 2 }", (int)(strlen(value) - 2), value);
	struct error err;
	assert_int_equal(job_open(JOB_RESULT, buf_slice(&other), &opened, &err), 0);
	assert_string_equal(buf_str(&opened), sizes_text);
}

static void assert_refused(const char *json, int code)
{
	_cleanup_buf_ struct buf opened = { 0 };
	struct error err = { 0 };
	assert_int_equal(job_open(JOB_RESULT, slice_str(json), &opened, &err), -1);
	assert_int_equal(err.code, code);
	assert_int_equal(opened.len, 0);
	assert_true(err.text[0] != '\0');
}

static void job__what_is_no_result_of_this_version_is_refused(void **state)
{
	assert_refused("", EBADMSG);
	assert_refused("{}", EBADMSG);
	assert_refused("\"result\"", EBADMSG);
	assert_refused("{\"llama\":1,\"result\":\"\"}", EPROTO);
	assert_refused("{\"llama\":2,\"job\":\"\"}", EBADMSG);
	assert_refused("{\"llama\":2,\"result\":\"\"}", EBADMSG);
	assert_refused("{\"llama\":2,\"result\":\"~~~~\"}", EBADMSG);
	assert_refused("{\"llama\":2,\"result\":\"AAA\"}", EBADMSG);
	assert_refused("{\"llama\":2,\"result\":\"AAAA\"}", EBADMSG);
	assert_refused("{\"llama\":2,\"result\":\"no such text\"}", EBADMSG);
}

static void job__a_frame_that_claims_too_much_is_refused_unread(void **state)
{
	/* A raw block of one byte in a frame whose header says 2^40 (RFC 8878, 3.1.1). */
	static const unsigned char bomb[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 0x09, 0, 0, 'x' };
	_cleanup_buf_ struct buf ret = { 0 };
	struct error err = { 0 };
	assert_int_equal(decompress_append(slice_of(bomb, sizeof(bomb)), JOB_MESSAGE_LIMIT, &ret, &err), -1);
	assert_int_equal(err.code, EMSGSIZE);
	assert_true(ret.capacity < 1000);
}

static void job__a_damaged_frame_is_refused(void **state)
{
	_cleanup_buf_ struct buf frame = { 0 };
	compress_append(slice_str(sizes_text), &frame);
	struct error err = { 0 };
	for (size_t n = 0; n < frame.len; n++) {
		_cleanup_buf_ struct buf ret = { 0 };
		assert_int_equal(decompress_append(slice_of(frame.ptr, n), 100, &ret, &err), -1);
		assert_int_equal(ret.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(job__what_is_sealed_opens_again),
		cmocka_unit_test(job__other_spellings_of_the_same_json_open_too),
		cmocka_unit_test(job__what_is_no_result_of_this_version_is_refused),
		cmocka_unit_test(job__a_frame_that_claims_too_much_is_refused_unread),
		cmocka_unit_test(job__a_damaged_frame_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
