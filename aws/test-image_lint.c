#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "aws/image_lint.h"
#include "aws/oci.h"
#include "aws/tar.h"
#include "base/cleanup.h"
#include "base/file.h"

enum { LAYERS = 2 };

/* A layout in pieces, which a test changes before it is written. */
struct layout {
	char dir[64];
	struct buf tars[LAYERS]; /* without their end */
	struct buf packed[LAYERS];
	json_t *layers[LAYERS]; /* descriptors */
	json_t *config, *manifest, *index;
	const char *config_type, *version;
};

static void add(struct buf *tar, enum tar_kind kind, const char *path, mode_t mode, const char *content)
{
	struct tar_entry entry = {
		.kind = kind, .path = path, .mode = mode, .target = kind == TAR_SYMLINK ? content : ""
	};
	tar_add(tar, &entry, kind == TAR_FILE ? slice_str(content) : (struct slice){ 0 });
}

static void put(const char *dir, const char *name, struct slice bytes)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_int_equal(file_replace(arena_printf(&arena, "%s/%s", dir, name), bytes, 0644, NULL), 0);
}

static struct digest put_blob(const char *dir, struct slice bytes)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct digest digest = digest_of(bytes);
	assert_int_equal(file_replace(oci_blob_path(dir, &digest, &arena), bytes, 0644, NULL), 0);
	return digest;
}

static json_t *name_of(struct slice bytes)
{
	char hex[DIGEST_HEX_CHARS + 1];
	struct digest digest = digest_of(bytes);
	digest_hex(&digest, hex);
	return json_sprintf("sha256:%s", hex);
}

static json_t *descriptor(const char *type, struct slice bytes)
{
	return json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest", name_of(bytes), "size", (json_int_t)bytes.len);
}

static void pack(struct slice bytes, struct buf *ret)
{
	z_stream z = { .next_in = (unsigned char *)bytes.ptr, .avail_in = (unsigned)bytes.len };
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
	size_t most = deflateBound(&z, bytes.len);
	z.next_out = (unsigned char *)buf_reserve(ret, most);
	z.avail_out = (unsigned)most;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	ret->len += most - z.avail_out;
	deflateEnd(&z);
}

/* A sound layout's first part: what is in its layers. */
static void layout_init(struct layout *l)
{
	*l = (struct layout){ .dir = "/tmp/llama-test-lint-XXXXXX",
		.config_type = OCI_CONFIG_TYPE,
		.version = "{\"imageLayoutVersion\":\"1.0.0\"}" };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_non_null(mkdtemp(l->dir));
	assert_int_equal(file_make_dirs(arena_printf(&arena, "%s/blobs/sha256", l->dir), 0755, NULL), 0);
	add(&l->tars[0], TAR_DIRECTORY, "app", 0755, "");
	add(&l->tars[0], TAR_FILE, "app/run", 0755, "#!/bin/sh, or so\n");
	add(&l->tars[1], TAR_DIRECTORY, "tmp", 01777, "");
	add(&l->tars[1], TAR_SYMLINK, "usr", 0777, "/tmp/r/usr");
}

/* Its second: what is said about them. */
static void layout_pack(struct layout *l)
{
	json_t *ids = json_array(), *layers = json_array();
	for (size_t i = 0; i < LAYERS; i++) {
		tar_end(&l->tars[i]);
		pack(buf_slice(&l->tars[i]), &l->packed[i]);
		put_blob(l->dir, buf_slice(&l->packed[i]));
		l->layers[i] = descriptor(OCI_LAYER_TYPE, buf_slice(&l->packed[i]));
		json_array_append(layers, l->layers[i]);
		json_array_append_new(ids, name_of(buf_slice(&l->tars[i])));
	}
	l->config = json_pack("{s:s, s:s, s:{s:[s]}, s:{s:s, s:o}, s:[{s:s}, {s:s, s:b}, {s:s}]}", "architecture",
		"amd64", "os", "linux", "config", "Entrypoint", "/app/run", "rootfs", "type", "layers", "diff_ids", ids,
		"history", "created_by", "one", "created_by", "nothing", "empty_layer", true, "created_by", "two");
	l->manifest = json_pack(
		"{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", OCI_MANIFEST_TYPE, "layers", layers);
}

static struct slice print(const json_t *json, struct buf *ret)
{
	char *text = json_dumps(json, JSON_SORT_KEYS);
	assert_non_null(text);
	buf_reset(ret);
	buf_append_str(ret, text);
	free(text);
	return buf_slice(ret);
}

/* And the names of that. */
static void layout_name(struct layout *l)
{
	_cleanup_buf_ struct buf text = { 0 };
	put_blob(l->dir, print(l->config, &text));
	if (!json_object_get(l->manifest, "config"))
		json_object_set_new(l->manifest, "config", descriptor(l->config_type, buf_slice(&text)));
	put_blob(l->dir, print(l->manifest, &text));
	l->index = json_pack(
		"{s:i, s:[o]}", "schemaVersion", 2, "manifests", descriptor(OCI_MANIFEST_TYPE, buf_slice(&text)));
}

static void layout_write(struct layout *l)
{
	_cleanup_buf_ struct buf text = { 0 };
	put(l->dir, "index.json", print(l->index, &text));
	put(l->dir, "oci-layout", slice_str(l->version));
}

static void layout_deinit(struct layout *l)
{
	for (size_t i = 0; i < LAYERS; i++) {
		buf_deinit(&l->tars[i]);
		buf_deinit(&l->packed[i]);
		json_decref(l->layers[i]);
	}
	json_decref(l->config);
	json_decref(l->manifest);
	json_decref(l->index);
	struct error err;
	assert_int_equal(file_remove_tree(AT_FDCWD, l->dir, &err), 0);
}

static void note(void *ctx, enum image_rule rule, const char *text)
{
	struct buf *found = ctx;
	assert_true(*text && !strpbrk(text, "\n\033"));
	buf_printf(found, "%s: %s\n", image_rule_names[rule], text);
}

static const struct image_lint_limits small = { .image_bytes = 100 << 10, .layer_bytes = 50 << 10 };

static void lint(const struct layout *l, struct buf *found)
{
	struct error err;
	buf_reset(found);
	if (image_lint(l->dir, &small, note, found, &err) < 0)
		fail_msg("%s", err.text);
}

static json_t *image_of(struct layout *l)
{
	return json_array_get(json_object_get(l->index, "manifests"), 0);
}

/* Each stage of the layout, changed so that one rule is broken. */
static void break_tars(struct layout *l, enum image_rule rule)
{
	struct buf *tar = &l->tars[1];
	Elf64_Ehdr header = { .e_ident = ELFMAG, .e_machine = EM_AARCH64 };
	switch ((int)rule) {
	case IMAGE_RULE_ARCHIVE:
		add(tar, TAR_FILE, "app/../../out", 0644, "");
		break;
	case IMAGE_RULE_PARENTS:
		add(tar, TAR_FILE, "etc/x", 0644, "");
		break;
	case IMAGE_RULE_READABLE:
		add(tar, TAR_FILE, "secret", 0640, "");
		break;
	case IMAGE_RULE_TMP:
		add(tar, TAR_FILE, "tmp/x", 0644, "");
		break;
	case IMAGE_RULE_ENTRY_POINT_FILE:
		add(tar, TAR_DIRECTORY, "app", 0755, "");
		add(tar, TAR_SYMLINK, "app/run", 0777, "/usr/bin/run");
		break;
	case IMAGE_RULE_ENTRY_POINT_MODE:
		add(tar, TAR_DIRECTORY, "app", 0755, "");
		add(tar, TAR_FILE, "app/run", 0754, "");
		break;
	case IMAGE_RULE_PLATFORM:
		add(tar, TAR_DIRECTORY, "app", 0755, "");
		tar_add(tar, &(struct tar_entry){ .kind = TAR_FILE, .path = "app/run", .mode = 0755 },
			slice_of(&header, sizeof(header)));
		break;
	case IMAGE_RULE_IMAGE_SIZE: {
		static char zeros[200 << 10];
		tar_add(tar, &(struct tar_entry){ .kind = TAR_FILE, .path = "large", .mode = 0644 },
			slice_of(zeros, sizeof(zeros)));
		break;
	}
	case IMAGE_RULE_LAYER_SIZE: {
		static char noise[60 << 10];
		srand48(1);
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)lrand48();
		tar_add(tar, &(struct tar_entry){ .kind = TAR_FILE, .path = "noise", .mode = 0644 },
			slice_of(noise, sizeof(noise)));
		break;
	}
	}
}

static void break_packed(struct layout *l, enum image_rule rule)
{
	json_t *run = json_object_get(l->config, "config"), *layer = l->layers[1];
	struct slice plain = buf_slice(&l->tars[1]);
	switch ((int)rule) {
	case IMAGE_RULE_ATTESTATION:
		json_object_set_new(l->manifest, "artifactType", json_string("application/vnd.in-toto+json"));
		break;
	case IMAGE_RULE_INDEX:
		json_object_set_new(l->manifest, "mediaType", json_string(OCI_INDEX_TYPE));
		break;
	case IMAGE_RULE_MANIFEST_TYPE:
		json_object_set_new(
			l->manifest, "mediaType", json_string("application/vnd.docker.distribution.manifest.v1+json"));
		break;
	case IMAGE_RULE_CONFIG_TYPE:
		l->config_type = "application/vnd.oci.empty.v1+json";
		break;
	case IMAGE_RULE_LAYER_TYPE:
		json_object_set_new(layer, "mediaType", json_string("application/vnd.oci.image.layer.v1.tar+zstd"));
		break;
	case IMAGE_RULE_GZIP: /* declared so, but plain */
		put_blob(l->dir, plain);
		json_object_set_new(layer, "digest", name_of(plain));
		json_object_set_new(layer, "size", json_integer((json_int_t)plain.len));
		break;
	case IMAGE_RULE_DIFF_IDS:
		json_array_set_new(json_object_get(json_object_get(l->config, "rootfs"), "diff_ids"), 1,
			name_of(slice_str("something else")));
		break;
	case IMAGE_RULE_HISTORY:
		json_array_remove(json_object_get(l->config, "history"), 2);
		break;
	case IMAGE_RULE_ENTRY_POINT:
		json_object_del(run, "Entrypoint");
		break;
	case IMAGE_RULE_ENTRY_POINT_PATH:
		json_object_set_new(run, "Entrypoint", json_pack("[s]", "run"));
		break;
	}
}

static void break_names(struct layout *l, enum image_rule rule)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf other = { 0 };
	struct digest digest;
	switch ((int)rule) {
	case IMAGE_RULE_LAYOUT:
		l->version = "{\"imageLayoutVersion\":\"2.0.0\"}";
		break;
	case IMAGE_RULE_ONE_IMAGE:
		json_array_append(json_object_get(l->index, "manifests"), image_of(l));
		break;
	case IMAGE_RULE_DIGEST: /* the same archive, compressed anew */
		pack(slice_of(l->tars[0].ptr, 512), &other);
		pack(slice_of(l->tars[0].ptr + 512, l->tars[0].len - 512), &other);
		digest = digest_of(buf_slice(&l->packed[0]));
		assert_int_equal(
			file_replace(oci_blob_path(l->dir, &digest, &arena), buf_slice(&other), 0644, NULL), 0);
		break;
	}
}

static void image_lint__a_sound_layout_breaks_no_rule(void **state)
{
	(void)state;
	struct layout l;
	_cleanup_buf_ struct buf found = { 0 };
	layout_init(&l);
	layout_pack(&l);
	layout_name(&l);
	layout_write(&l);
	lint(&l, &found);
	assert_string_equal(buf_str(&found), "");
	layout_deinit(&l);
}

static void image_lint__every_rule_has_a_layout_that_breaks_only_it(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf found = { 0 };
	for (int rule = 0; rule < IMAGE_RULE_COUNT; rule++) {
		struct layout l;
		layout_init(&l);
		break_tars(&l, rule);
		layout_pack(&l);
		break_packed(&l, rule);
		layout_name(&l);
		break_names(&l, rule);
		layout_write(&l);
		lint(&l, &found);
		size_t n = strlen(image_rule_names[rule]);
		const char *end = found.len ? strchr(found.ptr, '\n') : NULL;
		if (!end || end[1] || strncmp(found.ptr, image_rule_names[rule], n) != 0 || found.ptr[n] != ':')
			fail_msg("%s: found is: %s", image_rule_names[rule], buf_str(&found));
		layout_deinit(&l);
	}
}

static void image_lint__dockers_own_layouts_pass(void **state)
{
	(void)state;
	struct layout l;
	_cleanup_buf_ struct buf found = { 0 };
	layout_init(&l);
	/* A whiteout, an opaque directory, a hard link to run; "./" before names comes with other archives. */
	add(&l.tars[1], TAR_DIRECTORY, "./app/", 0755, "");
	add(&l.tars[1], TAR_FILE, "./app/.wh..wh..opq", 0600, "");
	add(&l.tars[1], TAR_FILE, "./app/run", 0755, "new");
	add(&l.tars[1], TAR_FILE, ".wh.gone", 0, "");
	l.config_type = "application/vnd.docker.container.image.v1+json";
	layout_pack(&l);
	json_object_set_new(
		l.manifest, "mediaType", json_string("application/vnd.docker.distribution.manifest.v2+json"));
	for (size_t i = 0; i < LAYERS; i++)
		json_object_set_new(
			l.layers[i], "mediaType", json_string("application/vnd.docker.image.rootfs.diff.tar.gzip"));
	json_t *run = json_object_get(l.config, "config");
	json_object_set(run, "Cmd", json_object_get(run, "Entrypoint"));
	json_object_set_new(run, "Entrypoint", json_null());
	layout_name(&l);
	layout_write(&l);
	lint(&l, &found);
	assert_string_equal(buf_str(&found), "");
	layout_deinit(&l);
}

static void image_lint__what_a_later_layer_takes_away_is_not_there(void **state)
{
	(void)state;
	static const char *const gone[] = { "app/.wh.run", ".wh.app", "app/.wh..wh..opq" };
	_cleanup_buf_ struct buf found = { 0 };
	for (size_t i = 0; i < 4; i++) {
		struct layout l;
		layout_init(&l);
		if (i == 3) {
			add(&l.tars[1], TAR_SYMLINK, "app", 0777, "usr");
		} else {
			add(&l.tars[1], TAR_DIRECTORY, "app", 0755, "");
			add(&l.tars[1], TAR_FILE, gone[i], 0644, "");
		}
		layout_pack(&l);
		layout_name(&l);
		layout_write(&l);
		lint(&l, &found);
		assert_string_equal(
			buf_str(&found), i == 3 ? "entry-point-file: /app/run: /app is a symlink\n"
						: "entry-point-file: /app/run: /app/run is not in the image\n");
		layout_deinit(&l);
	}
}

static void image_lint__many_breaches_of_a_rule_are_counted(void **state)
{
	(void)state;
	struct layout l;
	_cleanup_buf_ struct buf found = { 0 };
	layout_init(&l);
	for (int i = 0; i < 25; i++) {
		char name[16];
		snprintf(name, sizeof(name), "s\necret%d", i);
		add(&l.tars[0], TAR_FILE, name, 0600, "");
	}
	layout_pack(&l);
	layout_name(&l);
	layout_write(&l);
	lint(&l, &found);
	assert_non_null(strstr(found.ptr, "readable: layer 1: file /s?ecret0 has mode 0600\n"));
	assert_non_null(strstr(found.ptr, "readable: layer 1: file /s?ecret9 "));
	assert_null(strstr(found.ptr, "ecret10"));
	assert_non_null(strstr(found.ptr, "readable: … and 15 more\n"));
	layout_deinit(&l);
}

/* What buildx writes: an index of an image and its attestation; and what Docker makes of several platforms. */
static void image_lint__attestations_and_platforms_are_told_apart(void **state)
{
	(void)state;
	struct layout l;
	_cleanup_buf_ struct buf found = { 0 };
	layout_init(&l);
	layout_pack(&l);
	layout_name(&l);
	json_array_append_new(json_object_get(l.index, "manifests"),
		json_pack("{s:s, s:s, s:i, s:{s:s}, s:{s:s, s:s}}", "mediaType", OCI_MANIFEST_TYPE, "digest",
			"sha256:x", "size", 1, "annotations", "vnd.docker.reference.type", "attestation-manifest",
			"platform", "architecture", "unknown", "os", "unknown"));
	layout_write(&l);
	lint(&l, &found);
	assert_string_equal(buf_str(&found), "attestation: index.json lists one: sha256:x\n");
	json_object_set_new(
		image_of(&l), "mediaType", json_string("application/vnd.docker.distribution.manifest.list.v2+json"));
	json_array_remove(json_object_get(l.index, "manifests"), 1);
	layout_write(&l);
	lint(&l, &found);
	assert_string_equal(buf_str(&found), "index: index.json leads to another index\n");
	layout_deinit(&l);
}

static void image_lint__what_is_no_layout_is_said_to_be_none(void **state)
{
	(void)state;
	struct layout l;
	struct error err;
	_cleanup_buf_ struct buf found = { 0 };
	layout_init(&l);
	lint(&l, &found);
	assert_non_null(strstr(buf_str(&found), "layout: "));
	assert_non_null(strstr(buf_str(&found), "index.json"));
	put(l.dir, "index.json", slice_str("[1"));
	lint(&l, &found);
	assert_non_null(strstr(buf_str(&found), "layout: index.json is no JSON object"));
	layout_deinit(&l);
	assert_int_equal(image_lint("/nowhere/at/all", NULL, note, &found, &err), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_lint__a_sound_layout_breaks_no_rule),
		cmocka_unit_test(image_lint__every_rule_has_a_layout_that_breaks_only_it),
		cmocka_unit_test(image_lint__dockers_own_layouts_pass),
		cmocka_unit_test(image_lint__what_a_later_layer_takes_away_is_not_there),
		cmocka_unit_test(image_lint__many_breaches_of_a_rule_are_counted),
		cmocka_unit_test(image_lint__attestations_and_platforms_are_told_apart),
		cmocka_unit_test(image_lint__what_is_no_layout_is_said_to_be_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
