#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client/warnings.h"

/* `words` after filtering, joined by blanks. */
static const char *filtered(const char *words, const char *list)
{
	static char text[200], joined[200];
	const char *argv[20];
	size_t argc = 0;
	strcpy(text, words);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	argc = warnings_filter(argv, argc, list);
	assert_null(argv[argc]);
	joined[0] = '\0';
	for (size_t i = 0; i < argc; i++)
		strcat(strcat(joined, i ? " " : ""), argv[i]);
	return joined;
}

static void warnings__listed_ones_leave_in_both_forms(void **state)
{
	assert_string_equal(filtered("cc -Wall -Werror -Wno-error -g x.c", "error,all"), "cc -g x.c");
	assert_string_equal(
		filtered("cc -Wpacked -Wno-packed-not-aligned x.c", ",packed-not-aligned,"), "cc -Wpacked x.c");
}

static void warnings__everything_else_stays(void **state)
{
	const char *words = "cc -Wall -W -Wl,-s -Werror=shadow -Xclang -Wshadow shadow -Wno-no-shadow";
	assert_string_equal(filtered(words, "shadow,,l"), words);
	assert_string_equal(filtered(words, ""), words);
	assert_string_equal(filtered(words, NULL), words);
	assert_string_equal(filtered("-Wall", "all"), "-Wall"); /* the first word is the compiler */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warnings__listed_ones_leave_in_both_forms),
		cmocka_unit_test(warnings__everything_else_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
