#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/journal.h"

/* What a function of the journal wrote. */
static char *text;
static size_t length;

static FILE *begin(void)
{
	free(text);
	text = NULL;
	return open_memstream(&text, &length);
}

static int tear_down(void **state)
{
	free(text);
	text = NULL;
	return 0;
}

static void journal__a_request_is_one_line_of_encoded_words(void **state)
{
	struct frame_request frame = { .cwd = "/home/me/a b", .compiler = "/usr/bin/gcc" };
	struct exec_output output = { .path = "/x/100%=\xc3\xa9.o" };
	struct plan plan = { .frame = &frame, .command.input = "new\nline.c", .outputs = &output, .n_outputs = 1 };
	struct journal_entry entry;
	struct reason reason = { 0 };
	journal_begin(&entry);
	entry.decision = "sandbox";
	entry.scan_us = 12;
	FILE *file = begin();
	journal_write(file, &entry, &plan, &reason);
	fclose(file);
	assert_memory_equal(text, "time=", 5);
	assert_non_null(
		strstr(text, " decision=sandbox reason= cwd=/home/me/a%20b compiler=/usr/bin/gcc input=new%0aline.c "
			     "output=/x/100%25%3d%c3%a9.o wall_us="));
	assert_non_null(strstr(text, " scan_us=12 engine_us=0\n"));
	assert_ptr_equal(strchr(text, '\n'), text + length - 1);
}

static void journal__a_miss_says_why(void **state)
{
	struct frame_request frame = { .cwd = "/", .compiler = "gcc" };
	struct plan plan = { .frame = &frame };
	struct journal_entry entry;
	struct reason reason = { 0 };
	journal_begin(&entry);
	entry.miss = &(struct cache_why){ .what = CACHE_WHY_INPUT, .path = "/a b.h" };
	FILE *file = begin();
	journal_write(file, &entry, &plan, &reason);
	fclose(file);
	assert_non_null(strstr(text, " miss=input:/a%20b.h cwd=/ "));
}

static void journal__a_local_command_has_its_reason(void **state)
{
	struct frame_request frame = { .cwd = "/", .compiler = "" };
	struct plan plan = { .frame = &frame }; /* it may have been given up before there was an input */
	struct journal_entry entry;
	struct reason reason = { REASON_OPTION, "-fplugin=" };
	journal_begin(&entry);
	entry.decision = "local";
	FILE *file = begin();
	journal_write(file, &entry, &plan, &reason);
	fclose(file);
	assert_non_null(strstr(text, " decision=local reason=option:-fplugin%3d detail=-fplugin%3d cwd=/ compiler= "
				     "input= output= wall_us="));
}

static void journal__notes_are_lines_too(void **state)
{
	FILE *file = begin();
	journal_note(file, "cache", "a\nb");
	fclose(file);
	assert_non_null(strstr(text, " note=cache text=a%0ab\n"));
}

static void journal__without_a_file_nothing_happens(void **state)
{
	journal_note(NULL, "cache", "text");
	journal_write(NULL, NULL, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(journal__a_request_is_one_line_of_encoded_words, tear_down),
		cmocka_unit_test_teardown(journal__a_miss_says_why, tear_down),
		cmocka_unit_test_teardown(journal__a_local_command_has_its_reason, tear_down),
		cmocka_unit_test_teardown(journal__notes_are_lines_too, tear_down),
		cmocka_unit_test(journal__without_a_file_nothing_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
