#include "files/reading.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct view_info reading_info(const struct stat *st)
{
	struct view_info info = {
		.mode = st->st_mode,
		.links = (uint32_t)st->st_nlink,
		.identity = { st->st_dev, st->st_ino, st->st_size, nanoseconds(st->st_mtim), nanoseconds(st->st_ctim) },
	};
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		info.kind = VIEW_FILE;
		break;
	case S_IFDIR:
		info.kind = VIEW_DIRECTORY;
		break;
	case S_IFLNK:
		info.kind = VIEW_LINK;
		break;
	default:
		info.kind = VIEW_SPECIAL;
	}
	return info;
}

static int read_text(int fd, struct buf *text, struct digest *ret, struct error *err)
{
	if (file_read_fd(fd, VIEW_LARGE_BYTES, text, err) < 0)
		return -1;
	*ret = digest_of(buf_slice(text));
	return 0;
}

int reading_make(const char *path, int64_t (*now_ns)(void), struct buf *text, struct reading *ret, struct error *err)
{
	*ret = (struct reading){ 0 };
	if (text)
		buf_reset(text);
	/* It was a regular file a moment ago; should it be a FIFO or a terminal now, don't wait for it nor take it
	 * over. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", path);
	struct stat before, after;
	if (fstat(fd, &before) < 0)
		return error_set(err, errno, "cannot stat %s", path);
	ret->info = reading_info(&before);
	if (ret->info.kind != VIEW_FILE)
		return VIEW_NOT_A_FILE;
	ret->begun_ns = now_ns();
	bool short_enough = text && before.st_size < VIEW_LARGE_BYTES;
	if ((short_enough ? read_text(fd, text, &ret->digest, err) : digest_fd(fd, &ret->digest, err)) < 0)
		return error_wrap(err, "%s", path);
	if (fstat(fd, &after) < 0)
		return error_set(err, errno, "cannot stat %s", path);
	struct view_info read = reading_info(&after);
	if (!view_identity_equal(&ret->info.identity, &read.identity) || ret->digest.size_bytes != read.identity.size)
		return error_set(err, 0, "%s changed while it was read", path);
	return 0;
}
