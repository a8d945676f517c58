#include "files/home.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/list.h"
#include "base/map.h"

struct seen {
	struct digest digest; /* its hash is the key in the map */
	char *path;	      /* owned */
};

struct home {
	struct store store;
	pthread_mutex_t mutex;
	struct map seen; /* guarded by mutex, as is what it holds */
};

static struct home *self(struct store *store)
{
	return container_of(store, struct home, store);
}

void home_store_remember(struct store *store, const struct digest *digest, const char *path)
{
	struct home *home = self(store);
	pthread_mutex_lock(&home->mutex);
	struct seen *seen = map_get(&home->seen, digest_slice(digest));
	if (!seen) {
		seen = calloc(1, sizeof(*seen));
		if (!seen)
			abort();
		seen->digest = *digest;
		map_put(&home->seen, digest_slice(&seen->digest), seen);
	}
	if (!seen->path || strcmp(seen->path, path) != 0) {
		free(seen->path);
		seen->path = strdup(path);
		if (!seen->path)
			abort();
	}
	pthread_mutex_unlock(&home->mutex);
}

static char *find_path(struct store *store, const struct digest *digest)
{
	struct home *home = self(store);
	pthread_mutex_lock(&home->mutex);
	const struct seen *seen = map_get(&home->seen, digest_slice(digest));
	char *path = seen && seen->digest.size_bytes == digest->size_bytes ? strdup(seen->path) : NULL;
	pthread_mutex_unlock(&home->mutex);
	return path;
}

/* The file in which the blob should be, or -1 when there is none. */
static int open_blob(struct store *store, const struct digest *digest)
{
	_cleanup_free_ char *path = find_path(store, digest);
	if (!path)
		return -1;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != digest->size_bytes)
		return -1;
	return take_fd(fd);
}

/* What can't be read at home any more is a miss, as is what changed: both are found out by asking home again. */
static int home_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err)
{
	_cleanup_close_ int fd = open_blob(store, digest);
	if (fd < 0)
		return STORE_MISS;
	size_t start = ret->len;
	if (file_read_fd(fd, (size_t)digest->size_bytes, ret, NULL) == 0) {
		struct digest found = digest_of(slice_of(buf_str(ret) + start, ret->len - start));
		if (digest_equal(&found, digest))
			return 0;
	}
	ret->len = start;
	return STORE_MISS;
}

static int home_get_fd(struct store *store, const struct digest *digest, int to, struct error *err)
{
	off_t start = lseek(to, 0, SEEK_CUR);
	if (start < 0) {
		/* What was written into a stream can't be taken back, so all of it is verified first. */
		_cleanup_buf_ struct buf bytes = { 0 };
		int r = home_get(store, digest, &bytes, err);
		return r != 0 ? r : file_write_fd(to, buf_slice(&bytes), err);
	}
	_cleanup_close_ int fd = open_blob(store, digest);
	if (fd < 0)
		return STORE_MISS;
	struct digest_hash *hash = digest_hash_new();
	char bytes[64 * 1024];
	ssize_t n;
	int r = 0;
	while (r == 0 && ((n = read(fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR))) {
		if (n < 0)
			continue;
		digest_hash_add(hash, slice_of(bytes, (size_t)n));
		r = file_write_fd(to, slice_of(bytes, (size_t)n), err);
	}
	struct digest found;
	digest_hash_end(hash, &found);
	if (r < 0 || digest_equal(&found, digest))
		return r;
	if (ftruncate(to, start) < 0 || lseek(to, start, SEEK_SET) < 0)
		return error_set(err, errno, "cannot take back a file that changed while it was copied");
	return STORE_MISS;
}

static int home_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err)
{
	return error_set(err, ENOTSUP, "the files at home take no blobs");
}

static int home_contains(struct store *store, const struct digest *digest)
{
	_cleanup_close_ int fd = open_blob(store, digest);
	return fd < 0 ? STORE_MISS : 0;
}

static void home_free(struct store *store)
{
	struct home *home = self(store);
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&home->seen, &at));) {
		struct seen *seen = e->value;
		free(seen->path);
		free(seen);
	}
	map_deinit(&home->seen);
	pthread_mutex_destroy(&home->mutex);
	free(home);
}

static const struct store_ops home_ops = {
	.name = "home",
	.get = home_get,
	.get_fd = home_get_fd,
	.put = home_put,
	.contains = home_contains,
	.free = home_free,
};

struct store *home_store_new(void)
{
	struct home *home = calloc(1, sizeof(*home));
	if (!home)
		abort();
	home->store.ops = &home_ops;
	pthread_mutex_init(&home->mutex, NULL);
	return &home->store;
}
