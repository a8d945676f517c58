#include "aws/oci.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

#define TITLE_KEY     "org.opencontainers.image.title"
#define REFERENCE_KEY "org.opencontainers.image.ref.name" /* what tools call a tag */
/* Nobody's clock. */
#define CREATED "1970-01-01T00:00:00Z"

/* zlib's usual level: the best takes four times as long (4.8 s instead of 1.3 s) and saves half a percent. */
enum { GZIP_LEVEL = 6, GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8 };
enum { JSON_LIMIT = 4 << 20 };

const char *oci_blob_path(const char *dir, const struct digest *digest, struct arena *arena)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	return arena_printf(arena, "%s/blobs/sha256/%s", dir, hex);
}

/* As gzip(1) with neither name nor time. Aborts when memory is exhausted. */
static void gzip(struct slice bytes, struct buf *ret)
{
	z_stream z = { 0 };
	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	int outcome;
	z.next_in = (unsigned char *)bytes.ptr;
	do {
		/* Its counts are of 32 bits. */
		size_t left = bytes.len - (size_t)((const char *)z.next_in - bytes.ptr);
		z.avail_in = left > 1 << 30 ? 1 << 30 : (unsigned)left;
		z.avail_out = 1 << 20;
		z.next_out = (unsigned char *)buf_reserve(ret, z.avail_out);
		outcome = deflate(&z, z.avail_in == left ? Z_FINISH : Z_NO_FLUSH);
		ret->len += (1 << 20) - z.avail_out;
	} while (outcome == Z_OK || outcome == Z_BUF_ERROR);
	if (outcome != Z_STREAM_END)
		abort();
	deflateEnd(&z);
}

static int put_blob(const char *dir, struct slice bytes, struct digest *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	*ret = digest_of(bytes);
	return file_replace(oci_blob_path(dir, ret, &arena), bytes, 0644, err);
}

/* Sorted keys: the order in which they were set is not part of the image. */
static void print_json(const json_t *json, struct buf *ret)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		abort();
	buf_append_str(ret, text);
	free(text);
}

static int put_json(const char *dir, const json_t *json, struct digest *ret, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	print_json(json, &text);
	return put_blob(dir, buf_slice(&text), ret, err);
}

static json_t *digest_json(const struct digest *digest)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	return json_sprintf("sha256:%s", hex);
}

static json_t *descriptor(const char *type, const struct digest *digest)
{
	return json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest", digest_json(digest), "size",
		(json_int_t)digest->size_bytes);
}

static json_t *strings(const char *const *words)
{
	json_t *array = json_array();
	for (size_t i = 0; words[i]; i++)
		json_array_append_new(array, json_string(words[i]));
	return array;
}

int oci_write(const char *dir, const struct oci_image *image, struct oci_written *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (file_make_dirs(arena_printf(&arena, "%s/blobs/sha256", dir), 0755, err) < 0)
		return -1;
	json_auto_t *layers = json_array();
	json_auto_t *diff_ids = json_array();
	json_auto_t *history = json_array();
	struct oci_written written = { 0 };
	for (size_t i = 0; i < image->n_layers; i++) {
		const struct oci_layer *layer = &image->layers[i];
		_cleanup_buf_ struct buf packed = { 0 };
		gzip(layer->tar, &packed);
		struct digest digest, plain = digest_of(layer->tar);
		if (put_blob(dir, buf_slice(&packed), &digest, err) < 0)
			return -1;
		written.layer_bytes += digest.size_bytes;
		json_array_append_new(layers, descriptor(OCI_LAYER_TYPE, &digest));
		json_array_append_new(diff_ids, digest_json(&plain));
		json_array_append_new(
			history, json_pack("{s:s, s:s}", "created", CREATED, "created_by", layer->created_by));
	}
	struct digest digest;
	json_auto_t *config = json_pack("{s:s, s:s, s:s, s:{s:o, s:o, s:s}, s:{s:s, s:O}, s:O}", "created",
		CREATED, "architecture", image->architecture, "os", "linux", "config", "Entrypoint",
		strings(image->entrypoint), "Env", strings(image->env), "WorkingDir", "/", "rootfs", "type", "layers",
		"diff_ids", diff_ids, "history", history);
	if (put_json(dir, config, &digest, err) < 0)
		return -1;
	json_auto_t *manifest = json_pack("{s:i, s:s, s:o, s:O, s:{s:s}}", "schemaVersion", 2, "mediaType",
		OCI_MANIFEST_TYPE, "config", descriptor(OCI_CONFIG_TYPE, &digest), "layers", layers, "annotations",
		TITLE_KEY, image->title);
	if (put_json(dir, manifest, &written.manifest, err) < 0)
		return -1;
	json_t *entry = descriptor(OCI_MANIFEST_TYPE, &written.manifest);
	json_object_set_new(
		entry, "annotations", json_pack("{s:s, s:s}", TITLE_KEY, image->title, REFERENCE_KEY, "latest"));
	json_object_set_new(
		entry, "platform", json_pack("{s:s, s:s}", "architecture", image->architecture, "os", "linux"));
	json_auto_t *index = json_pack(
		"{s:i, s:s, s:[o]}", "schemaVersion", 2, "mediaType", OCI_INDEX_TYPE, "manifests", entry);
	_cleanup_buf_ struct buf text = { 0 };
	print_json(index, &text);
	if (file_replace(arena_printf(&arena, "%s/index.json", dir), buf_slice(&text), 0644, err) < 0 ||
		file_replace(arena_printf(&arena, "%s/oci-layout", dir),
			slice_str("{\"imageLayoutVersion\":\"1.0.0\"}"), 0644, err) < 0)
		return -1;
	if (ret)
		*ret = written;
	return 0;
}

bool oci_has_title(const char *dir, const char *title)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf text = { 0 };
	if (file_read(arena_printf(&arena, "%s/index.json", dir), JSON_LIMIT, &text, NULL) < 0)
		return false;
	json_auto_t *index = json_loadb(buf_str(&text), text.len, 0, NULL);
	const json_t *manifests = json_object_get(index, "manifests");
	const json_t *annotations = json_object_get(json_array_get(manifests, 0), "annotations");
	const char *has = json_string_value(json_object_get(annotations, TITLE_KEY));
	return json_array_size(manifests) == 1 && has && strcmp(has, title) == 0;
}

/* Reading. */

enum { BLOBS_MAX = 1024 };

/* "sha256:…" and a size. */
static int read_descriptor(const json_t *descriptor, const char *what, struct digest *ret, struct error *err)
{
	const char *digest = json_string_value(json_object_get(descriptor, "digest"));
	const json_t *size = json_object_get(descriptor, "size");
	if (!digest || strncmp(digest, "sha256:", 7) != 0 || digest_parse_hex(slice_str(digest + 7), ret) < 0 || !json_is_integer(size) ||
		json_integer_value(size) < 0)
		return error_say(err, EBADMSG, "%s is not named by a SHA-256 and a size", what);
	ret->size_bytes = json_integer_value(size);
	return 0;
}

static int take_type(const json_t *type, struct oci_contents *ret, struct error *err)
{
	const char *name = json_string_value(type);
	if (!name)
		return 0;
	if (strcmp(name, OCI_MANIFEST_TYPE) == 0)
		ret->manifest_type = OCI_MANIFEST_TYPE;
	else if (strcmp(name, OCI_DOCKER_TYPE) == 0)
		ret->manifest_type = OCI_DOCKER_TYPE;
	else
		return error_say(err, EBADMSG, "it has a %.100s, and Lambda takes one image of one platform", name);
	return 0;
}

int oci_read_index(struct slice json, struct arena *arena, struct oci_contents *ret, struct error *err)
{
	json_auto_t *index = json_loadb(json.len ? json.ptr : "", json.len, 0, NULL);
	const json_t *manifests = json_object_get(index, "manifests"), *entry = json_array_get(manifests, 0);
	if (json_array_size(manifests) != 1)
		return error_say(err, EBADMSG, "it has %zu images, and not one", json_array_size(manifests));
	ret->manifest_type = OCI_MANIFEST_TYPE;
	return take_type(json_object_get(entry, "mediaType"), ret, err) < 0 ? -1 : read_descriptor(entry, "its manifest", &ret->manifest, err);
}

static int add_blob(const json_t *descriptor, const char *what, struct oci_contents *ret, struct error *err)
{
	struct digest digest;
	if (read_descriptor(descriptor, what, &digest, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->n_blobs; i++)
		if (digest_equal(&ret->blobs[i], &digest))
			return 0;
	ret->blobs[ret->n_blobs++] = digest;
	return 0;
}

int oci_read_manifest(struct slice json, struct arena *arena, struct oci_contents *ret, struct error *err)
{
	json_auto_t *manifest = json_loadb(json.len ? json.ptr : "", json.len, 0, NULL);
	const json_t *layers = json_object_get(manifest, "layers");
	size_t n = json_array_size(layers);
	if (!json_is_array(layers) || n >= BLOBS_MAX)
		return error_say(err, EBADMSG, "its manifest has no list of layers, or too long a one");
	if (take_type(json_object_get(manifest, "mediaType"), ret, err) < 0)
		return -1;
	ret->blobs = arena_array(arena, struct digest, n + 1);
	ret->n_blobs = 0;
	if (add_blob(json_object_get(manifest, "config"), "its configuration", ret, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_blob(json_array_get(layers, i), "a layer", ret, err) < 0)
			return -1;
	return 0;
}

static int check_blob(const char *dir, const struct digest *digest, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *path = oci_blob_path(dir, digest, &arena);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct digest real;
	if (fd < 0)
		return error_set(err, errno, "%s", path);
	if (digest_fd(fd, &real, err) < 0)
		return error_wrap(err, "%s", path);
	return digest_equal(&real, digest) ? 0 : error_say(err, EBADMSG, "%s has other bytes than it is named by", path);
}

/* A blob of JSON, whose digest has been looked at. */
static int read_blob(const char *dir, const struct digest *digest, struct arena *arena, struct buf *ret, struct error *err)
{
	return check_blob(dir, digest, err) < 0 ? -1 : file_read(oci_blob_path(dir, digest, arena), JSON_LIMIT, ret, err);
}

static int read_contents(const char *dir, struct arena *arena, struct oci_contents *ret, struct error *err)
{
	_cleanup_buf_ struct buf index = { 0 }, manifest = { 0 }, text = { 0 };
	if (file_read(arena_printf(arena, "%s/index.json", dir), JSON_LIMIT, &index, err) < 0 || oci_read_index(buf_slice(&index), arena, ret, err) < 0 ||
		read_blob(dir, &ret->manifest, arena, &manifest, err) < 0 || oci_read_manifest(buf_slice(&manifest), arena, ret, err) < 0 ||
		read_blob(dir, &ret->blobs[0], arena, &text, err) < 0)
		return -1;
	for (size_t i = 1; i < ret->n_blobs; i++)
		if (check_blob(dir, &ret->blobs[i], err) < 0)
			return -1;
	json_auto_t *config = json_loadb(buf_str(&text), text.len, 0, NULL);
	const char *architecture = json_string_value(json_object_get(config, "architecture"));
	ret->manifest_bytes = slice_of(arena_strndup(arena, buf_str(&manifest), manifest.len), manifest.len);
	ret->architecture = architecture ? arena_strdup(arena, architecture) : "";
	return 0;
}

int oci_read(const char *dir, struct arena *arena, struct oci_contents *ret, struct error *err)
{
	return read_contents(dir, arena, ret, err) < 0 ? error_wrap(err, "the image in %s can't be used", dir) : 0;
}
