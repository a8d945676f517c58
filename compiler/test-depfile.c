#include "compiler/test-support.h"

#include "compiler/depfile.h"

/* Written by gcc 12 and clang 14. */
static const char gcc_text[] = "out/q.o: s.c hdr_number_1.h hdr_number_2.h hdr_number_3.h hdr_number_4.h \\\n"
			       " hdr_number_5.h sp\\ ace/x\\#y.h do$$l/b\\\\\\ c.h hdr_number_6.h\n"
			       "hdr_number_1.h:\n"
			       "sp\\ ace/x\\#y.h:\n";
static const char gcc_two_targets[] = "this_is_a_long_target_name_for_wrap.o third.o \\\n"
				      " another_really_long_target_name.o: s.c /usr/include/stdc-predef.h \\\n"
				      " hdr_number_1.h hdr_number_2.h hdr_number_3.h hdr_number_4.h \\\n"
				      " hdr_number_5.h sp\\ ace/x\\#y.h do$$l/b\\\\\\ c.h hdr_number_6.h\n";
static const char gcc_plain[] = "s.o: s.c /usr/include/stdc-predef.h hdr_number_1.h hdr_number_2.h \\\n"
				" hdr_number_3.h hdr_number_4.h hdr_number_5.h sp\\ ace/x\\#y.h \\\n"
				" do$$l/b\\\\\\ c.h hdr_number_6.h\n";
static const char clang_text[] = "s.o: s.c hdr_number_1.h hdr_number_2.h hdr_number_3.h hdr_number_4.h \\\n"
				 "  hdr_number_5.h sp\\ ace/x\\#y.h do$$l/b/\\ c.h hdr_number_6.h\n"
				 "\n"
				 "hdr_number_1.h:\n";
static const char clang_dotted[] = "./out/q.o: s.c hdr_number_1.h hdr_number_2.h hdr_number_3.h \\\n"
				   "  hdr_number_4.h hdr_number_5.h sp\\ ace/x\\#y.h do$$l/b/\\ c.h hdr_number_6.h\n"
				   "\n"
				   "hdr_number_1.h:\n";
static const char clang_three_targets[] =
	"this_is_a_long_target_name_for_wrap.o another_really_long_target_name.o \\\n"
	"  third.o: s.c hdr_number_1.h hdr_number_2.h hdr_number_3.h \\\n"
	"  hdr_number_4.h hdr_number_5.h sp\\ ace/x\\#y.h do$$l/b/\\ c.h hdr_number_6.h\n"
	"\n"
	"hdr_number_1.h:\n";

static void check_retarget(const char *stored, const char *old_targets, const char *new_targets, const char *want)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	struct strlist from = { 0 }, to = { 0 };
	char *copy = arena_strdup(&arena, old_targets);
	for (char *word; (word = strsep(&copy, " "));)
		strlist_add(&from, &arena, word);
	copy = arena_strdup(&arena, new_targets);
	for (char *word; (word = strsep(&copy, " "));)
		strlist_add(&to, &arena, word);
	int outcome = depfile_retarget(slice_str(stored), from.items, from.n, to.items, to.n, &got);
	assert_int_equal(outcome, want ? 0 : DEPFILE_UNSURE);
	if (want)
		assert_string_equal(buf_str(&got), want);
}

static void depfile__is_rendered_for_another_target_as_the_compiler_would(void **state)
{
	check_retarget(gcc_text, "out/q.o", "out/q.o", gcc_text);
	check_retarget(gcc_plain, "s.o",
		"this_is_a_long_target_name_for_wrap.o third.o another_really_long_target_name.o", gcc_two_targets);
	check_retarget(gcc_two_targets,
		"this_is_a_long_target_name_for_wrap.o third.o another_really_long_target_name.o", "s.o", gcc_plain);
	check_retarget(clang_text, "s.o", "./out/q.o", clang_dotted);
	check_retarget(clang_text, "s.o",
		"this_is_a_long_target_name_for_wrap.o another_really_long_target_name.o third.o", clang_three_targets);
	check_retarget(clang_three_targets,
		"this_is_a_long_target_name_for_wrap.o another_really_long_target_name.o third.o", "s.o", clang_text);
	check_retarget("a.o: a.c\n", "a.o", "b.o", "b.o: a.c\n");
	check_retarget("a.o: a.c x.h\nx.h:\n", "a.o", "b.o", "b.o: a.c x.h\nx.h:\n");
}

static void depfile__of_unexpected_form_is_not_rendered(void **state)
{
	check_retarget(gcc_text, "other.o", "b.o", NULL);
	check_retarget("a.o:a.c\n", "a.o", "b.o", NULL);
	check_retarget("a.o: a.c", "a.o", "b.o", NULL);
	check_retarget("a.o: a.c \\\n b.c\n", "a.o", "b.o", NULL);
	check_retarget("", "a.o", "b.o", NULL);
	/* Short enough for one line before; two styles differ after: */
	check_retarget("a.o: a.c b.c\n", "a.o",
		"a_name_that_is_so_long_that_the_line_must_be_broken_after_its_colon_for_sure.o", NULL);
}

/* Each file as gcc 12 or clang 14 wrote it below /w/one and below /w/another-place. */
static void depfile__moves_with_its_directory_as_the_compiler_would_write_it(void **state)
{
	static const struct {
		const char *target, *one, *another;
	} rows[] = {
		{ "x.o",
			"x.o: /w/one/source/x.c /usr/include/stdc-predef.h \\\n"
			" /w/one/source/include/a.h /w/one/source/include/b.h /w/one/s\\ p/c.h\n"
			"/usr/include/stdc-predef.h:\n/w/one/source/include/a.h:\n/w/one/source/include/b.h:\n/w/one/s\\ p/c.h:\n",
			"x.o: /w/another-place/source/x.c /usr/include/stdc-predef.h \\\n"
			" /w/another-place/source/include/a.h /w/another-place/source/include/b.h \\\n"
			" /w/another-place/s\\ p/c.h\n"
			"/usr/include/stdc-predef.h:\n/w/another-place/source/include/a.h:\n/w/another-place/source/include/b.h:\n/w/another-place/s\\ p/c.h:\n" },
		{ "x.o", "x.o: /w/one/source/x.c /w/one/source/include/a.h \\\n  /w/one/source/include/b.h\n\n/w/one/source/include/a.h:\n\n/w/one/source/include/b.h:\n",
			"x.o: /w/another-place/source/x.c /w/another-place/source/include/a.h \\\n  /w/another-place/source/include/b.h\n\n"
			"/w/another-place/source/include/a.h:\n\n/w/another-place/source/include/b.h:\n" },
		{ "x.o", "x.o: ../x.c /w/one2/a.h /v/w/one/a.h\n", "x.o: ../x.c /w/one2/a.h /v/w/one/a.h\n" },
		{ "x.o", "x.o : ../x.c /w/one/a.h\n", NULL },
		{ "x.o", "x.o: ../x.c a.h\n", "x.o: ../x.c a.h\n" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_buf_ struct buf there = { 0 }, back = { 0 };
		const char *const *targets = &rows[i].target;
		int outcome = depfile_rebase(slice_str(rows[i].one), targets, 1, targets, 1, "/w/one", "/w/another-place", &there);
		assert_int_equal(outcome, rows[i].another ? 0 : DEPFILE_UNSURE);
		if (!rows[i].another)
			continue;
		assert_string_equal(buf_str(&there), rows[i].another);
		assert_int_equal(depfile_rebase(buf_slice(&there), targets, 1, targets, 1, "/w/another-place", "/w/one", &back), 0);
		assert_string_equal(buf_str(&back), rows[i].one);
	}
}

static void depfile__inputs_are_read_as_make_would(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	struct depfile depfile;
	struct error err;
	assert_int_equal(depfile_parse(slice_str(gcc_text), &arena, &depfile, &err), 0);
	for (size_t i = 0; i < depfile.n_inputs; i++)
		buf_printf(&got, "<%s>", depfile.inputs[i]);
	assert_string_equal(buf_str(&got),
		"<s.c><hdr_number_1.h><hdr_number_2.h><hdr_number_3.h><hdr_number_4.h><hdr_number_5.h>"
		"<sp ace/x#y.h><do$l/b\\ c.h><hdr_number_6.h>");

	assert_int_equal(depfile_parse(slice_str("a:b.o c.o : d\\e.c\r\n"), &arena, &depfile, &err), 0);
	assert_int_equal(depfile.n_inputs, 1);
	assert_string_equal(depfile.inputs[0], "d\\e.c");

	assert_int_equal(depfile_parse(slice_str(""), &arena, &depfile, &err), 0);
	assert_int_equal(depfile.n_inputs, 0);
	assert_int_equal(depfile_parse(slice_str("just words\n"), &arena, &depfile, &err), -1);
	assert_int_equal(depfile_parse(slice_of("a: \0\n", 5), &arena, &depfile, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(depfile__is_rendered_for_another_target_as_the_compiler_would),
		cmocka_unit_test(depfile__of_unexpected_form_is_not_rendered),
		cmocka_unit_test(depfile__moves_with_its_directory_as_the_compiler_would_write_it),
		cmocka_unit_test(depfile__inputs_are_read_as_make_would),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
