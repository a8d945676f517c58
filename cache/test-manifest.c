#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cache/manifest.h"

static struct digest one;

static struct manifest sample(void)
{
	static struct lookup v[7];
	one = digest_of(slice_str("one"));
	struct lookup lookups[] = {
		{ "/", LOOKUP_DIRECTORY, { { 0 }, 0 } },
		{ "/usr/include", LOOKUP_LISTING, one },
		{ "/usr/include/a.h", LOOKUP_ABSENT, { { 0 }, 0 } },
		{ "/usr/include/a.h", LOOKUP_FILE, one },
		{ "/usr/include/ab.h", LOOKUP_FILE, digest_of(slice_str("")) },
		{ "/usr/lib", LOOKUP_LINK, one },
		{ "/usr/lib/x", LOOKUP_LINK, { { 0 }, 0 } },
	};
	memcpy(v, lookups, sizeof(v));
	return (struct manifest){ slice_str("the result"), { v, 7 } };
}

static void manifest__what_is_encoded_is_decoded(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf bytes = { 0 }, text = { 0 };
	struct manifest before = sample(), after;
	assert_int_equal(manifest_encode(&before, &bytes, NULL), 0);
	assert_int_equal(manifest_decode(buf_slice(&bytes), &arena, &after, NULL), 0);
	assert_true(slice_equal_str(after.result, "the result"));
	assert_int_equal(after.lookups.n, before.lookups.n);
	for (size_t i = 0; i < after.lookups.n; i++) {
		assert_string_equal(after.lookups.v[i].path, before.lookups.v[i].path);
		assert_int_equal(after.lookups.v[i].kind, before.lookups.v[i].kind);
		assert_true(digest_equal(&after.lookups.v[i].digest, &before.lookups.v[i].digest));
	}
	manifest_print(&after, &text);
	assert_non_null(strstr(text.ptr, "absent    - /usr/include/a.h\n"));
}

static void manifest__special_lookups_are_refused(void **state)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	struct manifest manifest = sample();
	struct error err;
	manifest.lookups.v[3].kind = LOOKUP_SPECIAL;
	assert_int_equal(manifest_encode(&manifest, &bytes, &err), -1);
	assert_non_null(strstr(err.text, "/usr/include/a.h"));
}

static void manifest__every_truncation_is_malformed(void **state)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	struct manifest manifest = sample();
	assert_int_equal(manifest_encode(&manifest, &bytes, NULL), 0);
	for (size_t n = 0; n < bytes.len; n++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct manifest after;
		char *exact = malloc(n + 1); /* so that reading beyond is noticed */
		memcpy(exact, bytes.ptr, n);
		assert_int_equal(manifest_decode(slice_of(exact, n), &arena, &after, NULL), -1);
		free(exact);
	}
	buf_append_char(&bytes, 0);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct manifest after;
	assert_int_equal(manifest_decode(buf_slice(&bytes), &arena, &after, NULL), -1);
}

static void manifest__unsafe_paths_are_malformed(void **state)
{
	static const struct slice bad[] = {
		{ "\1\0\1\1\0\1x", 7 },		  /* not absolute */
		{ "\1\0\1\1\0\3/a\0", 9 },	  /* NUL */
		{ "\1\0\1\1\1\1/", 7 },		  /* shares with nothing */
		{ "\1\0\2\1\0\2/b\1\0\2/a", 12 }, /* unsorted */
		{ "\1\0\1\6\0\2/a", 8 },	  /* special */
		{ "\2\0\0", 3 },		  /* another format */
		{ "\1\0\1\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f/", 16 },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct manifest after;
		assert_int_equal(manifest_decode(bad[i], &arena, &after, NULL), -1);
	}
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
