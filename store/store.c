#include "store/store.h"

#include <assert.h>
#include <unistd.h>

#include "base/file.h"

int store_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err)
{
	return store->ops->get(store, digest, ret, err);
}

int store_get_fd(struct store *store, const struct digest *digest, int fd, struct error *err)
{
	if (store->ops->get_fd)
		return store->ops->get_fd(store, digest, fd, err);
	_cleanup_buf_ struct buf bytes = { 0 };
	int r = store->ops->get(store, digest, &bytes, err);
	return r != 0 ? r : file_write_fd(fd, buf_slice(&bytes), err);
}

int store_put(struct store *store, const struct digest *digest, struct slice bytes, struct error *err)
{
	assert(digest->size_bytes == (int64_t)bytes.len);
	return store->ops->put(store, digest, bytes, err);
}

int store_put_fd(struct store *store, int fd, struct digest *ret, struct error *err)
{
	if (store->ops->put_fd)
		return store->ops->put_fd(store, fd, ret, err);
	_cleanup_buf_ struct buf bytes = { 0 };
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set(err, errno, "cannot rewind file");
	if (file_read_fd(fd, SIZE_MAX / 8, &bytes, err) < 0)
		return -1;
	struct digest digest = digest_of(buf_slice(&bytes));
	if (store->ops->put(store, &digest, buf_slice(&bytes), err) < 0)
		return -1;
	*ret = digest;
	return 0;
}

int store_contains(struct store *store, const struct digest *digest)
{
	return store->ops->contains(store, digest);
}

void store_free(struct store *store)
{
	if (store)
		store->ops->free(store);
}
