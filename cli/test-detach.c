#include "cli/detach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static void detach__keeps_only_documented_variables(void **state)
{
	char *given[] = { (char *)"HOME=/h", (char *)"MAKEFLAGS=-j8", (char *)"LC_ALL=C", (char *)"LLAMA_JOBS=2",
		(char *)"LLAMACC_VERBOSE=1", (char *)"LLAMACC_SANDBOX=inplace", (char *)"LD_PRELOAD=x.so",
		(char *)"PATH=/bin", (char *)"PATHS=x", (char *)"noassignment", (char *)"XDG_CACHE_HOME=/c",
		(char *)"=odd", (char *)"AWS_REGION=here", (char *)"AWSOME=1", (char *)"https_proxy=p", NULL };
	char **before = environ;
	environ = given;
	struct error err;
	int outcome = detach_reduce_environment(&err);
	char **after = environ;
	environ = before;
	assert_int_equal(outcome, 0);
	static const char *const expected[] = { "HOME=/h", "LC_ALL=C", "LLAMA_JOBS=2", "LLAMACC_SANDBOX=inplace",
		"PATH=/bin", "XDG_CACHE_HOME=/c", "AWS_REGION=here", "https_proxy=p" };
	size_t n = 0;
	for (char **at = after; *at; at++)
		if (strchr(*at, '=') && **at != '=')
			assert_string_equal(*at, expected[n++]);
	assert_int_equal(n, sizeof(expected) / sizeof(expected[0]));
}

static void detach__raises_the_limit_of_open_files(void **state)
{
	struct rlimit limit;
	unsigned before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	struct error err;
	assert_int_equal(detach_raise_limits(&before, &err), 0);
	assert_int_equal(before, 64);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(detach__keeps_only_documented_variables),
		cmocka_unit_test(detach__raises_the_limit_of_open_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
