#include "files/test-scratch.h"

#include "files/lookups.h"

static void lookups__sorting_drops_doubles_only(void **state)
{
	(void)state;
	struct digest one = digest_of(slice_str("one")), two = digest_of(slice_str("two"));
	struct lookup v[] = {
		{ "/b", LOOKUP_FILE, one },
		{ "/a", LOOKUP_FILE, one },
		{ "/a", LOOKUP_ABSENT, { { 0 }, 0 } },
		{ "/a", LOOKUP_FILE, one },
		{ "/b", LOOKUP_FILE, two },
	};
	struct lookups lookups = { v, 5 };
	lookups_sort(&lookups);
	assert_int_equal(lookups.n, 4);
	assert_string_equal(v[0].path, "/a");
	assert_int_equal(v[0].kind, LOOKUP_ABSENT);
	assert_int_equal(v[1].kind, LOOKUP_FILE);
	assert_string_equal(v[2].path, "/b");
	assert_string_equal(v[3].path, "/b");
}

static void lookups__an_empty_list_stays_empty(void **state)
{
	(void)state;
	struct lookups lookups = { 0 };
	lookups_sort(&lookups);
	assert_int_equal(lookups.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups__sorting_drops_doubles_only),
		cmocka_unit_test(lookups__an_empty_list_stays_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
