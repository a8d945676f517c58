/* Any bytes as the two layers of an image: unpacked or refused, and nothing beside the root is touched. The first byte
 * says where the second layer begins, in 256ths of the rest; both are the tar, compressed here. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "store/digest.h"
#include "tests/cloud/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/fuzz-image-layers-XXXXXX";

static void remove_directory(void)
{
	file_remove_tree(AT_FDCWD, directory, NULL);
}

static const char *path_of(const char *name, struct buf *ret)
{
	buf_reset(ret);
	buf_printf(ret, "%s/%s", directory, name);
	return ret->ptr;
}

/* Into a blob; its digest and size go into `descriptor`. */
static void write_layer(const uint8_t *data, size_t size, struct buf *descriptor)
{
	_cleanup_buf_ struct buf packed = { 0 }, path = { 0 };
	char hex[DIGEST_HEX_CHARS + 1];
	struct error err;
	z_stream z = { .next_in = (uint8_t *)data, .avail_in = (uInt)size };
	assert(deflateInit2(&z, 0, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	size_t bound = deflateBound(&z, size);
	z.next_out = (uint8_t *)buf_reserve(&packed, bound);
	z.avail_out = (uInt)bound;
	assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	packed.len = z.total_out;
	deflateEnd(&z);
	struct digest digest = digest_of(buf_slice(&packed));
	digest_hex(&digest, hex);
	buf_printf(&path, "%s/layout/blobs/sha256/%s", directory, hex);
	assert(file_replace(path.ptr, buf_slice(&packed), 0600, &err) == 0);
	buf_printf(descriptor,
		"{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar+gzip\", \"digest\": \"sha256:%s\", \"size\": "
		"%zu}",
		hex, packed.len);
}

static void begin(void)
{
	_cleanup_buf_ struct buf path = { 0 };
	struct error err;
	assert(mkdtemp(directory));
	atexit(remove_directory);
	assert(file_replace(path_of("beside", &path), slice_str("untouched"), 0600, &err) == 0);
}

static void assert_untouched(void)
{
	_cleanup_buf_ struct buf path = { 0 }, beside = { 0 };
	struct error err;
	struct stat st;
	assert(file_read(path_of("beside", &path), 100, &beside, &err) == 0 &&
		slice_equal_str(buf_slice(&beside), "untouched"));
	assert(stat(path.ptr, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_nlink == 1);
	assert(stat(directory, &st) == 0 && (st.st_mode & 0777) == 0700 && st.st_nlink == 3); /* the layout */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf layers = { 0 }, path = { 0 };
	struct error err;
	if (directory[sizeof(directory) - 2] == 'X')
		begin();
	if (size == 0)
		return 0;
	size_t first = (size - 1) * data[0] / 256;
	assert(file_make_dirs(path_of("layout/blobs/sha256", &path), 0700, &err) == 0);
	buf_append_str(&layers, "{\"layers\": [");
	write_layer(data + 1, first, &layers);
	buf_append_str(&layers, ", ");
	write_layer(data + 1 + first, size - 1 - first, &layers);
	buf_append_str(&layers, "]}");
	path_of("layout", &path);
	struct image image = { .layout = path.ptr, .manifest = json_loads(layers.ptr, 0, NULL) };
	assert(image.manifest);
	_cleanup_buf_ struct buf root = { 0 };
	int done = image_unpack(&image, path_of("root", &root), &err);
	assert(done == 0 || done == -1 || done == IMAGE_INVALID);
	json_decref(image.manifest);
	struct stat st;
	assert((stat(root.ptr, &st) == 0) == (done == 0));
	assert(done != 0 || file_remove_tree(AT_FDCWD, root.ptr, &err) == 0);
	assert_untouched();
	assert(file_remove_tree(AT_FDCWD, path.ptr, &err) == 0);
	return 0;
}
