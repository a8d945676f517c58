#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cache/manifest.h"

static struct digest one;

static struct lookups sample(void)
{
	static struct lookup v[10];
	one = digest_of(slice_str("one"));
	struct lookup lookups[] = {
		{ "/", LOOKUP_DIRECTORY, { { 0 }, 0 } },
		{ "/nosuch", LOOKUP_ABSENT, { { 0 }, 0 } },
		{ "/nosuch/..", LOOKUP_ABSENT, { { 0 }, 0 } },
		{ "/usr/include", LOOKUP_LISTING, one },
		{ "/usr/include/a.h", LOOKUP_ABSENT, { { 0 }, 0 } },
		{ "/usr/include/a.h", LOOKUP_FILE, one },
		{ "/usr/include/ab.h", LOOKUP_FILE, digest_of(slice_str("")) },
		{ "/usr/include/b.h", LOOKUP_ABSENT, { { 0 }, 0 } },
		{ "/usr/lib", LOOKUP_LINK, one },
		{ "/usr/lib/x", LOOKUP_LINK, { { 0 }, 0 } },
	};
	memcpy(v, lookups, sizeof(v));
	return (struct lookups){ v, 10 };
}

static void expect_same(const struct lookup *a, const struct lookup *b)
{
	assert_string_equal(a->path, b->path);
	assert_int_equal(a->kind, b->kind);
	assert_true(digest_equal(&a->digest, &b->digest));
}

static void manifest__what_is_encoded_is_decoded(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	struct lookups before = sample();
	struct manifest after;
	assert_int_equal(manifest_encode(slice_str("the result"), &before, &head, &names, NULL), 0);
	assert_int_equal(manifest_decode(buf_slice(&head), &arena, &after, NULL), 0);
	assert_true(slice_equal_str(after.result, "the result"));
	static const int found[] = { 0, 2, 3, 5, 6, 8, 9 };
	assert_int_equal(after.found.n, 7);
	for (size_t i = 0; i < 7; i++)
		expect_same(&after.found.v[i], &before.v[found[i]]);

	_cleanup_buf_ struct buf other = { 0 }, same_names = { 0 };
	assert_int_equal(manifest_encode(slice_str("another"), &before, &other, &same_names, NULL), 0);
	assert_true(slice_equal(manifest_questions(buf_slice(&head)), manifest_questions(buf_slice(&other))));
	assert_true(slice_equal(buf_slice(&names), buf_slice(&same_names)));

	assert_int_equal(manifest_decode_names(buf_slice(&names), &after, NULL), 0);
	assert_int_equal(after.n_absences, 2);
	assert_string_equal(after.absences[0].directory, "/");
	struct lookups absent = manifest_absent_lookups(&after.absences[0], &arena);
	assert_int_equal(absent.n, 1);
	expect_same(&absent.v[0], &before.v[1]);
	assert_string_equal(after.absences[1].directory, "/usr/include");
	absent = manifest_absent_lookups(&after.absences[1], &arena);
	assert_int_equal(absent.n, 2);
	expect_same(&absent.v[0], &before.v[4]);
	expect_same(&absent.v[1], &before.v[7]);
}

static void manifest__special_lookups_are_refused(void **state)
{
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	struct lookups lookups = sample();
	struct error err;
	lookups.v[5].kind = LOOKUP_SPECIAL;
	assert_int_equal(manifest_encode(slice_str(""), &lookups, &head, &names, &err), -1);
	assert_non_null(strstr(err.text, "/usr/include/a.h"));
}

static void manifest__every_truncation_is_malformed(void **state)
{
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct lookups lookups = sample();
	struct manifest after;
	assert_int_equal(manifest_encode(slice_str("the result"), &lookups, &head, &names, NULL), 0);
	for (size_t n = 0; n < head.len; n++) {
		char *exact = malloc(n + 1); /* so that reading beyond is noticed */
		memcpy(exact, head.ptr, n);
		assert_int_equal(manifest_decode(slice_of(exact, n), &arena, &after, NULL), -1);
		free(exact);
	}
	assert_int_equal(manifest_decode(buf_slice(&head), &arena, &after, NULL), 0);
	for (size_t n = 0; n < names.len; n++)
		assert_int_equal(manifest_decode_names(slice_of(names.ptr, n), &after, NULL), -1);
	buf_append_char(&names, 'x');
	buf_append_char(&names, '\0');
	assert_int_equal(manifest_decode_names(buf_slice(&names), &after, NULL), -1);
	names.ptr[0]++;
	names.len -= 2;
	assert_int_equal(manifest_decode_names(buf_slice(&names), &after, NULL), -1);
	buf_append_char(&head, 0);
	assert_int_equal(manifest_decode(buf_slice(&head), &arena, &after, NULL), -1);
}

static void manifest__unsafe_paths_are_malformed(void **state)
{
	static const struct slice bad[] = {
		{ "\2\0\1\1\0\1x\0", 8 },		/* not absolute */
		{ "\2\0\1\1\0\3/a\0\0", 10 },	/* NUL */
		{ "\2\0\1\1\1\1/\0", 8 },		/* shares with nothing */
		{ "\2\0\2\1\0\2/b\1\0\2/a\0", 13 }, /* unsorted */
		{ "\2\0\1\6\0\2/a\0", 9 },		/* special */
		{ "\2\0\0\1\0\1x\0", 8 },		/* a directory, not absolute */
		{ "\2\0\0\1\0\1/\1abc", 10 },	/* half a hash */
		{ "\1\0\0\0", 4 },			/* another format */
		{ "\2\0\1\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f/\0", 17 },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct manifest after;
		assert_int_equal(manifest_decode(bad[i], &arena, &after, NULL), -1);
	}
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct manifest after;
	assert_int_equal(manifest_decode(slice_of("\2\0\0\0", 4), &arena, &after, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest__what_is_encoded_is_decoded),
		cmocka_unit_test(manifest__special_lookups_are_refused),
		cmocka_unit_test(manifest__every_truncation_is_malformed),
		cmocka_unit_test(manifest__unsafe_paths_are_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
