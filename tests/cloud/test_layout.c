#include "tests/cloud/test_layout.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "store/digest.h"

/* These are tests: what fails here is wrong with the machine. */
#define must(condition) ((condition) ? (void)0 : (perror(#condition), abort()))

static void write_entry(struct archive *archive, const struct test_entry *e)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, e->path);
	archive_entry_set_mode(entry, e->mode);
	archive_entry_set_mtime(entry, 1000000000, 0);
	if (e->hard) {
		archive_entry_set_hardlink(entry, e->contents);
	} else if (S_ISLNK(e->mode)) {
		archive_entry_set_symlink(entry, e->contents);
	} else if (S_ISREG(e->mode)) {
		if (e->copy_of)
			must(file_read(e->copy_of, 64 << 20, &bytes, NULL) == 0);
		else
			buf_append_str(&bytes, e->contents ? e->contents : "");
		archive_entry_set_size(entry, (int64_t)bytes.len);
	}
	must(archive_write_header(archive, entry) == ARCHIVE_OK);
	must(bytes.len == 0 || archive_write_data(archive, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
	archive_entry_free(entry);
}

static json_t *add_blob(const char *path, const char *media_type, struct slice bytes)
{
	char hex[DIGEST_HEX_CHARS + 1];
	struct digest digest = digest_of(bytes);
	digest_hex(&digest, hex);
	_cleanup_buf_ struct buf name = { 0 };
	buf_printf(&name, "%s/blobs/sha256/%s", path, hex);
	must(file_replace(buf_str(&name), bytes, 0644, NULL) == 0);
	buf_reset(&name);
	buf_printf(&name, "sha256:%s", hex);
	return json_pack(
		"{s:s, s:s, s:I}", "mediaType", media_type, "digest", buf_str(&name), "size", (json_int_t)bytes.len);
}

static json_t *add_json(const char *path, const char *media_type, json_t *value)
{
	char *text = json_dumps(value, 0);
	json_t *descriptor = add_blob(path, media_type, slice_str(text));
	free(text);
	json_decref(value);
	return descriptor;
}

static json_t *add_layer(const char *path, const struct test_layer *layer)
{
	_cleanup_buf_ struct buf name = { 0 }, bytes = { 0 };
	buf_printf(&name, "%s/layer", path);
	struct archive *archive = archive_write_new();
	archive_write_set_format_pax_restricted(archive);
	if (!layer->plain)
		archive_write_add_filter_gzip(archive);
	must(archive_write_open_filename(archive, buf_str(&name)) == ARCHIVE_OK);
	for (const struct test_entry *e = layer->entries; e->path; e++)
		write_entry(archive, e);
	must(archive_write_close(archive) == ARCHIVE_OK);
	archive_write_free(archive);
	must(file_read(buf_str(&name), 64 << 20, &bytes, NULL) == 0 && unlink(buf_str(&name)) == 0);
	return add_blob(path, layer->media_type ? layer->media_type : "application/vnd.oci.image.layer.v1.tar+gzip",
		buf_slice(&bytes));
}

void test_layout_write(const char *path, const struct test_layout *layout)
{
	static const char manifest_type[] = "application/vnd.oci.image.manifest.v1+json",
			  config_type[] = "application/vnd.oci.image.config.v1+json";
	_cleanup_buf_ struct buf name = { 0 };
	buf_printf(&name, "%s/blobs/sha256", path);
	must(file_make_dirs(buf_str(&name), 0755, NULL) == 0);
	json_t *layers = json_array();
	for (size_t i = 0; i < 3 && layout->layers[i].entries; i++)
		json_array_append_new(layers, add_layer(path, &layout->layers[i]));
	json_t *config = json_loads(layout->config ? layout->config : "{\"Entrypoint\": [\"/bin/entry\"]}", 0, NULL);
	must(config);
	json_t *manifest = add_json(path, layout->manifest_type ? layout->manifest_type : manifest_type,
		json_pack("{s:i, s:o, s:o}", "schemaVersion", 2, "config",
			add_json(path, config_type, json_pack("{s:o}", "config", config)), "layers", layers));
	if (layout->tag)
		json_object_set_new(
			manifest, "annotations", json_pack("{s:s}", "org.opencontainers.image.ref.name", layout->tag));
	buf_reset(&name);
	buf_printf(&name, "%s/index.json", path);
	json_t *index = json_pack("{s:i, s:[o]}", "schemaVersion", 2, "manifests", manifest);
	must(json_dump_file(index, buf_str(&name), 0) == 0);
	json_decref(index);
}

const struct test_entry *test_layout_program(const char *program)
{
	static struct test_entry entries[] = {
		{ "bin", S_IFDIR | 0755, NULL, NULL, false },
		{ "bin/entry", S_IFREG | 0755, NULL, NULL, false },
		{ "bin/link", S_IFLNK | 0777, "entry", NULL, false },
		{ NULL, 0, NULL, NULL, false },
	};
	entries[1].copy_of = program;
	return entries;
}
