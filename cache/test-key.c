#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/key.h"

static struct digest two(const char *tag_a, const char *a, const char *tag_b, const char *b)
{
	struct key *key = key_new("test 1");
	key_add_str(key, tag_a, a);
	key_add_str(key, tag_b, b);
	return key_end(key);
}

static void key__equal_fields_give_equal_keys(void **state)
{
	struct digest a = two("x", "1", "y", "2"), b = two("x", "1", "y", "2");
	assert_true(digest_equal(&a, &b));
	assert_int_equal(a.size_bytes, 0);
}

static void key__bytes_cannot_move_between_fields(void **state)
{
	struct digest base = two("x", "12", "y", "3");
	struct digest others[] = {
		two("x", "1", "y", "23"),
		two("x1", "2", "y", "3"),
		two("x", "12y", "", "3"),
		two("y", "3", "x", "12"),
		two("x", "12", "y", ""),
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(digest_equal(&base, &others[i]));
}

static void key__the_purpose_is_part_of_it(void **state)
{
	struct digest a = key_end(key_new("compile 1")), b = key_end(key_new("compile 2"));
	assert_false(digest_equal(&a, &b));
}

static void key__a_number_is_not_its_text(void **state)
{
	struct key *a = key_new("test 1"), *b = key_new("test 1");
	key_add_number(a, "n", 7);
	key_add_str(b, "n", "7");
	struct digest one = key_end(a), other = key_end(b);
	assert_false(digest_equal(&one, &other));
}

static void key__a_digest_counts_with_its_size(void **state)
{
	struct digest value = digest_of(slice_str("x"));
	struct key *a = key_new("test 1"), *b = key_new("test 1");
	key_add_digest(a, "d", &value);
	value.size_bytes++;
	key_add_digest(b, "d", &value);
	struct digest one = key_end(a), other = key_end(b);
	assert_false(digest_equal(&one, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key__equal_fields_give_equal_keys),
		cmocka_unit_test(key__bytes_cannot_move_between_fields),
		cmocka_unit_test(key__the_purpose_is_part_of_it),
		cmocka_unit_test(key__a_number_is_not_its_text),
		cmocka_unit_test(key__a_digest_counts_with_its_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
