#include "aws/image_lint.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "aws/oci.h"
#include "aws/tar.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "base/path.h"
#include "store/digest.h"

const char *const image_rule_names[IMAGE_RULE_COUNT] = {
#define X(id, name, text) name,
	IMAGE_RULES(X)
#undef X
};

const char *const image_rule_texts[IMAGE_RULE_COUNT] = {
#define X(id, name, text) text,
	IMAGE_RULES(X)
#undef X
};

/* A name's own finding is told this often. */
enum { TOLD = 10 };
enum { JSON_LIMIT = 4 << 20, PIECE = 256 << 10 };

/* The entry point, and each directory on the way to it, as the layers so far have it. */
struct step {
	const char *path; /* relative, as norm() gives it */
	bool there;
	size_t layer; /* that it is from */
	enum tar_kind kind;
	mode_t mode;
};

struct lint {
	const char *dir;
	struct image_lint_limits limits;
	image_finding_fn *fn;
	void *ctx;
	struct arena arena;
	unsigned found[IMAGE_RULE_COUNT];
	/* Of the configuration. */
	const char *architecture; /* NULL: unknown */
	const char *program;	  /* the entry point; NULL: none that could be looked for */
	struct step *steps;
	size_t n_steps;
	char head[offsetof(Elf64_Ehdr, e_machine) + sizeof(((Elf64_Ehdr *)NULL)->e_machine)]; /* of the program */
	size_t head_bytes;
	int64_t unpacked;
	/* Of the layer at hand. */
	size_t layer;
	struct map directories; /* those that had their entry */
	bool in_program;
};

__attribute__((format(printf, 3, 4))) static void tell(struct lint *lint, enum image_rule rule, const char *format, ...)
{
	if (lint->found[rule]++ >= TOLD)
		return;
	va_list args;
	va_start(args, format);
	_cleanup_buf_ struct buf text = { 0 };
	buf_vprintf(&text, format, args);
	va_end(args);
	/* One line, whatever a layout's names are. */
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			text.ptr[i] = '?';
	lint->fn(lint->ctx, rule, buf_str(&text));
}

static const char *string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool is(const char *text, const char *a, const char *b)
{
	return text && (strcmp(text, a) == 0 || (b && strcmp(text, b) == 0));
}

/* "sha256:…" of a descriptor, and its size. False: told. */
static bool parse_descriptor(struct lint *lint, const json_t *descriptor, const char *what, struct digest *ret)
{
	const char *digest = string(descriptor, "digest");
	const json_t *size = json_object_get(descriptor, "size");
	if (!digest || strncmp(digest, "sha256:", 7) != 0 || digest_parse_hex(slice_str(digest + 7), ret) < 0 ||
		!json_is_integer(size) || json_integer_value(size) < 0) {
		tell(lint, IMAGE_RULE_DIGEST, "%s is not named by a SHA-256 and a size", what);
		return false;
	}
	ret->size_bytes = json_integer_value(size);
	return true;
}

/* 0: read. 1: told. */
static int read_json(
	struct lint *lint, const char *path, const char *what, struct buf *text, json_t **ret, struct error *err)
{
	struct error why;
	if (file_read(path, JSON_LIMIT, text, &why) < 0) {
		if (why.code != ENOENT && why.code != ENOTDIR && why.code != EFBIG)
			return error_set(err, 0, "%s", why.text);
		tell(lint, IMAGE_RULE_LAYOUT, "%s", why.text);
		return 1;
	}
	json_error_t problem;
	*ret = json_loadb(buf_str(text), text->len, JSON_REJECT_DUPLICATES, &problem);
	if (json_is_object(*ret))
		return 0;
	tell(lint, IMAGE_RULE_LAYOUT, "%s is no JSON object: %s", what, *ret ? "something else" : problem.text);
	return 1;
}

static int read_json_blob(
	struct lint *lint, const json_t *descriptor, const char *what, json_t **ret, struct error *err)
{
	struct digest digest, real;
	if (!parse_descriptor(lint, descriptor, what, &digest))
		return 1;
	_cleanup_buf_ struct buf text = { 0 };
	int outcome = read_json(lint, oci_blob_path(lint->dir, &digest, &lint->arena), what, &text, ret, err);
	if (outcome != 0)
		return outcome;
	real = digest_of(buf_slice(&text));
	if (!digest_equal(&real, &digest))
		tell(lint, IMAGE_RULE_DIGEST, "%s has another content than it is named by", what);
	return 0;
}

static bool is_attestation(const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");
	return string(json_object_get(descriptor, "annotations"), "vnd.docker.reference.type") ||
	       string(descriptor, "artifactType") ||
	       (is(string(platform, "os"), "unknown", NULL) && is(string(platform, "architecture"), "unknown", NULL));
}

static bool is_index_type(const char *type)
{
	return is(type, OCI_INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json");
}

/* A path in the archive without "./", doubled and trailing slashes; "" is the root. NULL: it leaves the image. In the lint's arena. */
static const char *norm(struct lint *lint, const char *path)
{
	char *to = arena_alloc(&lint->arena, strlen(path) + 1), *at = to;
	while (*path) {
		size_t n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0)
			return NULL;
		if (n > 0 && !(n == 1 && *path == '.')) {
			if (at > to)
				*at++ = '/';
			memcpy(at, path, n);
			at += n;
		}
		path += n + (path[n] == '/');
	}
	*at = '\0';
	return to;
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);
	return n == 0 || (strncmp(path, directory, n) == 0 && path[n] == '/');
}

/* An entry of this layer on the way to the entry point: it stands, or takes away what lower layers had there. */
static void walk_step(struct lint *lint, const char *path, const struct tar_entry *entry)
{
	const char *name = path_basename(path);
	bool opaque = strcmp(name, ".wh..wh..opq") == 0, whiteout = strncmp(name, ".wh.", 4) == 0;
	const char *directory = strchr(path, '/') ? path_dirname(&lint->arena, path) : "";
	if (whiteout)
		path = opaque ? directory
			      : arena_printf(&lint->arena, "%s%s%s", directory, *directory ? "/" : "", name + 4);
	for (size_t i = 0; i < lint->n_steps; i++) {
		struct step *step = &lint->steps[i];
		bool same = strcmp(step->path, path) == 0;
		if (whiteout) {
			if (((same && !opaque) || is_below(step->path, path)) && step->layer < lint->layer)
				step->there = false;
		} else if (same) {
			*step = (struct step){ .path = step->path,
				.there = true,
				.layer = lint->layer,
				.kind = entry->kind,
				.mode = entry->mode };
			lint->in_program = i == lint->n_steps - 1;
			if (lint->in_program)
				lint->head_bytes = 0;
		} else if (entry->kind != TAR_DIRECTORY && is_below(step->path, path)) {
			step->there = false;
		}
	}
}

static int take_entry(void *ctx, const struct tar_entry *entry, struct error *err)
{
	struct lint *lint = ctx;
	const char *path = norm(lint, entry->path);
	bool whiteout = strncmp(path_basename(path ? path : ""), ".wh.", 4) == 0;
	lint->in_program = false;
	if (!path) {
		tell(lint, IMAGE_RULE_ARCHIVE, "layer %zu: %s leaves the image", lint->layer + 1, entry->path);
		return 0;
	}
	const char *parent = strchr(path, '/') ? path_dirname(&lint->arena, path) : NULL;
	if (parent && !map_get(&lint->directories, slice_str(parent))) {
		tell(lint, IMAGE_RULE_PARENTS, "layer %zu: /%s comes without an entry of /%s before it",
			lint->layer + 1, path, parent);
		/* Said once. */
		map_put(&lint->directories, slice_str(parent), (void *)parent);
	}
	if (entry->kind == TAR_DIRECTORY && *path)
		map_put(&lint->directories, slice_str(path), (void *)path);
	if (entry->kind == TAR_FILE && !whiteout && !(entry->mode & 0004))
		tell(lint, IMAGE_RULE_READABLE, "layer %zu: file /%s has mode %04o", lint->layer + 1, path,
			(unsigned)entry->mode);
	if (entry->kind == TAR_DIRECTORY && (entry->mode & 0005) != 0005)
		tell(lint, IMAGE_RULE_READABLE, "layer %zu: directory /%s has mode %04o", lint->layer + 1, path,
			(unsigned)entry->mode);
	if (is_below(path, "tmp") && !whiteout)
		tell(lint, IMAGE_RULE_TMP, "layer %zu: /%s", lint->layer + 1, path);
	walk_step(lint, path, entry);
	return 0;
}

static void take_content(void *ctx, struct slice piece)
{
	struct lint *lint = ctx;
	if (!lint->in_program || lint->head_bytes == sizeof(lint->head))
		return;
	size_t n = sizeof(lint->head) - lint->head_bytes;
	n = n < piece.len ? n : piece.len;
	memcpy(lint->head + lint->head_bytes, piece.ptr, n);
	lint->head_bytes += n;
}

/* A layer on its way: file -> digest -> gzip -> digest -> archive. */
struct stream {
	struct lint *lint;
	z_stream z;
	bool gzip_sound, gzip_ended; /* the second: between two members of it */
	bool archive_sound, too_large;
	struct digest_hash *packed, *plain;
	struct tar_reader *reader;
};

static void take_plain(struct stream *stream, struct slice bytes)
{
	struct lint *lint = stream->lint;
	struct error why;
	lint->unpacked += (int64_t)bytes.len;
	stream->too_large = lint->unpacked > lint->limits.image_bytes;
	digest_hash_add(stream->plain, bytes);
	if (stream->archive_sound && tar_reader_feed(stream->reader, bytes, &why) < 0) {
		stream->archive_sound = false;
		tell(lint, IMAGE_RULE_ARCHIVE, "layer %zu: %s", lint->layer + 1, why.text);
	}
}

static void take_packed(struct stream *stream, struct slice bytes)
{
	char out[PIECE / 4];
	digest_hash_add(stream->packed, bytes);
	stream->z.next_in = (unsigned char *)bytes.ptr;
	stream->z.avail_in = (unsigned)bytes.len;
	bool more = true; /* there may be output left that wants no input */
	while (stream->gzip_sound && !stream->too_large && (stream->z.avail_in > 0 || more)) {
		/* Several members in a row are one file: gzip(1). */
		if (stream->gzip_ended && stream->z.avail_in == 0)
			return;
		if (stream->gzip_ended && inflateReset(&stream->z) != Z_OK)
			abort();
		stream->gzip_ended = false;
		stream->z.next_out = (unsigned char *)out;
		stream->z.avail_out = sizeof(out);
		int outcome = inflate(&stream->z, Z_NO_FLUSH);
		size_t n = sizeof(out) - stream->z.avail_out;
		more = stream->z.avail_out == 0;
		if (n > 0)
			take_plain(stream, slice_of(out, n));
		stream->gzip_ended = outcome == Z_STREAM_END;
		if (outcome == Z_MEM_ERROR)
			abort();
		stream->gzip_sound = outcome == Z_OK || outcome == Z_STREAM_END || outcome == Z_BUF_ERROR;
	}
}

static int stream_layer(struct lint *lint, int fd, const struct digest *named, const char *diff_id, struct error *err)
{
	struct stream stream = { .lint = lint, .gzip_sound = true, .archive_sound = true };
	struct digest digest;
	if (inflateInit2(&stream.z, 15 + 16) != Z_OK)
		abort();
	stream.packed = digest_hash_new();
	stream.plain = digest_hash_new();
	stream.reader = tar_reader_new(take_entry, take_content, lint);
	_cleanup_free_ char *piece = malloc(PIECE);
	ssize_t n = 0;
	while (!stream.too_large && piece && (n = read(fd, piece, PIECE)) != 0) {
		if (n > 0)
			take_packed(&stream, slice_of(piece, (size_t)n));
		else if (errno != EINTR)
			break;
	}
	int result = n < 0 || !piece ? error_set(err, errno, "cannot read layer %zu", lint->layer + 1) : 0;
	struct error why;
	digest_hash_end(stream.packed, &digest);
	bool whole = result == 0 && !stream.too_large;
	if (whole && !digest_equal(&digest, named))
		tell(lint, IMAGE_RULE_DIGEST, "layer %zu has another content than it is named by", lint->layer + 1);
	bool sound = stream.gzip_sound && stream.gzip_ended;
	if (whole && !sound)
		tell(lint, IMAGE_RULE_GZIP, "layer %zu is not gzip, or damaged", lint->layer + 1);
	if (whole && sound && stream.archive_sound && tar_reader_end(stream.reader, &why) < 0)
		tell(lint, IMAGE_RULE_ARCHIVE, "layer %zu: %s", lint->layer + 1, why.text);
	digest_hash_end(stream.plain, &digest);
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&digest, hex);
	if (whole && sound && diff_id && strcmp(diff_id, arena_printf(&lint->arena, "sha256:%s", hex)) != 0)
		tell(lint, IMAGE_RULE_DIFF_IDS, "that of layer %zu is %s, its archive has sha256:%s", lint->layer + 1,
			diff_id, hex);
	tar_reader_free(stream.reader);
	inflateEnd(&stream.z);
	return result;
}

static int check_layer(struct lint *lint, const json_t *descriptor, const char *diff_id, struct error *err)
{
	const char *type = string(descriptor, "mediaType");
	struct digest digest;
	const char *what = arena_printf(&lint->arena, "layer %zu", lint->layer + 1);
	if (!parse_descriptor(lint, descriptor, what, &digest))
		return 0;
	if (is(type, "application/vnd.in-toto+json", NULL)) {
		tell(lint, IMAGE_RULE_ATTESTATION, "%s is one (%s)", what, type);
		return 0;
	}
	if (digest.size_bytes > lint->limits.layer_bytes)
		tell(lint, IMAGE_RULE_LAYER_SIZE, "%s has %lld bytes", what, (long long)digest.size_bytes);
	if (!is(type, OCI_LAYER_TYPE, "application/vnd.docker.image.rootfs.diff.tar.gzip")) {
		tell(lint, IMAGE_RULE_LAYER_TYPE, "%s is %s", what, type ? type : "of no type");
		return 0;
	}
	const char *path = oci_blob_path(lint->dir, &digest, &lint->arena);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 && errno != ENOENT)
		return error_set(err, errno, "cannot open %s", path);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		tell(lint, IMAGE_RULE_LAYOUT, "%s is not there: %s", what, path);
		return 0;
	}
	int result = stream_layer(lint, fd, &digest, diff_id, err);
	map_deinit(&lint->directories);
	return result;
}

/* The entry point's path, and the directories that lead to it. */
static void plan_steps(struct lint *lint, const json_t *config)
{
	const json_t *run = json_object_get(config, "config");
	const char *program = json_string_value(json_array_get(json_object_get(run, "Entrypoint"), 0));
	if (!program)
		program = json_string_value(json_array_get(json_object_get(run, "Cmd"), 0));
	if (!program) {
		tell(lint, IMAGE_RULE_ENTRY_POINT, "the configuration has neither Entrypoint nor Cmd");
		return;
	}
	if (program[0] != '/') {
		tell(lint, IMAGE_RULE_ENTRY_POINT_PATH, "it is %s", program);
		return;
	}
	const char *path = norm(lint, program);
	if (!path || !*path) {
		tell(lint, IMAGE_RULE_ENTRY_POINT_FILE, "it is %s", program);
		return;
	}
	lint->program = program;
	for (const char *at = path; at; at = strchr(at + 1, '/'))
		lint->n_steps++;
	lint->steps = arena_array(&lint->arena, struct step, lint->n_steps);
	const char *end = path;
	for (size_t i = 0; i < lint->n_steps; i++) {
		end += strcspn(end, "/");
		lint->steps[i].path = arena_strndup(&lint->arena, path, (size_t)(end - path));
		end++;
	}
}

static void check_program(struct lint *lint)
{
	for (size_t i = 0; i < lint->n_steps; i++) {
		const struct step *step = &lint->steps[i];
		bool last = i == lint->n_steps - 1;
		bool right = last ? step->kind == TAR_FILE || step->kind == TAR_HARD_LINK : step->kind == TAR_DIRECTORY;
		/* A directory without an entry is another rule's. */
		if (!step->there && !last)
			continue;
		if (step->there && right)
			continue;
		tell(lint, IMAGE_RULE_ENTRY_POINT_FILE, "%s: /%s %s", lint->program, step->path,
			!step->there		    ? "is not in the image"
			: step->kind == TAR_SYMLINK ? "is a symlink"
			: last			    ? "is not a file"
						    : "is not a directory");
		return;
	}
	const struct step *file = &lint->steps[lint->n_steps - 1];
	if (!(file->mode & 0001))
		tell(lint, IMAGE_RULE_ENTRY_POINT_MODE, "%s has mode %04o", lint->program, (unsigned)file->mode);
	uint16_t machine;
	memcpy(&machine, lint->head + offsetof(Elf64_Ehdr, e_machine), sizeof(machine));
	uint16_t wanted = is(lint->architecture, "amd64", NULL) ? EM_X86_64 : EM_AARCH64;
	if (lint->architecture && lint->head_bytes == sizeof(lint->head) && memcmp(lint->head, ELFMAG, SELFMAG) == 0 &&
		machine != wanted)
		tell(lint, IMAGE_RULE_PLATFORM, "%s is built for another machine (ELF machine %u) than %s",
			lint->program, machine, lint->architecture);
}

static void check_config(struct lint *lint, const json_t *config, size_t n_layers)
{
	const char *os = string(config, "os"), *architecture = string(config, "architecture");
	if (!is(os, "linux", NULL) || !is(architecture, "amd64", "arm64"))
		tell(lint, IMAGE_RULE_PLATFORM, "the image is for %s on %s", os ? os : "no system",
			architecture ? architecture : "no machine");
	else
		lint->architecture = architecture;
	size_t n_ids = json_array_size(json_object_get(json_object_get(config, "rootfs"), "diff_ids"));
	if (n_ids != n_layers)
		tell(lint, IMAGE_RULE_DIFF_IDS, "there are %zu for %zu layers", n_ids, n_layers);
	const json_t *history = json_object_get(config, "history");
	size_t n_entries = 0;
	for (size_t i = 0; i < json_array_size(history); i++)
		n_entries += !json_is_true(json_object_get(json_array_get(history, i), "empty_layer"));
	if (n_entries != n_layers)
		tell(lint, IMAGE_RULE_HISTORY, "it has %zu entries for %zu layers", n_entries, n_layers);
	plan_steps(lint, config);
}

static int check_manifest(struct lint *lint, const json_t *descriptor, struct error *err)
{
	json_auto_t *manifest = NULL;
	json_auto_t *config = NULL;
	int outcome = read_json_blob(lint, descriptor, "the manifest", &manifest, err);
	if (outcome != 0)
		return outcome < 0 ? -1 : 0;
	const char *type = string(manifest, "mediaType") ? string(manifest, "mediaType")
							 : string(descriptor, "mediaType");
	if (is_index_type(type) || json_object_get(manifest, "manifests")) {
		tell(lint, IMAGE_RULE_INDEX, "the manifest is an index");
		return 0;
	}
	if (!is(type, OCI_MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json"))
		tell(lint, IMAGE_RULE_MANIFEST_TYPE, "it is %s", type ? type : "of no type");
	if (string(manifest, "artifactType"))
		tell(lint, IMAGE_RULE_ATTESTATION, "the manifest is that of an artifact: %s",
			string(manifest, "artifactType"));
	const json_t *about = json_object_get(manifest, "config"), *layers = json_object_get(manifest, "layers");
	type = string(about, "mediaType");
	if (!is(type, OCI_CONFIG_TYPE, "application/vnd.docker.container.image.v1+json"))
		tell(lint, IMAGE_RULE_CONFIG_TYPE, "it is %s", type ? type : "of no type");
	outcome = read_json_blob(lint, about, "the configuration", &config, err);
	if (outcome < 0)
		return -1;
	if (outcome == 0)
		check_config(lint, config, json_array_size(layers));
	const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	for (lint->layer = 0; lint->layer < json_array_size(layers); lint->layer++) {
		if (check_layer(lint, json_array_get(layers, lint->layer),
			    json_string_value(json_array_get(ids, lint->layer)), err) < 0)
			return -1;
		if (lint->unpacked > lint->limits.image_bytes) {
			tell(lint, IMAGE_RULE_IMAGE_SIZE, "it has more than %lld bytes",
				(long long)lint->limits.image_bytes);
			return 0;
		}
	}
	if (lint->program)
		check_program(lint);
	return 0;
}

static int check_layout(struct lint *lint, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_buf_ struct buf index_text = { 0 };
	json_auto_t *layout = NULL;
	json_auto_t *index = NULL;
	int outcome = read_json(
		lint, arena_printf(&lint->arena, "%s/oci-layout", lint->dir), "oci-layout", &text, &layout, err);
	if (outcome < 0)
		return -1;
	if (outcome == 0 && !is(string(layout, "imageLayoutVersion"), "1.0.0", NULL))
		tell(lint, IMAGE_RULE_LAYOUT, "oci-layout names another version than 1.0.0");
	outcome = read_json(
		lint, arena_printf(&lint->arena, "%s/index.json", lint->dir), "index.json", &index_text, &index, err);
	if (outcome != 0)
		return outcome < 0 ? -1 : 0;
	const json_t *manifests = json_object_get(index, "manifests"), *image = NULL;
	size_t n_images = 0;
	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const json_t *descriptor = json_array_get(manifests, i);
		if (is_attestation(descriptor)) {
			const char *digest = string(descriptor, "digest");
			tell(lint, IMAGE_RULE_ATTESTATION, "index.json lists one: %s",
				digest ? digest : "without a digest");
			continue;
		}
		n_images++;
		image = descriptor;
	}
	if (n_images != 1) {
		tell(lint, IMAGE_RULE_ONE_IMAGE, "it has %zu", n_images);
		return 0;
	}
	if (is_index_type(string(image, "mediaType"))) {
		tell(lint, IMAGE_RULE_INDEX, "index.json leads to another index");
		return 0;
	}
	return check_manifest(lint, image, err);
}

int image_lint(
	const char *dir, const struct image_lint_limits *limits, image_finding_fn *fn, void *ctx, struct error *err)
{
	struct lint lint = { .dir = dir,
		.fn = fn,
		.ctx = ctx,
		.arena = ARENA_INIT,
		.limits = limits ? *limits
				 : (struct image_lint_limits){
					   .image_bytes = 10ll << 30, .layer_bytes = 52000ll << 20 } };
	int result = check_layout(&lint, err);
	for (size_t i = 0; i < IMAGE_RULE_COUNT && result == 0; i++)
		if (lint.found[i] > TOLD)
			fn(ctx, i, arena_printf(&lint.arena, "… and %u more", lint.found[i] - TOLD));
	arena_deinit(&lint.arena);
	return result;
}
