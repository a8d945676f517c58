#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "setup/bootstrap.h"

static void memory__that_a_refusal_names(void **state)
{
	assert_int_equal(bootstrap_allowed_memory("cannot create the function llama: this account's functions may have "
						  "1024 MB of memory at most: choose less"),
		1024);
	assert_int_equal(bootstrap_allowed_memory("this account's functions may have 12 MB of memory"), 0);
	assert_int_equal(bootstrap_allowed_memory("may have 99999999999999999999999 MB"), 0);
	assert_int_equal(bootstrap_allowed_memory("may have much"), 0);
	assert_int_equal(bootstrap_allowed_memory(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory__that_a_refusal_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
