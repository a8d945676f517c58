#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/tar.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "store/digest.h"

static void make(struct buf *tar)
{
	tar_add(tar, &(struct tar_entry){ .kind = TAR_DIRECTORY, .path = "bin", .mode = 0755 }, (struct slice){ 0 });
	tar_add(tar, &(struct tar_entry){ .kind = TAR_FILE, .path = "bin/it", .mode = 0755 }, slice_str("hello\n"));
	tar_add(tar, &(struct tar_entry){ .kind = TAR_SYMLINK, .path = "usr", .target = "/tmp/r/usr", .mode = 0777 },
		(struct slice){ 0 });
	tar_add(tar, &(struct tar_entry){ .kind = TAR_FILE, .path = "none", .mode = 0644 }, (struct slice){ 0 });
	tar_end(tar);
}

static int print_entry(void *ctx, const struct tar_entry *entry, struct error *err)
{
	static const char kinds[] = {
		[TAR_FILE] = 'f', [TAR_DIRECTORY] = 'd', [TAR_SYMLINK] = 'l', [TAR_HARD_LINK] = 'h', [TAR_OTHER] = '?'
	};
	(void)err;
	buf_printf(ctx, "%c%04o %s%s%s %lld\n", kinds[entry->kind], (unsigned)entry->mode, entry->path,
		*entry->target ? "->" : "", entry->target, (long long)entry->size_bytes);
	return 0;
}

static void print_content(void *ctx, struct slice piece)
{
	buf_append_slice(ctx, piece);
}

/* In pieces of `piece` bytes. */
static int read_tar(struct slice tar, size_t piece, struct buf *ret, struct error *err)
{
	struct tar_reader *reader = tar_reader_new(print_entry, print_content, ret);
	int result = 0;
	for (size_t at = 0; at < tar.len && result == 0; at += piece) {
		size_t n = tar.len - at < piece ? tar.len - at : piece;
		/* A copy of its own, so that a byte beyond is noticed. */
		char *copy = malloc(n);
		memcpy(copy, tar.ptr + at, n);
		result = tar_reader_feed(reader, slice_of(copy, n), err);
		free(copy);
	}
	if (result == 0)
		result = tar_reader_end(reader, err);
	tar_reader_free(reader);
	return result;
}

static void tar__what_is_written_is_read_in_pieces_of_any_length(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf tar = { 0 };
	make(&tar);
	static const size_t pieces[] = { 1, 7, 511, 512, 513, 1 << 20 };
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		_cleanup_buf_ struct buf text = { 0 };
		struct error err;
		assert_int_equal(read_tar(buf_slice(&tar), pieces[i], &text, &err), 0);
		assert_string_equal(
			text.ptr, "d0755 bin/ 0\nf0755 bin/it 6\nhello\nl0777 usr->/tmp/r/usr 0\nf0644 none 0\n");
	}
}

/* Images are the same for everybody only as long as this holds. */
static void tar__the_bytes_are_these(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf tar = { 0 };
	char hex[DIGEST_HEX_CHARS + 1];
	make(&tar);
	struct digest digest = digest_of(buf_slice(&tar));
	digest_hex(&digest, hex);
	assert_string_equal(hex, "3991986b498e5277b168556ed7214f4b5817a6c4f2ae14a1e16f71c7246522ea");
}

static char directory[] = "/tmp/llama-test-tar-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	struct error err;
	return file_remove_tree(AT_FDCWD, directory, &err);
}

/* The output of a shell command that has the directory as $0. */
static void run(const char *script, struct buf *ret)
{
	char command[512];
	snprintf(command, sizeof(command), "cd %s && { %s; }", directory, script);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(file_read_fd(fileno(pipe), 1 << 20, ret, NULL), 0);
	assert_int_equal(pclose(pipe), 0);
}

static void tar__gnu_tar_reads_what_is_written(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf tar = { 0 }, text = { 0 };
	char path[128];
	make(&tar);
	snprintf(path, sizeof(path), "%s/ours.tar", directory);
	assert_int_equal(file_replace(path, buf_slice(&tar), 0644, NULL), 0);
	run("LC_ALL=C tar --utc --numeric-owner -tvf ours.tar 2>&1 && tar -xOf ours.tar bin/it", &text);
	assert_string_equal(text.ptr, "drwxr-xr-x 0/0               0 1970-01-01 00:00 bin/\n"
				      "-rwxr-xr-x 0/0               6 1970-01-01 00:00 bin/it\n"
				      "lrwxrwxrwx 0/0               0 1970-01-01 00:00 usr -> /tmp/r/usr\n"
				      "-rw-r--r-- 0/0               0 1970-01-01 00:00 none\n"
				      "hello\n");
}

static void tar__every_format_of_gnu_tar_is_read(void **state)
{
	(void)state;
	static const char *const formats[] = { "ustar", "pax", "gnu", "oldgnu", "v7" };
	_cleanup_buf_ struct buf made = { 0 };
	/* In the long formats names longer than any field. */
	run("mkdir -m 755 d && printf x >d/file && chmod 640 d/file && ln d/file d/hard && ln -s file d/link && "
	    "n=$(printf '%0150d' 7) && mkdir -m 755 l && printf long >l/$n && chmod 644 l/$n && ln -s $n l/s",
		&made);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		bool has_long = i >= 1 && i <= 3;
		_cleanup_buf_ struct buf tar = { 0 }, text = { 0 }, expected = { 0 };
		char script[200];
		struct error err;
		snprintf(script, sizeof(script), "tar --format=%s --sort=name -cf - d %s", formats[i],
			has_long ? "l" : "");
		run(script, &tar);
		assert_int_equal(read_tar(buf_slice(&tar), 100, &text, &err), 0);
		buf_append_str(
			&expected, "d0755 d/ 0\nf0640 d/file 1\nxh0640 d/hard->d/file 0\nl0777 d/link->file 0\n");
		if (has_long)
			buf_printf(&expected, "d0755 l/ 0\nf0644 l/%0150d 4\nlongl0777 l/s->%0150d 0\n", 7, 7);
		assert_string_equal(text.ptr, expected.ptr);
	}
}

static void tar__damage_is_told(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf tar = { 0 }, text = { 0 };
	struct error err;
	make(&tar);
	assert_int_equal(read_tar(slice_of(tar.ptr, 700), 4096, &text, &err), -1);
	assert_string_equal(err.text, "a damaged archive: it breaks off");
	assert_int_equal(read_tar(slice_of(tar.ptr, 3 * 512 - 1), 4096, &text, &err), -1);
	tar.ptr[3]++;
	assert_int_equal(read_tar(buf_slice(&tar), 4096, &text, &err), -1);
	assert_string_equal(err.text, "a damaged archive: a header");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tar__what_is_written_is_read_in_pieces_of_any_length),
		cmocka_unit_test(tar__the_bytes_are_these),
		cmocka_unit_test(tar__gnu_tar_reads_what_is_written),
		cmocka_unit_test(tar__every_format_of_gnu_tar_is_read),
		cmocka_unit_test(tar__damage_is_told),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
