#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/text91.h"

static void text91__any_bytes_come_back(void **state)
{
	uint32_t random = 1;
	for (size_t n = 0; n < 300; n++) {
		_cleanup_buf_ struct buf bytes = { 0 }, text = { 0 }, back = { 0 };
		for (size_t i = 0; i < n; i++) {
			random = random * 1103515245 + 12345;
			buf_append_char(&bytes, n % 3 == 0 ? '\377' : n % 3 == 1 ? '\0' : (char)(random >> 16));
		}
		text91_append(buf_slice(&bytes), &text);
		assert_true(text.len <= n * 16 / 13 + 2);
		assert_int_equal(text91_read(buf_slice(&text), &back), 0);
		assert_true(slice_equal(buf_slice(&bytes), buf_slice(&back)));
	}
}

static void text91__json_takes_every_character_as_it_is(void **state)
{
	_cleanup_buf_ struct buf bytes = { 0 }, text = { 0 };
	for (unsigned i = 0; i < 1 << 16; i++) {
		buf_append_char(&bytes, (char)i);
		buf_append_char(&bytes, (char)(i >> 8));
	}
	text91_append(buf_slice(&bytes), &text);
	for (size_t i = 0; i < text.len; i++)
		assert_true(text.ptr[i] > ' ' && text.ptr[i] <= '~' && text.ptr[i] != '"' && text.ptr[i] != '\\');
}

static void text91__what_nothing_is_written_as_is_refused(void **state)
{
	static const char *const texts[] = { "\\#", "#\\", "# ", "\"#", "~#", "}}", "c", "#\x80", "#####$", "#" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		_cleanup_buf_ struct buf ret = { 0 };
		assert_int_equal(text91_read(slice_str(texts[i]), &ret), -1);
		assert_int_equal(ret.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text91__any_bytes_come_back),
		cmocka_unit_test(text91__json_takes_every_character_as_it_is),
		cmocka_unit_test(text91__what_nothing_is_written_as_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
