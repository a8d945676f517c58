#include "cli/namespaces.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/path.h"

static char root[] = "/tmp/llama-namespaces-XXXXXX";

static int make_root(void **state)
{
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	return file_remove_tree(AT_FDCWD, root, NULL);
}

static void set(const char *path, const char *text)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *name = arena_printf(&arena, "%s%s", root, path);
	assert_int_equal(file_make_dirs(path_dirname(&arena, name), 0700, NULL), 0);
	FILE *file = fopen(name, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

static void assert_advice_has(const char *profile, const char *words)
{
	_cleanup_buf_ struct buf text = { 0 };
	namespaces_advise(root, profile, &text);
	if (!strstr(buf_str(&text), words))
		fail_msg("no \"%s\" in: %s", words, buf_str(&text));
}

static void namespaces__apparmor_is_answered_by_the_profile(void **state)
{
	set("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
	set("/proc/sys/user/max_user_namespaces", "96000\n");
	assert_advice_has("/opt/x/llama", "sudo cp /opt/x/llama /etc/apparmor.d/llama");
	assert_advice_has(NULL, "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0");
}

static void namespaces__a_forbidding_switch_is_named(void **state)
{
	set("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n");
	set("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
	set("/proc/sys/user/max_user_namespaces", "0\n");
	assert_advice_has(NULL, "kernel.unprivileged_userns_clone=1");
	assert_advice_has(NULL, "user.max_user_namespaces=");
}

static void namespaces__a_filter_means_a_container(void **state)
{
	set("/proc/self/status", "Name:\tcc\nSeccomp:\t2\nSeccomp_filters:\t1\n");
	assert_advice_has(NULL, "--security-opt seccomp=unconfined");
}

static void namespaces__an_unknown_cause_is_said_to_be_one(void **state)
{
	set("/proc/self/status", "Seccomp:\t0\n");
	assert_advice_has(NULL, "No switch");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			namespaces__apparmor_is_answered_by_the_profile, make_root, remove_root),
		cmocka_unit_test_setup_teardown(namespaces__a_forbidding_switch_is_named, make_root, remove_root),
		cmocka_unit_test_setup_teardown(namespaces__a_filter_means_a_container, make_root, remove_root),
		cmocka_unit_test_setup_teardown(namespaces__an_unknown_cause_is_said_to_be_one, make_root, remove_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
