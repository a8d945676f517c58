#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/elf_file.h"
#include "aws/image.h"
#include "aws/image_lint.h"
#include "aws/libraries.h"
#include "aws/oci.h"
#include "base/cleanup.h"
#include "base/file.h"

/* Each test has a directory of its own, and for programs a static one: to compress libraries takes seconds. */
struct fixture {
	char directory[64];
	struct arena arena;
	struct image_options options;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->directory, "/tmp/llama-test-image-XXXXXX");
	f->options = (struct image_options){
		.runtime = TEST_STATIC, .runner = TEST_STATIC, .interposer = TEST_INTERPOSER
	};
	*state = f;
	return mkdtemp(f->directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct error err;
	int result = file_remove_tree(AT_FDCWD, f->directory, &err);
	arena_deinit(&f->arena);
	free(f);
	return result;
}

static const char *below(struct fixture *f, const char *name)
{
	return arena_printf(&f->arena, "%s/%s", f->directory, name);
}

static struct image_report build(struct fixture *f, const char *name)
{
	struct error err;
	struct image_report report;
	if (image_build(&f->options, below(f, name), &report, &err) < 0)
		fail_msg("%s", err.text);
	return report;
}

static unsigned count(const char *path)
{
	unsigned n = 0;
	_cleanup_closedir_ DIR *dir = opendir(path);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	return n;
}

/* A copy under another name, where `from` in it is `to`, which is as long. */
static const char *copy(struct fixture *f, const char *program, const char *name, const char *from, const char *to)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(file_read(program, 1 << 30, &bytes, NULL), 0);
	for (char *at = bytes.ptr; from && (at = memmem(at, (size_t)(bytes.ptr + bytes.len - at), from, strlen(from)));)
		memcpy(at, to, strlen(to));
	const char *path = below(f, name);
	assert_int_equal(file_replace(path, buf_slice(&bytes), 0755, NULL), 0);
	return path;
}

static void image__equal_programs_give_equal_bytes(void **state)
{
	struct fixture *f = *state;
	const char *root = below(f, "root"), *other = below(f, "other");
	static const char *const names[] = { "b", "a", "zoo", "c" };
	for (int i = 0; i < 4; i++) {
		assert_int_equal(file_make_dirs(arena_printf(&f->arena, "%s/%s", root, names[i]), 0755, NULL), 0);
		assert_int_equal(file_make_dirs(arena_printf(&f->arena, "%s/%s", other, names[3 - i]), 0700, NULL), 0);
	}
	f->options.root = root;
	struct image_report first = build(f, "one");
	/* Other files with other times and modes, another umask, another directory. */
	f->options.root = other;
	f->options.runtime = copy(f, TEST_STATIC, "another-name", NULL, NULL);
	assert_int_equal(chmod(f->options.runtime, 0500), 0);
	mode_t mask = umask(077);
	struct image_report second = build(f, "two");
	umask(mask);
	assert_true(digest_equal(&first.manifest, &second.manifest));
	_cleanup_buf_ struct buf one = { 0 }, two = { 0 };
	assert_int_equal(file_read(below(f, "one/index.json"), 1 << 20, &one, NULL), 0);
	assert_int_equal(file_read(below(f, "two/index.json"), 1 << 20, &two, NULL), 0);
	assert_true(slice_equal(buf_slice(&one), buf_slice(&two)));
	assert_int_equal(count(below(f, "one/blobs/sha256")), 4);
	assert_int_equal(count(below(f, "two/blobs/sha256")), 4);
}

static void image__names_of_the_machine_change_a_small_layer(void **state)
{
	struct fixture *f = *state;
	const char *root = below(f, "root");
	assert_int_equal(file_make_dirs(root, 0755, NULL), 0);
	f->options.root = root;
	build(f, "one");
	assert_int_equal(file_make_dirs(below(f, "root/zoo"), 0755, NULL), 0);
	build(f, "two");
	_cleanup_closedir_ DIR *dir = opendir(below(f, "one/blobs/sha256"));
	unsigned same = 0, other = 0;
	for (const struct dirent *entry; (entry = readdir(dir));) {
		struct stat st;
		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(stat(below(f, arena_printf(&f->arena, "one/blobs/sha256/%s", entry->d_name)), &st), 0);
		bool there = access(below(f, arena_printf(&f->arena, "two/blobs/sha256/%s", entry->d_name)), F_OK) == 0;
		same += there;
		other += !there;
		assert_true(there || st.st_size < 8192);
	}
	assert_int_equal(same, 1);
	assert_int_equal(other, 3);
}

static void print_finding(void *ctx, enum image_rule rule, const char *text)
{
	(void)ctx;
	fail_msg("%s: %s", image_rule_names[rule], text);
}

static void image__is_what_lambda_takes(void **state)
{
	struct fixture *f = *state;
	struct error err;
	f->options.runtime = TEST_PROGRAM;
	f->options.runner = TEST_RUNNER;
	struct image_report report = build(f, "image");
	assert_int_equal(image_lint(below(f, "image"), NULL, print_finding, NULL, &err), 0);
	assert_true(report.n_libraries > 5);
	assert_true(report.layer_bytes > 1 << 20 && report.content_bytes > report.layer_bytes);
}

static void image__an_earlier_one_is_replaced_and_nothing_is_left_beside_it(void **state)
{
	struct fixture *f = *state;
	f->options.root = below(f, "root");
	assert_int_equal(file_make_dirs(f->options.root, 0755, NULL), 0);
	assert_int_equal(file_make_dirs(below(f, "image"), 0755, NULL), 0);
	struct image_report first = build(f, "image/");
	assert_int_equal(file_make_dirs(below(f, "root/zoo"), 0755, NULL), 0);
	assert_int_equal(symlink("image", below(f, "link")), 0);
	struct image_report second = build(f, "link");
	assert_false(digest_equal(&first.manifest, &second.manifest));
	assert_int_equal(count(below(f, "image/blobs/sha256")), 4);
	assert_int_equal(count(f->directory), 3);
	struct stat st;
	assert_int_equal(lstat(below(f, "link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void image__a_relative_directory_is_below_the_current_one(void **state)
{
	struct fixture *f = *state;
	struct error err;
	_cleanup_close_ int cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chdir(f->directory), 0);
	int result = image_build(&f->options, "image", NULL, &err);
	assert_int_equal(fchdir(cwd), 0);
	assert_int_equal(result, 0);
	assert_int_equal(access(below(f, "image/oci-layout"), F_OK), 0);
}

static void image__what_is_not_ours_is_refused_and_untouched(void **state)
{
	struct fixture *f = *state;
	struct error err;
	assert_int_equal(file_make_dirs(below(f, "mine"), 0755, NULL), 0);
	assert_int_equal(file_replace(below(f, "mine/thesis.txt"), slice_str("x"), 0644, NULL), 0);
	assert_int_equal(image_build(&f->options, below(f, "mine"), NULL, &err), -1);
	assert_non_null(strstr(err.text, "mine is neither empty nor an image of llama"));
	assert_int_equal(image_build(&f->options, below(f, "mine/thesis.txt"), NULL, &err), -1);
	assert_int_equal(err.code, ENOTDIR);
	assert_int_equal(image_build(&f->options, below(f, "none/image"), NULL, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(count(below(f, "mine")), 1);
	assert_int_equal(count(f->directory), 1);
}

static void image__no_room_leaves_things_as_they_were(void **state)
{
	struct fixture *f = *state;
	struct error err;
	struct rlimit limit, small = { 100 << 10, RLIM_INFINITY };
	struct image_report first = build(f, "image");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, SIG_IGN);
	small.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int result = image_build(&f->options, below(f, "image"), NULL, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(result, -1);
	assert_int_equal(err.code, EFBIG);
	assert_int_equal(count(f->directory), 1);
	assert_int_equal(access(oci_blob_path(below(f, "image"), &first.manifest, &f->arena), F_OK), 0);
}

static void image__a_program_that_cannot_go_in_is_named_with_the_reason(void **state)
{
	struct fixture *f = *state;
	struct error err;
	const char *script = below(f, "script");
	assert_int_equal(file_replace(script, slice_str("#!/bin/sh\n"), 0755, NULL), 0);
	static const char missing[] = "libcurl.so", other[] = "libqqqq.so";
	const struct {
		const char *runtime, *words;
	} rows[] = {
		{ below(f, "absent"), "absent: No such file" },
		{ script, "script is no 64-bit ELF file" },
		{ "/proc/self/exe", "was not linked for the image" },
		{ copy(f, TEST_PROGRAM, "needy", missing, other), "libqqqq.so" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->options.runtime = rows[i].runtime;
		assert_int_equal(image_build(&f->options, below(f, "image"), NULL, &err), -1);
		if (!strstr(err.text, rows[i].words))
			fail_msg("no '%s' in: %s", rows[i].words, err.text);
	}
	assert_int_not_equal(access(below(f, "image"), F_OK), 0);
	f->options.runtime = TEST_STATIC;
	f->options.ca_bundle = script;
	assert_int_equal(image_build(&f->options, below(f, "image"), NULL, &err), -1);
	assert_non_null(strstr(err.text, "script has no certificates in PEM"));
}

static void image__a_static_program_needs_neither_loader_nor_libraries(void **state)
{
	struct fixture *f = *state;
	struct image_report report = build(f, "image");
	assert_int_equal(report.n_libraries, 0);
	struct error err;
	assert_int_equal(image_lint(below(f, "image"), NULL, print_finding, NULL, &err), 0);
}

/* What is gathered for a program, and the program as it goes into the image. */
static void libraries__are_those_the_loader_finds_for_any_processor(void **state)
{
	(void)state;
	struct error err;
	struct libraries_program program = { .path = TEST_PROGRAM };
	struct libraries libraries;
	if (libraries_gather(&program, 1, IMAGE_LIBRARIES, IMAGE_LOADER, "/etc/ld.so.cache", &libraries, &err) < 0)
		fail_msg("%s", err.text);
	bool libc = false, libcurl = false, libgcc = false;
	for (size_t i = 0; i < libraries.n; i++) {
		const struct library *library = &libraries.items[i];
		struct elf elf;
		libc |= strcmp(library->name, "libc.so.6") == 0;
		libcurl |= strncmp(library->name, "libcurl", 7) == 0;
		libgcc |= strcmp(library->name, "libgcc_s.so.1") == 0;
		assert_null(strstr(library->path, "glibc-hwcaps"));
		assert_int_equal(elf_parse(buf_slice(&library->bytes), &libraries.arena, &elf, &err), 0);
		assert_null(elf.rpath);
		assert_null(elf.runpath);
		/* Everything it needs is there. */
		for (size_t k = 0; k < elf.n_needed; k++) {
			bool there = strncmp(elf.needed[k], "ld-linux", 8) == 0;
			for (size_t m = 0; m < libraries.n; m++)
				there |= strcmp(libraries.items[m].name, elf.needed[k]) == 0;
			assert_true(there);
		}
	}
	assert_true(libc && libcurl && libgcc);
	struct elf elf;
	assert_int_equal(elf_parse(buf_slice(&program.bytes), &libraries.arena, &elf, &err), 0);
	assert_string_equal(elf.interpreter, IMAGE_LOADER);
	assert_string_equal(elf.rpath, IMAGE_LIBRARIES);
	assert_int_equal(elf_set_interpreter(&program.bytes, &elf, "/a/longer/place/than/there/was", &err), -1);
	elf_blank_search_path(&program.bytes, &elf);
	assert_int_equal(elf_parse(buf_slice(&program.bytes), &libraries.arena, &elf, &err), 0);
	assert_null(elf.rpath);
	buf_deinit(&program.bytes);
	libraries_deinit(&libraries);
}

static void libraries__are_found_without_a_cache(void **state)
{
	struct fixture *f = *state;
	struct error err;
	const char *caches[] = { "/etc/ld.so.cache", below(f, "none") };
	struct libraries_program programs[2] = { { .path = TEST_PROGRAM }, { .path = TEST_PROGRAM } };
	struct libraries libraries[2];
	for (int i = 0; i < 2; i++)
		if (libraries_gather(&programs[i], 1, IMAGE_LIBRARIES, IMAGE_LOADER, caches[i], &libraries[i], &err) <
			0)
			fail_msg("%s", err.text);
	assert_int_equal(libraries[0].n, libraries[1].n);
	for (size_t i = 0; i < libraries[0].n; i++) {
		const struct library *with = &libraries[0].items[i], *without = &libraries[1].items[i];
		assert_string_equal(with->name, without->name);
		assert_true(slice_equal(buf_slice(&with->bytes), buf_slice(&without->bytes)));
	}
	for (int i = 0; i < 2; i++) {
		buf_deinit(&programs[i].bytes);
		libraries_deinit(&libraries[i]);
	}
}

static void libraries__of_a_cache_are_not_those_for_one_processor(void **state)
{
	(void)state;
	struct {
		char magic[20];
		uint32_t n, bytes, unused[5];
		struct {
			int32_t flags;
			uint32_t name, path, os;
			uint64_t hwcap;
		} entries[4];
		char strings[32];
	} cache = { .magic = "glibc-ld.so.cache1.", .n = 4, .strings = "liba.so\0/fast\0/other\0/right\0/far" };
	cache.magic[19] = '1';
	const uint32_t strings = offsetof(__typeof__(cache), strings);
	for (int i = 0; i < 4; i++) {
		static const uint32_t paths[] = { 8, 14, 21, 28 };
		cache.entries[i].flags = i == 1 ? 0x0a03 : 0x0303;
		cache.entries[i].name = strings;
		cache.entries[i].path = strings + paths[i];
		cache.entries[i].hwcap = i == 0 ? 1ull << 62 : 0;
	}
	struct slice bytes = slice_of(&cache, sizeof(cache));
	assert_string_equal(libraries_in_cache(bytes, 62, "liba.so"), "/right");
	assert_string_equal(libraries_in_cache(bytes, 183, "liba.so"), "/other");
	assert_null(libraries_in_cache(bytes, 62, "libb.so"));
	/* The string that the last entry names has no end in the file. */
	cache.entries[2].hwcap = 1;
	assert_null(libraries_in_cache(bytes, 62, "liba.so"));
	assert_null(libraries_in_cache(slice_of(&cache, 40), 62, "liba.so"));
	assert_null(libraries_in_cache((struct slice){ 0 }, 62, "liba.so"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(image__equal_programs_give_equal_bytes),
		TEST(image__names_of_the_machine_change_a_small_layer),
		TEST(image__is_what_lambda_takes),
		TEST(image__an_earlier_one_is_replaced_and_nothing_is_left_beside_it),
		TEST(image__a_relative_directory_is_below_the_current_one),
		TEST(image__what_is_not_ours_is_refused_and_untouched),
		TEST(image__no_room_leaves_things_as_they_were),
		TEST(image__a_program_that_cannot_go_in_is_named_with_the_reason),
		TEST(image__a_static_program_needs_neither_loader_nor_libraries),
		TEST(libraries__are_those_the_loader_finds_for_any_processor),
		TEST(libraries__are_found_without_a_cache),
		TEST(libraries__of_a_cache_are_not_those_for_one_processor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
