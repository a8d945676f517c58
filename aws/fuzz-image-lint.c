/* A foreign layout: manifest, configuration and a layer's archive, with a NUL between them. Whatever they say is told in one line each. */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "aws/image_lint.h"
#include "base/buf.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/llama-fuzz-lint-XXXXXX";

static void put(const char *name, struct slice bytes)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	/* Cut afterwards: a file that is emptied first ext4 writes to the disk when it is closed. */
	if (fd < 0 || file_write_fd(fd, bytes, NULL) < 0 || ftruncate(fd, (off_t)bytes.len) < 0)
		abort();
	close(fd);
}

static void remove_dir(void)
{
	(void)file_remove_tree(AT_FDCWD, dir, NULL);
}

#define BLOB(digit) "blobs/sha256/" digit digit digit digit digit digit digit digit
#define EIGHT(c)    c c c c c c c c

static void set_up(void)
{
	char path[128];
	if (!mkdtemp(dir))
		abort();
	atexit(remove_dir);
	snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
	if (file_make_dirs(path, 0700, NULL) < 0)
		abort();
	put("oci-layout", slice_str("{\"imageLayoutVersion\":\"1.0.0\"}"));
	put("index.json",
		slice_str("{\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"size\":1,"
			  "\"digest\":\"sha256:" EIGHT("00000000") "\"}]}"));
}

static void check(void *ctx, enum image_rule rule, const char *text)
{
	(void)ctx;
	assert(rule < IMAGE_RULE_COUNT && *text && !strpbrk(text, "\n\033"));
}

static struct slice part(const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, '\0', *size);
	struct slice found = slice_of(*data, end ? (size_t)(end - *data) : *size);
	*data += found.len + (end != NULL);
	*size -= found.len + (end != NULL);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	if (!ready)
		set_up();
	ready = true;
	if (size == 0)
		return 0;
	put(BLOB("00000000"), part(&data, &size));
	if (size > 0)
		put(BLOB("11111111"), part(&data, &size));
	_cleanup_buf_ struct buf packed = { 0 };
	z_stream z = { .next_in = (unsigned char *)data, .avail_in = (unsigned)size };
	if (deflateInit2(&z, 0, Z_DEFLATED, 15 + 16, 8, 0) != Z_OK)
		abort();
	size_t most = deflateBound(&z, size);
	z.next_out = (unsigned char *)buf_reserve(&packed, most);
	z.avail_out = (unsigned)most;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	packed.len = most - z.avail_out;
	deflateEnd(&z);
	put(BLOB("22222222"), buf_slice(&packed));
	struct error err;
	if (image_lint(dir, NULL, check, NULL, &err) < 0)
		abort();
	return 0;
}
