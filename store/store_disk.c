/* How it works: `blobs` maps a hash to a struct blob, which is also a link of `by_use`, least recently used first.
 * Both, and the total, are guarded by the mutex; files are read, written and hashed outside of it, and what was learnt
 * is entered afterwards by looking the blob up again, because it may be gone by then. The files are the truth: an entry
 * whose file has vanished is dropped when that is noticed, and a put writes it again. */
#include "store/store_disk.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "base/map.h"

enum {
	PATH_BYTES = 4096,
	SMALL_BYTES = 64 * 1024,       /* up to here a file is read and written in one piece, through memory */
	TOUCH_SECONDS = 3600,	       /* a hit renews the mtime at most that often */
	STALE_TEMPORARY_SECONDS = 3600 /* a temporary of that age was left behind by a crash */
};

/* What must be unchanged for a file to be the one that was verified. */
struct identity {
	uint64_t inode;
	int64_t size_bytes, mtime_ns, ctime_ns;
};

struct blob {
	struct digest digest; /* its hash is the key in the map */
	struct list by_use;
	struct identity identity;
	int64_t used_s; /* the mtime that was last set, real time */
	bool verified;	/* the file with this identity was hashed or written by us */
};

struct store_disk {
	struct store store;
	char *dir; /* owned */
	int64_t limit_bytes;
	pthread_mutex_t mutex;
	struct { /* guarded by mutex */
		struct map blobs;
		struct list by_use;
		int64_t size_bytes;
		uint64_t n_temporaries;
	} synced;
};

static struct store_disk *self(struct store *store)
{
	return container_of(store, struct store_disk, store);
}

static int64_t timespec_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct identity identity_of(const struct stat *st)
{
	return (struct identity){
		.inode = st->st_ino,
		.size_bytes = st->st_size,
		.mtime_ns = timespec_ns(st->st_mtim),
		.ctime_ns = timespec_ns(st->st_ctim),
	};
}

static bool identity_equal(const struct identity *a, const struct identity *b)
{
	return a->inode == b->inode && a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns &&
	       a->ctime_ns == b->ctime_ns;
}

static void blob_path(const struct store_disk *disk, const struct digest *digest, char *ret)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	snprintf(ret, PATH_BYTES, "%s/%.2s/%s", disk->dir, hex, hex + 2);
}

/* Index; the mutex is held. */

static struct blob *index_find(struct store_disk *disk, const struct digest *digest)
{
	struct blob *blob = map_get(&disk->synced.blobs, digest_slice(digest));
	return blob && blob->digest.size_bytes == digest->size_bytes ? blob : NULL;
}

static void index_drop(struct store_disk *disk, struct blob *blob)
{
	map_remove(&disk->synced.blobs, digest_slice(&blob->digest));
	list_remove(&blob->by_use);
	disk->synced.size_bytes -= blob->digest.size_bytes;
	free(blob);
}

static struct blob *index_add(struct store_disk *disk, const struct digest *digest)
{
	struct blob *blob = calloc(1, sizeof(*blob));
	if (!blob)
		abort();
	blob->digest = *digest;
	list_init(&blob->by_use);
	list_append(&disk->synced.by_use, &blob->by_use);
	struct blob *old = map_put(&disk->synced.blobs, digest_slice(&blob->digest), blob);
	assert(!old);
	disk->synced.size_bytes += digest->size_bytes;
	return blob;
}

/* Remove the least recently used until the limit is kept, but never `keep`. */
static void index_evict(struct store_disk *disk, const struct blob *keep)
{
	struct blob *blob;
	if (disk->limit_bytes == 0)
		return;
	list_for_each (blob, &disk->synced.by_use, struct blob, by_use) {
		if (disk->synced.size_bytes <= disk->limit_bytes)
			break;
		if (blob == keep)
			continue;
		char path[PATH_BYTES];
		blob_path(disk, &blob->digest, path);
		unlink(path); /* if it can't be removed nothing is gained by keeping it in the index */
		index_drop(disk, blob);
	}
}

/* The file with this identity is the blob, whole. Makes the entry if there is none, and room for it. */
static void remember(struct store_disk *disk, const struct digest *digest, const struct identity *identity)
{
	pthread_mutex_lock(&disk->mutex);
	struct blob *blob = map_get(&disk->synced.blobs, digest_slice(digest));
	if (blob && blob->digest.size_bytes != digest->size_bytes) { /* of a file that was cut off, replaced now */
		index_drop(disk, blob);
		blob = NULL;
	}
	if (!blob)
		blob = index_add(disk, digest);
	blob->identity = *identity;
	blob->used_s = identity->mtime_ns / 1000000000;
	blob->verified = true;
	index_evict(disk, blob);
	pthread_mutex_unlock(&disk->mutex);
}

/* The file was seen to be missing, or, with the identity `seen`, to be something else: drop the entry, unless another
 * thread has put the blob anew meanwhile, and remove the file. */
static void forget(struct store_disk *disk, const struct digest *digest, const char *path, const struct identity *seen)
{
	pthread_mutex_lock(&disk->mutex);
	struct blob *blob = index_find(disk, digest);
	struct stat st;
	bool there = lstat(path, &st) == 0;
	struct identity now = there ? identity_of(&st) : (struct identity){ 0 };
	if (there && seen && identity_equal(&now, seen) && unlink(path) == 0)
		there = false;
	if (blob && !there)
		index_drop(disk, blob);
	pthread_mutex_unlock(&disk->mutex);
}

/* Renew the mtime of a blob that is in use, which is all that survives a restart of its place in the order. */
static void touch(struct store_disk *disk, const struct digest *digest, int fd)
{
	struct stat st;
	if (futimens(fd, NULL) == 0 && fstat(fd, &st) == 0) {
		struct identity identity = identity_of(&st);
		remember(disk, digest, &identity);
	}
}

/* Open the file of a blob and make sure that it is the blob: 0 with `fd_ret` at its start, or STORE_MISS, or -1. */
static int open_verified(struct store_disk *disk, const struct digest *digest, int *fd_ret, struct error *err)
{
	int64_t now_s = clock_realtime_ns() / 1000000000;
	pthread_mutex_lock(&disk->mutex);
	struct blob *blob = index_find(disk, digest);
	if (!blob) {
		pthread_mutex_unlock(&disk->mutex);
		return STORE_MISS;
	}
	list_remove(&blob->by_use);
	list_append(&disk->synced.by_use, &blob->by_use);
	bool renew = now_s - blob->used_s > TOUCH_SECONDS;
	bool verified = blob->verified;
	struct identity known = blob->identity;
	pthread_mutex_unlock(&disk->mutex);

	char path[PATH_BYTES];
	blob_path(disk, digest, path);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return error_set(err, errno, "cannot open blob %s", path);
	if (fd < 0) {
		forget(disk, digest, path, NULL);
		return STORE_MISS;
	}
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot examine blob %s", path);
	struct identity identity = identity_of(&st);
	if (!verified || !identity_equal(&identity, &known)) {
		struct digest actual = { .size_bytes = -1 };
		if (S_ISREG(st.st_mode) && st.st_size == digest->size_bytes) {
			if (digest_fd(fd, &actual, err) < 0)
				return error_wrap(err, "blob %s", path);
			if (lseek(fd, 0, SEEK_SET) < 0)
				return error_set(err, errno, "cannot rewind blob %s", path);
		}
		if (!digest_equal(&actual, digest)) {
			forget(disk, digest, path, &identity);
			return STORE_MISS;
		}
		remember(disk, digest, &identity);
	}
	if (renew)
		touch(disk, digest, fd);
	*fd_ret = take_fd(fd);
	return 0;
}

/* Read exactly `size` bytes; a file that ends early is an error. */
static int read_exactly(int fd, char *bytes, size_t size, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, bytes + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "cannot read blob");
		if (n == 0)
			return error_set(err, EIO, "blob became shorter while it was read");
		done += (size_t)n;
	}
	return 0;
}

static int disk_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_verified(self(store), digest, &fd, err);
	if (r != 0)
		return r;
	size_t size = (size_t)digest->size_bytes;
	if (read_exactly(fd, buf_reserve(ret, size), size, err) < 0)
		return -1;
	ret->len += size;
	ret->ptr[ret->len] = '\0';
	return 0;
}

static int disk_get_fd(struct store *store, const struct digest *digest, int to, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_verified(self(store), digest, &fd, err);
	if (r != 0)
		return r;
	if (digest->size_bytes > SMALL_BYTES)
		return file_copy_fd(fd, to, err);
	char bytes[SMALL_BYTES];
	size_t size = (size_t)digest->size_bytes;
	if (read_exactly(fd, bytes, size, err) < 0)
		return -1;
	return file_write_fd(to, slice_of(bytes, size), err);
}

/* Whether a put can be spared: 0 = the blob is here, whole; STORE_MISS; -1. */
static int present(struct store_disk *disk, const struct digest *digest, struct error *err)
{
	_cleanup_close_ int fd = -1;
	return open_verified(disk, digest, &fd, err);
}

struct temporary {
	char path[PATH_BYTES];
	int fd;
};

static int temporary_open(struct store_disk *disk, struct temporary *ret, struct error *err)
{
	pthread_mutex_lock(&disk->mutex);
	uint64_t n = disk->synced.n_temporaries++;
	pthread_mutex_unlock(&disk->mutex);
	snprintf(ret->path, sizeof(ret->path), "%s/tmp/%d-%" PRIu64, disk->dir, (int)getpid(), n);
	for (int attempt = 0;; attempt++) {
		ret->fd = open(ret->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (ret->fd >= 0)
			return 0;
		if (errno == EEXIST && attempt == 0) {
			unlink(ret->path); /* of a process that had our number */
			continue;
		}
		if (errno != ENOENT || attempt == 2)
			return error_set(err, errno, "cannot create %s", ret->path);
		char parent[PATH_BYTES];
		snprintf(parent, sizeof(parent), "%s/tmp", disk->dir);
		if (file_make_dirs(parent, 0700, err) < 0)
			return -1;
	}
}

/* Rename a whole file, open as `fd`, to the place of its blob. */
static int move_in(struct store_disk *disk, const struct digest *digest, const char *from, int fd, struct error *err)
{
	char path[PATH_BYTES];
	blob_path(disk, digest, path);
	if (rename(from, path) < 0) {
		if (errno != ENOENT)
			return error_set(err, errno, "cannot rename %s to %s", from, path);
		char parent[PATH_BYTES];
		snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
		if (file_make_dirs(parent, 0700, err) < 0)
			return -1;
		if (rename(from, path) < 0)
			return error_set(err, errno, "cannot rename %s to %s", from, path);
	}
	struct stat st;
	if (fstat(fd, &st) < 0) /* after the rename, which changes the ctime */
		return error_set(err, errno, "cannot examine blob %s", path);
	struct identity identity = identity_of(&st);
	remember(disk, digest, &identity);
	return 0;
}

/* Ends a temporary that was written with the outcome `r`: kept under its name, or removed. */
static int temporary_close(
	struct store_disk *disk, struct temporary *temporary, int r, const struct digest *digest, struct error *err)
{
	if (r == 0)
		r = move_in(disk, digest, temporary->path, temporary->fd, err);
	else
		error_wrap(err, "%s", temporary->path);
	close(temporary->fd);
	if (r != 0)
		unlink(temporary->path);
	return r;
}

static int disk_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err)
{
	struct store_disk *disk = self(store);
	int r = present(disk, digest, err);
	if (r <= 0)
		return r;
	struct temporary temporary;
	if (temporary_open(disk, &temporary, err) < 0)
		return -1;
	r = file_write_fd(temporary.fd, bytes, err);
	return temporary_close(disk, &temporary, r, digest, err);
}

static ssize_t read_at(int fd, char *bytes, size_t size, off_t offset)
{
	ssize_t n;
	do
		n = pread(fd, bytes, size, offset);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Copy and hash in one pass, so that the digest is that of the copy even if the file changes under us. */
static int copy_and_hash(int from, int to, struct digest *ret, struct error *err)
{
	struct digest_hash *hash = digest_hash_new();
	char bytes[SMALL_BYTES];
	for (off_t offset = 0;;) {
		ssize_t n = read_at(from, bytes, sizeof(bytes), offset);
		if (n == 0) {
			digest_hash_end(hash, ret);
			return 0;
		}
		if (n < 0)
			error_set(err, errno, "cannot read file");
		if (n < 0 || file_write_fd(to, slice_of(bytes, (size_t)n), err) < 0) {
			digest_hash_end(hash, NULL);
			return -1;
		}
		digest_hash_add(hash, slice_of(bytes, (size_t)n));
		offset += n;
	}
}

static int disk_put_fd(struct store *store, int fd, struct digest *ret, struct error *err)
{
	struct store_disk *disk = self(store);
	char bytes[SMALL_BYTES];
	ssize_t n = read_at(fd, bytes, sizeof(bytes), 0);
	if (n < 0)
		return error_set(err, errno, "cannot read file");
	/* A regular file gives as much as is there: less than was asked for is all. */
	if ((size_t)n < sizeof(bytes)) {
		struct digest digest = digest_of(slice_of(bytes, (size_t)n));
		if (disk_put(store, &digest, slice_of(bytes, (size_t)n), err) < 0)
			return -1;
		*ret = digest;
		return 0;
	}
	struct temporary temporary;
	if (temporary_open(disk, &temporary, err) < 0)
		return -1;
	struct digest digest;
	int r = copy_and_hash(fd, temporary.fd, &digest, err);
	if (temporary_close(disk, &temporary, r, &digest, err) < 0)
		return -1;
	*ret = digest;
	return 0;
}

static int disk_contains(struct store *store, const struct digest *digest)
{
	struct store_disk *disk = self(store);
	pthread_mutex_lock(&disk->mutex);
	struct blob *blob = index_find(disk, digest);
	pthread_mutex_unlock(&disk->mutex);
	return blob ? 0 : STORE_MISS;
}

static void disk_free(struct store *store)
{
	struct store_disk *disk = self(store);
	struct blob *blob;
	list_for_each (blob, &disk->synced.by_use, struct blob, by_use)
		free(blob);
	map_deinit(&disk->synced.blobs);
	pthread_mutex_destroy(&disk->mutex);
	free(disk->dir);
	free(disk);
}

static const struct store_ops disk_ops = {
	.name = "disk",
	.get = disk_get,
	.get_fd = disk_get_fd,
	.put = disk_put,
	.put_fd = disk_put_fd,
	.contains = disk_contains,
	.free = disk_free,
};

/* Start: find what is there. */

static void remove_stale_temporaries(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	if (!dir)
		return;
	int64_t now_s = clock_realtime_ns() / 1000000000;
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat st;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
			now_s - st.st_mtime > STALE_TEMPORARY_SECONDS)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
}

/* The blobs of `<dir>/<first>`; names that are none of ours are left alone. */
static int scan_directory(struct store_disk *disk, unsigned first, struct error *err)
{
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "%s/%02x", disk->dir, first);
	_cleanup_closedir_ DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : error_set(err, errno, "cannot read directory %s", path);
	for (struct dirent *entry; (entry = readdir(dir));) {
		char hex[DIGEST_HEX_CHARS + 1];
		struct digest digest;
		struct stat st;
		if (strlen(entry->d_name) != DIGEST_HEX_CHARS - 2)
			continue;
		snprintf(hex, sizeof(hex), "%02x%s", first, entry->d_name);
		if (digest_parse_hex(slice_str(hex), &digest) < 0 ||
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		digest.size_bytes = st.st_size;
		struct blob *blob = index_add(disk, &digest);
		blob->used_s = st.st_mtime;
	}
	return 0;
}

static int by_used(const void *a, const void *b)
{
	const struct blob *x = *(struct blob *const *)a, *y = *(struct blob *const *)b;
	return x->used_s < y->used_s ? -1 : x->used_s > y->used_s;
}

static void sort_by_use(struct store_disk *disk)
{
	size_t n = 0;
	struct blob **all = malloc((disk->synced.blobs.n + 1) * sizeof(*all));
	if (!all)
		abort();
	struct blob *blob;
	list_for_each (blob, &disk->synced.by_use, struct blob, by_use)
		all[n++] = blob;
	qsort(all, n, sizeof(*all), by_used);
	list_init(&disk->synced.by_use);
	for (size_t i = 0; i < n; i++)
		list_append(&disk->synced.by_use, &all[i]->by_use);
	free(all);
}

struct store *store_disk_new(const char *dir, int64_t limit_bytes, struct error *err)
{
	/* Room for "/xx/" and a name, or "/tmp/" and two numbers. */
	if (strlen(dir) + 80 > PATH_BYTES) {
		error_set(err, ENAMETOOLONG, "cannot keep blobs below %s", dir);
		return NULL;
	}
	if (file_make_dirs(dir, 0700, err) < 0)
		return NULL;
	struct store_disk *disk = calloc(1, sizeof(*disk));
	if (!disk)
		abort();
	disk->store.ops = &disk_ops;
	disk->dir = strdup(dir);
	disk->limit_bytes = limit_bytes;
	pthread_mutex_init(&disk->mutex, NULL);
	list_init(&disk->synced.by_use);

	char temporaries[PATH_BYTES];
	snprintf(temporaries, sizeof(temporaries), "%s/tmp", dir);
	bool ok = file_make_dirs(temporaries, 0700, err) == 0;
	for (unsigned first = 0; ok && first < 256; first++)
		ok = scan_directory(disk, first, err) == 0;
	if (!ok) {
		disk_free(&disk->store);
		return NULL;
	}
	remove_stale_temporaries(temporaries);
	sort_by_use(disk);
	index_evict(disk, NULL);
	return &disk->store;
}

int64_t store_disk_size(struct store *store)
{
	struct store_disk *disk = self(store);
	pthread_mutex_lock(&disk->mutex);
	int64_t size_bytes = disk->synced.size_bytes;
	pthread_mutex_unlock(&disk->mutex);
	return size_bytes;
}

int64_t store_disk_limit(struct store *store)
{
	return self(store)->limit_bytes;
}

int store_disk_clear(struct store *store, struct error *err)
{
	struct store_disk *disk = self(store);
	struct blob *blob;
	int r = 0;
	pthread_mutex_lock(&disk->mutex);
	list_for_each (blob, &disk->synced.by_use, struct blob, by_use) {
		char path[PATH_BYTES];
		blob_path(disk, &blob->digest, path);
		if (unlink(path) == 0 || errno == ENOENT)
			index_drop(disk, blob);
		else
			r = error_set(err, errno, "cannot remove blob %s", path);
	}
	pthread_mutex_unlock(&disk->mutex);
	return r;
}

int store_disk_take_file(struct store *store, const char *path, struct digest *ret, struct error *err)
{
	struct store_disk *disk = self(store);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", path);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot examine %s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return error_set(err, EINVAL, "%s is not a regular file with one name", path);
	struct digest digest;
	if (digest_fd(fd, &digest, err) < 0)
		return error_wrap(err, "%s", path);
	int r = present(disk, &digest, err);
	if (r < 0)
		return -1;
	if (r == 0) {
		if (unlink(path) < 0)
			return error_set(err, errno, "cannot remove %s", path);
	} else {
		if (fchmod(fd, 0444) < 0)
			return error_set(err, errno, "cannot set the mode of %s", path);
		if (move_in(disk, &digest, path, fd, err) < 0) {
			(void)fchmod(fd, st.st_mode & 07777); /* as it was; the first error is the one to tell */
			return -1;
		}
	}
	*ret = digest;
	return 0;
}
