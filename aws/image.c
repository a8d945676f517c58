#include "aws/image.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/libraries.h"
#include "aws/oci.h"
#include "aws/tar.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "base/path.h"

#define TITLE "llama"

enum { CERTIFICATES_LIMIT = 64 << 20 };

static int read_certificates(const char *path, struct buf *ret, struct error *err)
{
	static const char *const places[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Gentoo, NixOS */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
		"/etc/ssl/ca-bundle.pem",	      /* SUSE */
		"/etc/ssl/cert.pem",		      /* Alpine */
	};
	for (size_t i = 0; !path && i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], R_OK) == 0)
			path = places[i];
	if (!path)
		return error_set(err, 0,
			"there are no CA certificates in the usual places; install ca-certificates or name a file");
	if (file_read(path, CERTIFICATES_LIMIT, ret, err) < 0)
		return -1;
	if (!ret->len || !memmem(ret->ptr, ret->len, "-----BEGIN ", 11))
		return error_set(err, 0, "%s has no certificates in PEM", path);
	return 0;
}

/* A layer being made: every directory gets its entry before what is in it. */
struct layer {
	struct buf tar;
	struct arena arena;
	struct map made; /* directories: path -> itself */
};

static void layer_deinit(struct layer *layer)
{
	buf_deinit(&layer->tar);
	map_deinit(&layer->made);
	arena_deinit(&layer->arena);
}
#define _cleanup_layer_ __attribute__((cleanup(layer_deinit)))

static void add_directory(struct layer *layer, const char *path, mode_t mode)
{
	const char *name = path + 1;
	if (*name == '\0' || map_get(&layer->made, slice_str(name)))
		return;
	add_directory(layer, path_dirname(&layer->arena, path), 0755);
	char *kept = arena_strdup(&layer->arena, name);
	map_put(&layer->made, slice_str(kept), kept);
	tar_add(&layer->tar, &(struct tar_entry){ .kind = TAR_DIRECTORY, .path = kept, .mode = mode },
		(struct slice){ 0 });
}

static void add_file(struct layer *layer, const char *path, mode_t mode, const struct buf *content)
{
	add_directory(layer, path_dirname(&layer->arena, path), 0755);
	tar_add(&layer->tar, &(struct tar_entry){ .kind = TAR_FILE, .path = path + 1, .mode = mode },
		buf_slice(content));
}

static int make_runtime(
	const struct image_options *options, struct layer *layer, struct image_report *report, struct error *err)
{
	enum { RUNTIME, RUNNER, INTERPOSER, N };
	static const char *const places[N] = { IMAGE_ENTRY_POINT, IMAGE_RUNNER, IMAGE_INTERPOSER };
	struct libraries_program programs[N] = { { .path = options->runtime }, { .path = options->runner },
		{ .path = options->interposer } };
	struct libraries libraries;
	_cleanup_buf_ struct buf certificates = { 0 };
	int result = read_certificates(options->ca_bundle, &certificates, err);
	if (result < 0)
		return -1;
	result = libraries_gather(programs, N, IMAGE_LIBRARIES, IMAGE_LOADER,
		options->ld_cache ? options->ld_cache : "/etc/ld.so.cache", &libraries, err);
	if (result == 0) {
		for (size_t i = 0; i < N; i++)
			add_file(layer, places[i], 0755, &programs[i].bytes);
		add_file(layer, IMAGE_CA_BUNDLE, 0644, &certificates);
		if (libraries.loader.len > 0)
			add_file(layer, IMAGE_LOADER, 0755, &libraries.loader);
		report->n_libraries = (unsigned)libraries.n;
		report->architecture = libraries.machine == EM_X86_64 ? "amd64" : "arm64";
	}
	for (size_t i = 0; i < libraries.n && result == 0; i++) {
		const char *path = arena_printf(&layer->arena, "%s/%s", IMAGE_LIBRARIES, libraries.items[i].name);
		if (strlen(path) > TAR_NAME_BYTES)
			result = error_set(err, ENAMETOOLONG, "%s", libraries.items[i].path);
		else
			add_file(layer, path, 0755, &libraries.items[i].bytes);
	}
	for (size_t i = 0; i < N; i++)
		buf_deinit(&programs[i].bytes);
	libraries_deinit(&libraries);
	if (result == 0)
		tar_end(&layer->tar);
	return result;
}

static int make_links(
	const struct image_options *options, struct layer *layer, struct image_report *report, struct error *err)
{
	static_assert(sizeof(IMAGE_TREE) + 1 + IMAGE_LINK_NAME_BYTES - 1 <= TAR_NAME_BYTES, "a link's target fits");
	struct image_links links;
	if (image_links_read(options->root ? options->root : "/", &layer->arena, &links, err) < 0)
		return -1;
	/* What is mounted over, and where Lambda and runtimes of containers put files of their own. */
	static const char *const empty[] = { "/dev", "/proc", "/sys", "/var/task" };
	add_directory(layer, "/tmp", 01777);
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		add_directory(layer, empty[i], 0755);
	static const char *const mounted[] = { "/etc/hostname", "/etc/hosts", "/etc/resolv.conf" };
	for (size_t i = 0; i < sizeof(mounted) / sizeof(mounted[0]); i++)
		add_file(layer, mounted[i], 0644, &(struct buf){ 0 });
	for (size_t i = 0; i < links.n; i++) {
		add_directory(layer, path_dirname(&layer->arena, links.paths[i]), 0755);
		struct tar_entry link = { .kind = TAR_SYMLINK,
			.path = links.paths[i] + 1,
			.mode = 0777,
			.target = arena_printf(&layer->arena, "%s%s", IMAGE_TREE, links.paths[i]) };
		tar_add(&layer->tar, &link, (struct slice){ 0 });
	}
	tar_end(&layer->tar);
	report->n_links = (unsigned)links.n;
	return 0;
}

/* 0: nothing stands there, 1: something that may be replaced. */
static int examine(const char *dir, struct error *err)
{
	struct stat st;
	if (lstat(dir, &st) < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "cannot examine %s", dir);
	_cleanup_closedir_ DIR *open = S_ISDIR(st.st_mode) ? opendir(dir) : NULL;
	if (!open)
		return error_set(err, S_ISDIR(st.st_mode) ? errno : ENOTDIR, "cannot write an image to %s", dir);
	const struct dirent *entry;
	errno = 0;
	while ((entry = readdir(open)) && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0))
		errno = 0;
	if (!entry && errno)
		return error_set(err, errno, "cannot list %s", dir);
	if (entry && !oci_has_title(dir, TITLE))
		return error_set(err, 0, "%s is neither empty nor an image of llama; name another directory", dir);
	return 1;
}

/* Put the complete `made` in the place of `dir`, and what stood there in `made`'s. */
static int put_in_place(const char *made, const char *dir, bool replace, struct error *err)
{
	if (renameat2(AT_FDCWD, made, AT_FDCWD, dir, replace ? RENAME_EXCHANGE : RENAME_NOREPLACE) == 0)
		return 0;
	/* A file system without these: for a moment nothing is there. */
	if (errno != EINVAL && errno != ENOSYS)
		return error_set(err, errno, "cannot put the image in place at %s", dir);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *old = arena_printf(&arena, "%s.old", made);
	if (replace && rename(dir, old) < 0)
		return error_set(err, errno, "cannot move %s away", dir);
	if (rename(made, dir) == 0)
		return replace && rename(old, made) < 0 ? error_set(err, errno, "cannot move %s away", old) : 0;
	error_set(err, errno, "cannot put the image in place at %s", dir);
	if (replace && rename(old, dir) < 0)
		return error_wrap(err, "what was there is now %s", old);
	return -1;
}

int image_build(const struct image_options *options, const char *dir, struct image_report *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_layer_ struct layer runtime = { 0 };
	_cleanup_layer_ struct layer links = { 0 };
	static const char *const entrypoint[] = { IMAGE_ENTRY_POINT, NULL };
	/* No openssl.cnf that a job's tree happens to have is the runtime's. */
	static const char *const env[] = { "AWS_CA_BUNDLE=" IMAGE_CA_BUNDLE, "OPENSSL_CONF=/dev/null", NULL };
	struct image_report report = { 0 };
	struct oci_written written;

	/* What a symlink leads to is replaced, not the link; and what is yet to be made is beside where its name ends. */
	char cwd[PATH_MAX], *real = realpath(dir, NULL);
	if (!real && dir[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return error_set(err, errno, "cannot tell what the current directory is");
	dir = real ? arena_strdup(&arena, real) : path_squeeze(&arena, path_absolute(&arena, cwd, dir));
	free(real);
	int replace = examine(dir, err);
	if (replace < 0 || make_runtime(options, &runtime, &report, err) < 0 ||
		make_links(options, &links, &report, err) < 0)
		return -1;

	struct oci_layer layers[] = {
		{ buf_slice(&runtime.tar), "llama image build: the runtime, its loader and libraries" },
		{ buf_slice(&links.tar), "llama image build: links into the mirrored tree" },
	};
	struct oci_image image = { .title = TITLE,
		.architecture = report.architecture,
		.entrypoint = entrypoint,
		.env = env,
		.layers = layers,
		.n_layers = 2 };
	char *made = arena_printf(&arena, "%s.XXXXXX", dir);
	if (!mkdtemp(made))
		return error_set(err, errno, "cannot make a directory beside %s", dir);
	int result = chmod(made, 0755) < 0 ? error_set(err, errno, "cannot chmod %s", made)
					   : oci_write(made, &image, &written, err);
	if (result == 0)
		result = put_in_place(made, dir, replace, err);
	/* What was replaced, or what was begun; after a rename nothing. A failure's reason comes first. */
	struct error why;
	if (file_remove_tree(AT_FDCWD, made, &why) < 0 && result == 0)
		result = error_set(err, why.code, "the image is in place, but what it replaced is left: %s", why.text);
	if (result == 0 && ret) {
		report.manifest = written.manifest;
		report.layer_bytes = written.layer_bytes;
		report.content_bytes = (int64_t)(runtime.tar.len + links.tar.len);
		*ret = report;
	}
	return result;
}
