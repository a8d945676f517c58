#include "tests/cloud/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "tests/cloud/jail.h"

enum { JSON_LIMIT_BYTES = 4 << 20 }; /* of a manifest, a configuration, an index */

void image_deinit(struct image *image)
{
	if (!image)
		return;
	free(image->layout);
	json_decref(image->manifest);
	json_decref(image->config);
	*image = (struct image){ 0 };
}

/* --- The layout --------------------------------------------------------------------------------------------------- */

static const char *string_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value ? value : "";
}

static json_t *parse(const struct buf *bytes, const char *path, struct error *err)
{
	json_error_t problem;
	json_t *value = json_loadb(buf_str(bytes), bytes->len, JSON_REJECT_DUPLICATES, &problem);
	if (!value)
		error_set(err, 0, "%s: %s", path, problem.text);
	return value;
}

/* A descriptor's blob, open and proven to be what its digest says. */
static int open_blob(const struct image *image, const json_t *descriptor, struct digest *ret_digest, struct error *err)
{
	const char *name = string_of(descriptor, "digest");
	if (strncmp(name, "sha256:", 7) != 0 || digest_parse_hex(slice_str(name + 7), ret_digest) < 0)
		return error_set(err, 0, "digest \"%s\" is no SHA-256", name);
	_cleanup_buf_ struct buf path = { 0 };
	if (image->sharded)
		buf_printf(&path, "%s/%.2s/%s/data", image->layout, name + 7, name + 7);
	else
		buf_printf(&path, "%s/blobs/sha256/%s", image->layout, name + 7);
	_cleanup_close_ int fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC);
	struct digest there;
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", buf_str(&path));
	if (digest_fd(fd, &there, err) < 0)
		return -1;
	ret_digest->size_bytes = json_integer_value(json_object_get(descriptor, "size"));
	if (!digest_equal(&there, ret_digest))
		return error_set(err, 0, "%s isn't what its digest and size say", buf_str(&path));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set(err, errno, "cannot rewind %s", buf_str(&path));
	return take_fd(fd);
}

static json_t *read_json_blob(
	const struct image *image, const json_t *descriptor, struct digest *ret_digest, struct error *err)
{
	_cleanup_close_ int fd = open_blob(image, descriptor, ret_digest, err);
	_cleanup_buf_ struct buf bytes = { 0 };
	if (fd < 0 || file_read_fd(fd, JSON_LIMIT_BYTES, &bytes, err) < 0)
		return NULL;
	return parse(&bytes, string_of(descriptor, "digest"), err);
}

/* The tag's descriptor; without a tag "latest", or the only one. */
static const json_t *find_manifest(const json_t *index, const char *tag)
{
	const json_t *manifests = json_object_get(index, "manifests");
	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const json_t *descriptor = json_array_get(manifests, i);
		if (strcmp(string_of(json_object_get(descriptor, "annotations"), "org.opencontainers.image.ref.name"),
			    tag ? tag : "latest") == 0)
			return descriptor;
	}
	return !tag && json_array_size(manifests) == 1 ? json_array_get(manifests, 0) : NULL;
}

static bool is_one_of(const char *type, const char *const types[2])
{
	return strcmp(type, types[0]) == 0 || strcmp(type, types[1]) == 0;
}

static int read_manifest(struct image *image, const json_t *descriptor, struct error *err)
{
	static const char *const manifests[2] = { "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json" };
	static const char *const configs[2] = { "application/vnd.oci.image.config.v1+json",
		"application/vnd.docker.container.image.v1+json" };
	static const char *const layers[4] = { "application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar" };
	if (!is_one_of(string_of(descriptor, "mediaType"), manifests))
		return IMAGE_UNSUPPORTED;
	image->manifest = read_json_blob(image, descriptor, &image->digest, err);
	if (!image->manifest)
		return -1;
	const json_t *config = json_object_get(image->manifest, "config"),
		     *list = json_object_get(image->manifest, "layers");
	if (!is_one_of(string_of(config, "mediaType"), configs) || json_array_size(list) == 0)
		return IMAGE_UNSUPPORTED;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *type = string_of(json_array_get(list, i), "mediaType");
		/* Uncompressed ones pass here and fail while they are unpacked. */
		if (!is_one_of(type, layers) && !is_one_of(type, layers + 2))
			return IMAGE_UNSUPPORTED;
	}
	struct digest digest;
	json_t *whole = read_json_blob(image, config, &digest, err);
	if (!whole)
		return -1;
	image->config = json_incref(json_object_get(whole, "config"));
	json_decref(whole);
	return 0;
}

/* Takes what is in `image`; `descriptor` NULL: there is none. */
static int finish_open(
	struct image *image, const json_t *descriptor, const char *uri, struct image *ret, struct error *err)
{
	int done = descriptor ? read_manifest(image, descriptor, err) : IMAGE_MISSING;
	if (done == 0) {
		*ret = *image;
		return 0;
	}
	if (done < 0)
		done = IMAGE_MISSING; /* a blob is missing or damaged */
	if (done == IMAGE_MISSING)
		error_set(err, 0, "Source image %s does not exist. Provide a valid source image.", uri);
	else
		error_set(err, 0,
			"The image manifest, config or layer media type for the source image %s is not supported.",
			uri);
	image_deinit(image);
	return done;
}

int image_open(const char *uri, struct image *ret, struct error *err)
{
	if (strncmp(uri, "oci:/", 5) != 0)
		return error_set(err, 0, "Source image %s is not valid. Provide a valid source image.", uri);
	struct image image = { .layout = strdup(uri + 4) };
	char *tag = strchr(strrchr(image.layout, '/'), ':');
	if (tag)
		*tag++ = '\0';
	_cleanup_buf_ struct buf path = { 0 }, bytes = { 0 };
	buf_printf(&path, "%s/index.json", image.layout);
	json_t *index = file_read(buf_str(&path), JSON_LIMIT_BYTES, &bytes, err) == 0
				? parse(&bytes, buf_str(&path), err)
				: NULL;
	const json_t *descriptor = find_manifest(index, tag);
	int done = finish_open(&image, descriptor, uri, ret, err);
	json_decref(index);
	return done;
}

int image_open_pushed(
	const char *directory, const json_t *descriptor, const char *uri, struct image *ret, struct error *err)
{
	struct image image = { .layout = strdup(directory), .sharded = true };
	return finish_open(&image, descriptor, uri, ret, err);
}
/* --- Layers ------------------------------------------------------------------------------------------------------- */

/* What one path of the tree is, by its path without a leading slash. */
struct node {
	mode_t type; /* S_IFMT part */
	mode_t mode;
	struct timespec mtime;
	bool gone; /* removed by a later layer */
};

struct unpacking {
	struct arena arena;
	struct map nodes;
	int root;
	const char *layer; /* digest, for messages */
};

/* `path`, or libarchive's words for what is wrong, which may be none. */
static int invalid(const struct unpacking *u, const char *kind, const char *path, struct error *err)
{
	path = path ? path : "";
	error_set(err, 0, "InvalidImage: ImageLayerFailure: %s%s%s - Layer Digest %s", kind, *path ? ": " : "", path,
		u->layer);
	return IMAGE_INVALID;
}

static struct node *live_node(const struct unpacking *u, const char *path, size_t len)
{
	struct node *node = map_get(&u->nodes, slice_of(path, len));
	return node && !node->gone ? node : NULL;
}

/* "./a//b/" as "a/b"; NULL when it leads elsewhere. */
static const char *normal_path(struct arena *arena, const char *path)
{
	char *ret = arena_alloc(arena, strlen(path) + 1), *to = ret;
	for (const char *at = path; *at;) {
		size_t n = strcspn(at, "/");
		if (n == 2 && memcmp(at, "..", 2) == 0)
			return NULL;
		if (n > 0 && !(n == 1 && *at == '.')) {
			if (to != ret)
				*to++ = '/';
			to = mempcpy(to, at, n);
		}
		at += n + (at[n] == '/');
	}
	*to = '\0';
	return ret;
}

static void forget_below(struct unpacking *u, const char *path, bool itself)
{
	size_t n = strlen(path), at = 0;
	for (const struct map_entry *entry; (entry = map_next(&u->nodes, &at));) {
		bool below = n == 0 ||
			     (entry->key.len > n && memcmp(entry->key.ptr, path, n) == 0 && entry->key.ptr[n] == '/');
		if (below || (itself && slice_equal_str(entry->key, path)))
			((struct node *)entry->value)->gone = true;
	}
}

/* A file named .wh.NAME removes NAME of the layers below; .wh..wh..opq all that they have in the directory. */
static int apply_whiteout(struct unpacking *u, const char *path, const char *name, struct error *err)
{
	size_t n = (size_t)(name - path);
	char *directory = arena_strndup(&u->arena, path, n ? n - 1 : 0);
	if (strcmp(name, ".wh..wh..opq") != 0) {
		const char *removed = name + 4;
		if (!*removed || strcmp(removed, ".") == 0 || strcmp(removed, "..") == 0)
			return invalid(u, "InvalidPath", path, err);
		const char *victim = arena_printf(&u->arena, "%.*s%s", (int)n, path, removed);
		forget_below(u, victim, true);
		return file_remove_tree(u->root, victim, err);
	}
	size_t at = 0;
	for (const struct map_entry *entry; (entry = map_next(&u->nodes, &at));) {
		const struct node *node = entry->value;
		if (!node->gone && entry->key.len > n && memcmp(entry->key.ptr, path, n) == 0 &&
			file_remove_tree(u->root, arena_strndup(&u->arena, entry->key.ptr, entry->key.len), err) < 0)
			return -1;
	}
	forget_below(u, directory, false);
	return 0;
}

static int write_contents(struct unpacking *u, struct archive *archive, const char *path, struct error *err)
{
	_cleanup_close_ int fd = openat(u->root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, errno, "cannot create %s", path);
	if (archive_read_data_into_fd(archive, fd) < ARCHIVE_WARN)
		return invalid(u, "InvalidLayer", archive_error_string(archive), err);
	return 0;
}

static int make_node(struct unpacking *u, struct archive *archive, struct archive_entry *entry, const char *path,
	struct node *node, struct error *err)
{
	const char *hard = archive_entry_hardlink(entry);
	if (hard) {
		const char *target = normal_path(&u->arena, hard);
		const struct node *other = target ? live_node(u, target, strlen(target)) : NULL;
		if (!other || !S_ISREG(other->type))
			return invalid(u, "InvalidHardlink", path, err);
		*node = *other;
		return linkat(u->root, target, u->root, path, 0) < 0 ? error_set(err, errno, "cannot link %s", path)
								     : 0;
	}
	switch (node->type) {
	case S_IFDIR:
		if (mkdirat(u->root, path, 0700) < 0 && errno != EEXIST)
			return error_set(err, errno, "cannot make directory %s", path);
		return (node->mode & 05) == 05 ? 0 : invalid(u, "directory is not readable by everybody", path, err);
	case S_IFLNK:
		if (!archive_entry_symlink(entry))
			return invalid(u, "InvalidSymlink", path, err);
		return symlinkat(archive_entry_symlink(entry), u->root, path) < 0
			       ? error_set(err, errno, "cannot make link %s", path)
			       : 0;
	case S_IFREG:
		if (!(node->mode & 04) || ((node->mode & 0111) && !(node->mode & 01)))
			return invalid(u, "file is not readable by everybody", path, err);
		return write_contents(u, archive, path, err);
	default:
		return invalid(u, "UnsupportedFileType", path, err);
	}
}

static int unpack_entry(struct unpacking *u, struct archive *archive, struct archive_entry *entry, struct error *err)
{
	const char *given = archive_entry_pathname(entry); /* NULL: not to be had in this locale */
	const char *path = given ? normal_path(&u->arena, given) : NULL;
	if (!path)
		return invalid(u, "InvalidPath", given ? given : "a name", err);
	if (!*path)
		return 0; /* the root itself */
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	/* A link to a directory is no directory: nothing is unpacked through one. */
	const struct node *parent = slash ? live_node(u, path, (size_t)(slash - path)) : NULL;
	if (slash && (!parent || !S_ISDIR(parent->type)))
		return invalid(u, "MissingParentDirectory", path, err);
	if (strncmp(name, ".wh.", 4) == 0)
		return apply_whiteout(u, path, name, err);
	struct node *node = arena_new(&u->arena, struct node);
	node->type = archive_entry_hardlink(entry) ? S_IFREG : archive_entry_filetype(entry);
	node->mode = archive_entry_perm(entry) & 0777;
	node->mtime = (struct timespec){ archive_entry_mtime(entry), archive_entry_mtime_nsec(entry) };
	const struct node *old = live_node(u, path, strlen(path));
	if (old && !(S_ISDIR(old->type) && S_ISDIR(node->type))) {
		forget_below(u, path, true);
		if (file_remove_tree(u->root, path, err) < 0)
			return -1;
	}
	int done = make_node(u, archive, entry, path, node, err);
	if (done == 0)
		map_put(&u->nodes, slice_str(path), node);
	return done;
}

static int unpack_layer(struct unpacking *u, const struct image *image, const json_t *descriptor, struct error *err)
{
	struct digest digest;
	unsigned char magic[2];
	u->layer = string_of(descriptor, "digest");
	_cleanup_close_ int fd = open_blob(image, descriptor, &digest, err);
	if (fd < 0)
		return -1;
	if (!strstr(string_of(descriptor, "mediaType"), "gzip") || pread(fd, magic, 2, 0) != 2 || magic[0] != 0x1f ||
		magic[1] != 0x8b)
		return invalid(u, "UnsupportedImageLayerDetected", "", err);
	struct archive *archive = archive_read_new();
	archive_read_support_filter_gzip(archive);
	archive_read_support_format_tar(archive);
	int done = archive_read_open_fd(archive, fd, 1 << 16) == ARCHIVE_OK
			   ? 0
			   : invalid(u, "InvalidLayer", archive_error_string(archive), err);
	while (done == 0) {
		struct archive_entry *entry;
		int status = archive_read_next_header(archive, &entry);
		if (status == ARCHIVE_EOF)
			break;
		done = status < ARCHIVE_WARN ? invalid(u, "InvalidLayer", archive_error_string(archive), err)
					     : unpack_entry(u, archive, entry, err);
	}
	archive_read_free(archive);
	return done;
}

/* Modes and times last, when nothing is put into directories any more. */
static int settle(struct unpacking *u, struct error *err)
{
	size_t at = 0;
	for (const struct map_entry *entry; (entry = map_next(&u->nodes, &at));) {
		const struct node *node = entry->value;
		if (node->gone)
			continue;
		const char *path = arena_strndup(&u->arena, entry->key.ptr, entry->key.len);
		if (utimensat(u->root, path, (struct timespec[]){ node->mtime, node->mtime }, AT_SYMLINK_NOFOLLOW) <
				0 ||
			(!S_ISLNK(node->type) && fchmodat(u->root, path, node->mode, 0) < 0))
			return error_set(err, errno, "cannot set mode and time of %s", path);
	}
	return 0;
}

/* Where the jail mounts; Lambda has these places in every function, whatever the image says. */
static int make_places(struct unpacking *u, struct error *err)
{
	static const char *const places[] = { "tmp", "proc", "dev", ".cloud" };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stat st;
		if (mkdirat(u->root, places[i], 0755) < 0 && errno != EEXIST)
			return error_set(err, errno, "cannot make /%s of the image", places[i]);
		if (fstatat(u->root, places[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			return invalid(u, "not a directory", places[i], err);
	}
	_cleanup_close_ int ca = openat(u->root, &JAIL_CA_FILE[1], O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	return ca < 0 ? error_set(err, errno, "cannot make %s of the image", JAIL_CA_FILE) : 0;
}

static int unpack_into(const struct image *image, const char *root, struct error *err)
{
	struct unpacking u = { .arena = ARENA_INIT };
	_cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", root);
	u.root = fd;
	const json_t *layers = json_object_get(image->manifest, "layers");
	int done = 0;
	for (size_t i = 0; i < json_array_size(layers) && done == 0; i++)
		done = unpack_layer(&u, image, json_array_get(layers, i), err);
	if (done == 0)
		done = make_places(&u, err);
	if (done == 0)
		done = settle(&u, err);
	map_deinit(&u.nodes);
	arena_deinit(&u.arena);
	return done;
}

int image_unpack(const struct image *image, const char *root, struct error *err)
{
	struct stat st;
	if (stat(root, &st) == 0)
		return 0;
	_cleanup_buf_ struct buf temporary = { 0 };
	buf_printf(&temporary, "%s.XXXXXX", root);
	if (!mkdtemp(temporary.ptr))
		return error_set(err, errno, "cannot make directory %s", buf_str(&temporary));
	/* For user 993 of the jail, who isn't the owner when the owner is root. */
	if (chmod(buf_str(&temporary), 0755) < 0)
		return error_set(err, errno, "cannot open %s to everybody", buf_str(&temporary));
	int done = unpack_into(image, buf_str(&temporary), err);
	/* Somebody else may have been as fast. */
	if (done == 0 && rename(buf_str(&temporary), root) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		done = error_set(err, errno, "cannot rename %s", buf_str(&temporary));
	if (done != 0 || stat(buf_str(&temporary), &st) == 0) {
		struct error ignored;
		file_remove_tree(AT_FDCWD, buf_str(&temporary), &ignored);
	}
	return done;
}
