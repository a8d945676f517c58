#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "tests/cloud/image.h"
#include "tests/cloud/test_layout.h"

#define END                                                                                                            \
	{                                                                                                              \
		NULL, 0, NULL, NULL, false                                                                             \
	}
#define DIR(path)                                                                                                      \
	{                                                                                                              \
		path, S_IFDIR | 0755, NULL, NULL, false                                                                \
	}
#define FILE_(path, contents)                                                                                          \
	{                                                                                                              \
		path, S_IFREG | 0644, contents, NULL, false                                                            \
	}

static char directory[64], root[96], uri[128];

static int make_directory(void **state)
{
	snprintf(directory, sizeof(directory), "/tmp/test-image-XXXXXX");
	snprintf(root, sizeof(root), "%s/root", mkdtemp(directory));
	snprintf(uri, sizeof(uri), "oci:%s/layout", directory);
	return 0;
}

static int remove_directory(void **state)
{
	return file_remove_tree(AT_FDCWD, directory, NULL);
}

/* Write, open and unpack: the outcome of the step that ends it. */
static int unpack(const struct test_layout *layout, struct error *err)
{
	struct image image;
	test_layout_write(uri + 4, layout);
	int done = image_open(uri, &image, err);
	if (done != 0)
		return done;
	done = image_unpack(&image, root, err);
	image_deinit(&image);
	return done;
}

static void assert_contents(const char *path, const char *contents)
{
	_cleanup_buf_ struct buf bytes = { 0 }, name = { 0 };
	buf_printf(&name, "%s/%s", root, path);
	struct error err;
	assert_int_equal(file_read(buf_str(&name), 4096, &bytes, &err), 0);
	assert_string_equal(buf_str(&bytes), contents);
}

static struct stat stat_of(const char *path)
{
	char name[256];
	struct stat st = { 0 };
	snprintf(name, sizeof(name), "%s/%s", root, path);
	if (lstat(name, &st) < 0)
		st.st_mode = 0;
	return st;
}

static void image__later_layers_add_replace_and_remove(void **state)
{
	static const struct test_entry first[] = { DIR("./a/"), FILE_("a/kept", "1"), FILE_("a/replaced", "1"),
		FILE_("a/removed", "1"), DIR("emptied"), FILE_("emptied/x", "1"),
		{ "a/link", S_IFLNK | 0777, "kept", NULL, false }, { "a/hard", S_IFREG | 0644, "a/kept", NULL, true },
		END };
	static const struct test_entry second[] = { FILE_("a/replaced", "2"), FILE_("a/.wh.removed", ""),
		FILE_("emptied/.wh..wh..opq", ""), FILE_("emptied/y", "2"), END };
	struct error err;
	assert_int_equal(
		unpack(&(struct test_layout){ .layers = { { first, NULL, false }, { second, NULL, false } } }, &err),
		0);
	assert_contents("a/kept", "1");
	assert_contents("a/hard", "1");
	assert_contents("a/link", "1");
	assert_contents("a/replaced", "2");
	assert_contents("emptied/y", "2");
	assert_int_equal(stat_of("a/removed").st_mode, 0);
	assert_int_equal(stat_of("emptied/x").st_mode, 0);
	assert_int_equal(stat_of("a").st_mode, S_IFDIR | 0755);
	assert_int_equal(stat_of("a/kept").st_mtim.tv_sec, 1000000000);
	assert_true(
		S_ISDIR(stat_of("tmp").st_mode) && S_ISDIR(stat_of("proc").st_mode) && S_ISDIR(stat_of("dev").st_mode));
}

static void image__a_tag_is_found_or_not(void **state)
{
	static const struct test_entry entries[] = { FILE_("x", ""), END };
	struct image image;
	struct error err;
	test_layout_write(uri + 4, &(struct test_layout){ .layers = { { entries, NULL, false } }, .tag = "v1" });
	snprintf(uri, sizeof(uri), "oci:%s/layout:v1", directory);
	assert_int_equal(image_open(uri, &image, &err), 0);
	image_deinit(&image);
	snprintf(uri, sizeof(uri), "oci:%s/layout:v2", directory);
	assert_int_equal(image_open(uri, &image, &err), IMAGE_MISSING);
	assert_int_equal(image_open("123.dkr.ecr.us-east-1.amazonaws.com/x:y", &image, &err), -1);
}

static void assert_refused(const struct test_layout *layout, int outcome, const char *text)
{
	struct error err;
	assert_int_equal(unpack(layout, &err), outcome);
	assert_non_null(strstr(err.text, text));
	assert_int_equal(stat_of(".").st_mode, 0);
	file_remove_tree(AT_FDCWD, uri + 4, &err);
}

static void image__what_lambda_refuses_is_refused(void **state)
{
	static const struct test_entry good[] = { FILE_("x", ""), END }, orphan[] = { FILE_("a/b", ""), END },
				       outside[] = { FILE_("../b", ""), END },
				       above[] = { FILE_(".wh...", ""), END }, itself[] = { FILE_(".wh..", ""), END },
				       nothing[] = { FILE_(".wh.", ""), END },
				       secret[] = { { "x", S_IFREG | 0600, "", NULL, false }, END },
				       closed[] = { { "d", S_IFDIR | 0700, NULL, NULL, false }, END },
				       through[] = { { "a", S_IFLNK | 0777, "/etc", NULL, false }, FILE_("a/b", ""),
					       END },
				       device[] = { { "null", S_IFCHR | 0666, NULL, NULL, false }, END },
				       late[] = { FILE_("d/x", ""), DIR("d"), END },
				       hidden[] = { { "tmp", S_IFLNK | 0777, "/x", NULL, false }, END };
	const struct test_layer layer = { good, NULL, false };
	assert_refused(&(struct test_layout){ .layers = { layer },
			       .manifest_type = "application/vnd.oci.image.index.v1+json" },
		IMAGE_UNSUPPORTED, "is not supported");
	assert_refused(
		&(struct test_layout){ .layers = { { good, "application/vnd.oci.image.layer.v1.tar+zstd", false } } },
		IMAGE_UNSUPPORTED, "is not supported");
	assert_refused(&(struct test_layout){ .layers = { { good, "application/vnd.oci.image.layer.v1.tar", true } } },
		IMAGE_INVALID, "UnsupportedImageLayerDetected");
	assert_refused(&(struct test_layout){ .layers = { { good, NULL, true } } }, IMAGE_INVALID,
		"UnsupportedImageLayerDetected");
	assert_refused(&(struct test_layout){ .layers = { { orphan, NULL, false } } }, IMAGE_INVALID,
		"MissingParentDirectory: a/b");
	assert_refused(&(struct test_layout){ .layers = { { above, NULL, false } } }, IMAGE_INVALID, "InvalidPath");
	assert_refused(&(struct test_layout){ .layers = { { itself, NULL, false } } }, IMAGE_INVALID, "InvalidPath");
	assert_refused(&(struct test_layout){ .layers = { { nothing, NULL, false } } }, IMAGE_INVALID, "InvalidPath");
	assert_refused(&(struct test_layout){ .layers = { { late, NULL, false } } }, IMAGE_INVALID,
		"MissingParentDirectory: d/x");
	assert_refused(&(struct test_layout){ .layers = { { through, NULL, false } } }, IMAGE_INVALID,
		"MissingParentDirectory: a/b");
	assert_refused(&(struct test_layout){ .layers = { { outside, NULL, false } } }, IMAGE_INVALID, "InvalidPath");
	assert_refused(&(struct test_layout){ .layers = { { secret, NULL, false } } }, IMAGE_INVALID,
		"not readable by everybody");
	assert_refused(&(struct test_layout){ .layers = { { closed, NULL, false } } }, IMAGE_INVALID,
		"not readable by everybody");
	assert_refused(
		&(struct test_layout){ .layers = { { device, NULL, false } } }, IMAGE_INVALID, "UnsupportedFileType");
	assert_refused(
		&(struct test_layout){ .layers = { { hidden, NULL, false } } }, IMAGE_INVALID, "not a directory: tmp");
}

static void image__a_damaged_blob_is_no_image(void **state)
{
	static const struct test_entry entries[] = { FILE_("x", ""), END };
	struct image image;
	struct error err;
	test_layout_write(uri + 4, &(struct test_layout){ .layers = { { entries, NULL, false } } });
	assert_int_equal(image_open(uri, &image, &err), 0);
	char hex[DIGEST_HEX_CHARS + 1], path[256];
	digest_hex(&image.digest, hex);
	image_deinit(&image);
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", uri + 4, hex);
	assert_int_equal(file_replace(path, slice_str("{}"), 0644, &err), 0);
	assert_int_equal(image_open(uri, &image, &err), IMAGE_MISSING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(image__later_layers_add_replace_and_remove),
		TEST(image__a_tag_is_found_or_not),
		TEST(image__what_lambda_refuses_is_refused),
		TEST(image__a_damaged_blob_is_no_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
