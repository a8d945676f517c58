#include "files/test-scratch.h"

#include "daemon/ledger.h"

#define A "out/.llama-0123456789abcdef"
#define B "out/.llama-fedcba9876543210"

static struct ledger *reopen(struct scratch *s, struct ledger *ledger)
{
	struct error err = { 0 };
	ledger_free(ledger);
	struct ledger *again = ledger_open(scratch_path(s, "temporaries"), &err);
	if (!again)
		fail_msg("%s", err.text);
	return again;
}

static bool stands(struct scratch *s, const char *path)
{
	struct stat st;
	return lstat(scratch_path(s, path), &st) == 0;
}

static void ledger__what_is_listed_is_removed_by_the_next(void **state)
{
	struct scratch *s = *state;
	scratch_mkdir(s, "out");
	const char *paths[] = { scratch_write(s, A, "object"), scratch_path(s, B) };
	struct ledger *ledger = reopen(s, NULL);
	unsigned slot = 0;
	ledger_put(ledger, &slot, paths, 2);
	assert_int_not_equal(slot, 0);
	assert_true(stands(s, A));
	scratch_write(s, B, "made after it was listed");
	ledger = reopen(s, ledger);
	assert_false(stands(s, A));
	assert_false(stands(s, B));
	scratch_write(s, A, "the next daemon's list is empty");
	ledger_free(reopen(s, ledger));
	assert_true(stands(s, A));
}

static void ledger__what_was_dropped_or_replaced_stays(void **state)
{
	struct scratch *s = *state;
	scratch_mkdir(s, "out");
	const char *a = scratch_write(s, A, ""), *b = scratch_write(s, B, ""), *c = scratch_write(s, "out/.llama-0000000000000000", "");
	struct ledger *ledger = reopen(s, NULL);
	unsigned first = 0, second = 0, third = 0;
	ledger_put(ledger, &first, (const char *[]){ c, b }, 2);
	ledger_put(ledger, &first, (const char *[]){ a }, 1);
	ledger_put(ledger, &second, (const char *[]){ b }, 1);
	ledger_drop(ledger, first);
	ledger_drop(ledger, 0);
	ledger_put(ledger, &third, (const char *[]){ c }, 1);
	assert_int_equal(third, first); /* the file doesn't grow */
	ledger_drop(ledger, third);
	ledger_free(reopen(s, ledger));
	assert_true(stands(s, A));
	assert_false(stands(s, B));
	assert_true(stands(s, "out/.llama-0000000000000000"));
}

static void ledger__nothing_but_temporary_files_is_removed(void **state)
{
	struct scratch *s = *state;
	static const char *const names[] = { "out/main.o", "out/.llama-0123456789abcdeg", "out/.llama-0123456789abcdef0", "out/.llama-", ".llama-0123456789ABCDEF" };
	scratch_mkdir(s, "out");
	scratch_mkdir(s, "out/.llama-1111111111111111");
	scratch_symlink(s, "main.o", "out/.llama-2222222222222222");
	const char *paths[7] = { scratch_path(s, "out/.llama-1111111111111111"), scratch_path(s, "out/.llama-2222222222222222") };
	for (size_t i = 0; i < 5; i++)
		paths[2 + i] = scratch_write(s, names[i], "mine");
	struct ledger *ledger = reopen(s, NULL);
	unsigned slot = 0;
	ledger_put(ledger, &slot, paths, 7);
	ledger_free(reopen(s, ledger));
	for (size_t i = 0; i < 5; i++)
		assert_true(stands(s, names[i]));
	assert_true(stands(s, "out/.llama-1111111111111111"));
	assert_true(stands(s, "out/.llama-2222222222222222"));
}

static void ledger__rubbish_is_no_list(void **state)
{
	struct scratch *s = *state;
	scratch_mkdir(s, "out");
	scratch_write(s, A, "");
	char text[100000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	scratch_write(s, "temporaries", text);
	ledger_free(reopen(s, NULL));
	assert_true(stands(s, A));
	struct stat st;
	assert_int_equal(stat(scratch_path(s, "temporaries"), &st), 0);
	assert_int_equal(st.st_size, 0);
}

static void ledger__a_path_too_long_for_its_slot_is_left_out(void **state)
{
	struct scratch *s = *state;
	scratch_mkdir(s, "out");
	char *deep = malloc(40000);
	memset(deep, '/', 39999);
	deep[39999] = '\0';
	const char *paths[] = { deep, scratch_write(s, A, "") };
	struct ledger *ledger = reopen(s, NULL);
	unsigned slot = 0, next = 0;
	ledger_put(ledger, &slot, paths, 2);
	ledger_put(ledger, &next, (const char *[]){ scratch_write(s, B, "") }, 1);
	ledger_free(reopen(s, ledger));
	free(deep);
	assert_false(stands(s, A));
	assert_false(stands(s, B));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		TEST(ledger__what_is_listed_is_removed_by_the_next),
		TEST(ledger__what_was_dropped_or_replaced_stays),
		TEST(ledger__nothing_but_temporary_files_is_removed),
		TEST(ledger__rubbish_is_no_list),
		TEST(ledger__a_path_too_long_for_its_slot_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
