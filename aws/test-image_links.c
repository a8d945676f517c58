#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aws/image_links.h"
#include "base/cleanup.h"
#include "base/file.h"

static void image_links__the_fixed_list_is_sorted_and_can_be_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < image_links_fixed.n; i++) {
		const char *path = image_links_fixed.paths[i];
		const char *second = strchr(path + 1, '/');
		if (i > 0 && strcmp(image_links_fixed.paths[i - 1], path) >= 0)
			fail_msg("%s is out of place", path);
		assert_int_equal(path[0], '/');
		assert_true(strlen(path) <= IMAGE_LINK_NAME_BYTES);
		assert_true(!second || !strchr(second + 1, '/'));
		/* What holds links is a directory, and no link itself. */
		assert_true(!second || strncmp(path, "/etc/", 5) == 0 || strncmp(path, "/run/", 5) == 0 ||
			    strncmp(path, "/var/", 5) == 0);
	}
}

static void image_links__what_compilers_need_is_mirrored(void **state)
{
	(void)state;
	static const char *const mirrored[] = { "/", "/usr", "/usr/bin/gcc", "/lib64/ld-linux-x86-64.so.2",
		"/home/me/x.c", "/etc/alternatives/cc", "/etc", "/etc/ld.so.cache", "/var/tmp/x", "/var", "/tmp",
		"/tmp/x/y.c", "/tmp/rust", "/dev/null", "/nix/store/x", "/gnu/store", "/__w/1/s", "/workspaces/x",
		"/run/media/me/disk/x.c" };
	static const char *const not [] = { "/etc/hosts", "/etc/resolv.conf", "/etc/ssl/certs", "/etc/ld.so.preload",
		"/proc", "/proc/self/environ", "/dev/tty", "/sys/x", "/run/lock", "/tmp/r", "/tmp/r/usr/bin",
		"/tmp/.llama/x", "/llama", "/llama/lib/ld.so", "/usrx", "/nobody-has-this", "/nobody-has-this/x",
		"/var/task", "/var/runtime/x" };
	for (size_t i = 0; i < sizeof(mirrored) / sizeof(mirrored[0]); i++)
		if (!image_links_mirror(&image_links_fixed, mirrored[i]))
			fail_msg("%s is not mirrored", mirrored[i]);
	for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
		if (image_links_mirror(&image_links_fixed, not [i]))
			fail_msg("%s is mirrored", not [i]);
}

static void image_links__names_of_this_machine_join_them(void **state)
{
	(void)state;
	char root[] = "/tmp/llama-test-links-XXXXXX", path[256], name[128];
	assert_non_null(mkdtemp(root));
	static const char *const names[] = { "zoo", "usr", "proc", "dev", "run", "tmp", "var", "etc", "sys", "llama",
		".hidden", "Zoo", "lost+found" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, names[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	memset(name, 'n', sizeof(name));
	name[IMAGE_LINK_NAME_BYTES + 1] = '\0';
	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);

	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct image_links links;
	struct error err;
	assert_int_equal(image_links_read(root, &arena, &links, &err), 0);
	assert_int_equal(links.n, image_links_fixed.n + 2);
	for (size_t i = 1; i < links.n; i++)
		assert_true(strcmp(links.paths[i - 1], links.paths[i]) < 0);
	assert_true(image_links_mirror(&links, "/zoo/x"));
	assert_true(image_links_mirror(&links, "/Zoo"));
	assert_false(image_links_mirror(&image_links_fixed, "/zoo/x"));
	assert_false(image_links_mirror(&links, "/.hidden"));
	assert_int_equal(file_remove_tree(AT_FDCWD, root, &err), 0);
	assert_int_equal(image_links_read(root, &arena, &links, &err), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_links__the_fixed_list_is_sorted_and_can_be_made),
		cmocka_unit_test(image_links__what_compilers_need_is_mirrored),
		cmocka_unit_test(image_links__names_of_this_machine_join_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
