#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cache/manifest.h"
#include "cache/rebase.h"

static void rebase__what_is_below_moves_and_comes_back(void **state)
{
	struct digest one = digest_of(slice_str("one"));
	struct lookup v[] = {
		{ "/home/me", LOOKUP_DIRECTORY, { { 0 }, 0 } },
		{ "/home/me/p", LOOKUP_DIRECTORY, { { 0 }, 0 } },
		{ "/home/me/p/a.h", LOOKUP_FILE, one },
		{ "/home/me/p/b.h", LOOKUP_ABSENT, { { 0 }, 0 } },
		{ "/home/me/p2/a.h", LOOKUP_FILE, one },
		{ "/usr/include/b.h", LOOKUP_FILE, one },
	};
	struct lookups lookups = { v, 6 };
	lookups_sort(&lookups);
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 }, there = { 0 }, there_names = { 0 }, back = { 0 }, back_names = { 0 };
	struct error err;
	assert_int_equal(manifest_encode(slice_str("the result"), &lookups, &head, &names, &err), 0);
	assert_int_equal(manifest_rebase(buf_slice(&head), buf_slice(&names), "/home/me/p", REBASE_MARK, &there, &there_names, &err), 0);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct manifest moved;
	assert_int_equal(manifest_decode(buf_slice(&there), &arena, &moved, &err), 0);
	assert_int_equal(manifest_decode_names(buf_slice(&there_names), &moved, &err), 0);
	assert_true(slice_equal_str(moved.result, "the result"));
	static const char *const expected[] = { REBASE_MARK, REBASE_MARK "/a.h", "/home/me", "/home/me/p2/a.h", "/usr/include/b.h" };
	assert_int_equal(moved.found.n, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(moved.found.v[i].path, expected[i]);
	assert_int_equal(moved.n_absences, 1);
	assert_string_equal(moved.absences[0].directory, REBASE_MARK);
	assert_int_equal(manifest_rebase(buf_slice(&there), buf_slice(&there_names), REBASE_MARK, "/home/me/p", &back, &back_names, &err), 0);
	assert_true(slice_equal(buf_slice(&back), buf_slice(&head)));
	assert_true(slice_equal(buf_slice(&back_names), buf_slice(&names)));
}

static void rebase__a_malformed_manifest_stays_where_it_is(void **state)
{
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	struct error err;
	assert_int_equal(manifest_rebase(slice_str("nonsense"), slice_str(""), "/a", "/b", &head, &names, &err), -1);
	assert_int_equal(head.len + names.len, 0);
}

static void rebase__texts_name_the_directory_and_not_its_namesakes(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "" },
		{ "-Wall", "-Wall" },
		{ "/src", "@" },
		{ "-I/src", "-I@" },
		{ "/src/a.c", "@/a.c" },
		{ "/src2/a.c", "/src2/a.c" },
		{ "/src.old", "/src.old" },
		{ "/old/src/a.c", "/old/src/a.c" },
		{ "-ffile-prefix-map=/src=/src/x", "-ffile-prefix-map=@=@/x" },
		{ "CPATH=/src/a:/src:/srcs", "CPATH=@/a:@:/srcs" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_buf_ struct buf ret = { 0 };
		text_rebase(rows[i].text, "/src", "@", &ret);
		assert_string_equal(buf_str(&ret), rows[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rebase__what_is_below_moves_and_comes_back),
		cmocka_unit_test(rebase__a_malformed_manifest_stays_where_it_is),
		cmocka_unit_test(rebase__texts_name_the_directory_and_not_its_namesakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
