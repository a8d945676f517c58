#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/texts.h"

static char path[] = "/tmp/llama-test-texts-XXXXXX";
static struct texts *texts;

static int set_up(void **state)
{
	texts = texts_new();
	return 0;
}

static int tear_down(void **state)
{
	texts_free(texts);
	return 0;
}

static const struct textscan *look(const char *content, struct error *err)
{
	struct digest digest = digest_of(slice_str(content));
	return texts_get(texts, path, &digest, err);
}

static void write_file(const char *content)
{
	assert_int_equal(file_replace(path, slice_str(content), 0600, NULL), 0);
}

static void texts__tell_what_a_file_says(void **state)
{
	struct error err;
	write_file("const char *s = __DATE__;\n");
	const struct textscan *scan = look("const char *s = __DATE__;\n", &err);
	assert_true(scan->date_time);
	assert_false(scan->timestamp);
	write_file("");
	assert_false(look("", &err)->date_time);
}

static void texts__are_read_once_per_content(void **state)
{
	struct error err;
	write_file(".incbin \"blob\"\n");
	const struct textscan *scan = look(".incbin \"blob\"\n", &err);
	assert_int_equal(scan->n_embedded, 1);
	write_file("other\n");
	assert_ptr_equal(look(".incbin \"blob\"\n", &err), scan); /* known, whatever the file holds now */
	for (int i = 0; i < 1000; i++) {
		char content[32];
		snprintf(content, sizeof(content), "int x%d;\n", i);
		write_file(content);
		assert_non_null(look(content, &err));
	}
	assert_string_equal(scan->embedded[0], "blob");
}

static void texts__a_file_of_other_content_is_refused(void **state)
{
	struct error err;
	write_file("now\n");
	assert_null(look("then\n", &err));
	assert_non_null(strstr(err.text, path));
	assert_non_null(look("now\n", &err)); /* the refusal left nothing behind */
	unlink(path);
	assert_null(look("gone\n", &err));
	assert_int_equal(err.code, ENOENT);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(texts__tell_what_a_file_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(texts__are_read_once_per_content, set_up, tear_down),
		cmocka_unit_test_setup_teardown(texts__a_file_of_other_content_is_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
