#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/lookup_wire.h"

static struct lookup some[] = {
	{ .path = "/", .kind = LOOKUP_LISTING },
	{ .path = "/home/u", .kind = LOOKUP_DIRECTORY },
	{ .path = "/home/u/a.h", .kind = LOOKUP_ABSENT },
	{ .path = "/home/u/a.h", .kind = LOOKUP_FILE },
	{ .path = "/home/u/ab.h", .kind = LOOKUP_LINK },
	{ .path = "/usr/../usr/include/stdio.h", .kind = LOOKUP_FILE },
	{ .path = "/x/.../..a", .kind = LOOKUP_SPECIAL },
};

static void lookup_wire__a_list_comes_back_the_same(void **state)
{
	for (size_t n = 0; n <= sizeof(some) / sizeof(some[0]); n++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf bytes = { 0 };
		struct lookups list = { some, n }, ret;
		struct error err;
		lookup_wire_encode(&list, &bytes);
		assert_int_equal(lookup_wire_decode(buf_slice(&bytes), &arena, &ret, &err), 0);
		assert_int_equal(ret.n, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(lookup_compare(&ret.v[i], &some[i]), 0);
	}
}

static void lookup_wire__a_neighbour_costs_few_bytes(void **state)
{
	_cleanup_buf_ struct buf one = { 0 }, two = { 0 };
	struct lookup neighbours[] = { { .path = "/usr/include/x86_64-linux-gnu/bits/types.h", .kind = LOOKUP_FILE },
		{ .path = "/usr/include/x86_64-linux-gnu/bits/typesizes.h", .kind = LOOKUP_FILE } };
	lookup_wire_encode(&(struct lookups){ neighbours, 1 }, &one);
	lookup_wire_encode(&(struct lookups){ neighbours, 2 }, &two);
	assert_int_equal(two.len - one.len, 3 + strlen("izes.h"));
}

static void refuse(const char *bytes, size_t n)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct lookups ret;
	struct error err;
	assert_int_equal(lookup_wire_decode(slice_of(bytes, n), &arena, &ret, &err), -1);
}

#define REFUSE(bytes) refuse(bytes, sizeof(bytes) - 1)

static void lookup_wire__what_is_no_list_is_refused(void **state)
{
	REFUSE("");
	REFUSE("\1");
	REFUSE("\0\0");                      /* more than the list */
	REFUSE("\1\0\0\2/a");                /* no kind */
	REFUSE("\1\7\0\2/a");
	REFUSE("\1\2\1\2/a");                /* shares with nothing */
	REFUSE("\1\2\0\3/a");                /* ends too early */
	REFUSE("\1\2\0\2ab");                /* relative */
	REFUSE("\1\2\0\3/a/");               /* not squeezed */
	REFUSE("\1\2\0\3//a");
	REFUSE("\1\2\0\4/a/.");
	REFUSE("\1\2\0\3/a\0");
	REFUSE("\2\2\0\2/b\2\0\2/a");        /* not sorted */
	REFUSE("\2\2\0\2/a\2\2\0");          /* a double */
	REFUSE("\377\377\377\377\377\377\1"); /* a number without end */
	REFUSE("\377\377\377\377\17\2\0\2/a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookup_wire__a_list_comes_back_the_same),
		cmocka_unit_test(lookup_wire__a_neighbour_costs_few_bytes),
		cmocka_unit_test(lookup_wire__what_is_no_list_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
