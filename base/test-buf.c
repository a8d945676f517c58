#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"

static void buf__is_always_a_string(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf buf = { 0 };
	assert_string_equal(buf_str(&buf), "");
	buf_append(&buf, "ab", 2);
	assert_string_equal(buf.ptr, "ab");
	buf_append_char(&buf, 'c');
	buf_append_str(&buf, "de");
	buf_append_slice(&buf, slice_of("fgh", 2));
	assert_string_equal(buf.ptr, "abcdefg");
	assert_int_equal(buf.len, 7);
	buf_reset(&buf);
	assert_string_equal(buf_str(&buf), "");
}

static void buf__prints_longer_than_its_room(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf buf = { 0 };
	for (int i = 0; i < 2000; i++)
		buf_printf(&buf, "%d,", i % 10);
	assert_int_equal(buf.len, 4000);
	assert_memory_equal(buf.ptr + 3980, "0,1,2,3,4,5,6,7,8,9,", 21);
}

static void buf__reserve_keeps_what_is_there(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf buf = { 0 };
	buf_append_str(&buf, "x");
	char *room = buf_reserve(&buf, 100000);
	memset(room, 'y', 100000);
	buf.len += 100000;
	assert_int_equal(buf.ptr[0], 'x');
	assert_int_equal(buf.ptr[100000], 'y');
}

static void buf__is_a_string_before_anything_was_added(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf buf = { 0 };
	buf_reserve(&buf, 10);
	assert_string_equal(buf_str(&buf), "");
	buf_append(&buf, NULL, 0);
	assert_string_equal(buf_str(&buf), "");
}

static void buf__take_leaves_it_empty_and_is_never_null(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf buf = { 0 };
	char *nothing = buf_take(&buf);
	assert_string_equal(nothing, "");
	buf_append_str(&buf, "mine");
	char *something = buf_take(&buf);
	assert_string_equal(something, "mine");
	assert_int_equal(buf.len, 0);
	free(nothing);
	free(something);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf__is_always_a_string),
		cmocka_unit_test(buf__prints_longer_than_its_room),
		cmocka_unit_test(buf__reserve_keeps_what_is_there),
		cmocka_unit_test(buf__is_a_string_before_anything_was_added),
		cmocka_unit_test(buf__take_leaves_it_empty_and_is_never_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
