#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"

int file_read_fd(int fd, size_t limit_bytes, struct buf *ret, struct error *err)
{
	struct stat st;
	size_t expect = 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		expect = (size_t)st.st_size;
	if (expect > limit_bytes)
		return error_set(err, EFBIG, "cannot read file");
	size_t total = 0;
	for (;;) {
		/* One byte more than the file should have: enough to see its end without another buffer. */
		size_t room = expect > 0 && expect >= total ? expect - total + 1 : 64 * 1024;
		char *at = buf_reserve(ret, room);
		ssize_t n = read(fd, at, room);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return error_set(err, errno, "cannot read file");
		}
		if (n == 0)
			break;
		ret->len += (size_t)n;
		total += (size_t)n;
		if (total > limit_bytes)
			return error_set(err, EFBIG, "cannot read file");
	}
	if (ret->ptr)
		ret->ptr[ret->len] = '\0';
	return 0;
}

int file_read(const char *path, size_t limit_bytes, struct buf *ret, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", path);
	if (file_read_fd(fd, limit_bytes, ret, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

int file_write_fd(int fd, struct slice bytes, struct error *err)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return error_set(err, errno, "cannot write file");
		}
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
	return 0;
}

int file_replace(const char *path, struct slice bytes, mode_t mode, struct error *err)
{
	_cleanup_buf_ struct buf temporary = { 0 };
	buf_printf(&temporary, "%s.XXXXXX", path);
	_cleanup_close_ int fd = mkostemp(temporary.ptr, O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot create %s", temporary.ptr);
	if (file_write_fd(fd, bytes, err) < 0) {
		error_wrap(err, "%s", temporary.ptr);
	} else if (fchmod(fd, mode) < 0) {
		error_set(err, errno, "cannot set the mode of %s", temporary.ptr);
	} else if (rename(temporary.ptr, path) < 0) {
		error_set(err, errno, "cannot rename %s to %s", temporary.ptr, path);
	} else {
		return 0;
	}
	unlink(temporary.ptr);
	return -1;
}

static bool has_default_acl(const char *path)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = snprintf(directory, sizeof(directory), "%.*s/.", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return n < (int)sizeof(directory) && getxattr(directory, "system.posix_acl_default", NULL, 0) > 0;
}

int file_create(const char *path, mode_t mode, mode_t mask, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return error_set(err, errno, "cannot create %s", path);
	/* Our own umask may have been in the way; the one that is wanted can't be set for one thread alone. */
	if (!has_default_acl(path) && fchmod(fd, mode & ~mask) < 0) {
		error_set(err, errno, "cannot set the mode of %s", path);
		unlink(path);
		return -1;
	}
	return take_fd(fd);
}

int file_copy_fd(int from, int to, struct error *err)
{
	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	off_t offset = 0;
	for (;;) {
		ssize_t n = copy_file_range(from, &offset, to, NULL, 1 << 30, 0);
		if (n == 0 && offset > 0)
			return 0;
		if (n == 0)
			break; /* empty, or a file of /proc, which has no size but content */
		if (n > 0)
			continue;
		if (errno == EINTR)
			continue;
		if (offset > 0 || (errno != EXDEV && errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP && errno != EPERM))
			return error_set(err, errno, "cannot copy file");
		break;
	}
	char bytes[64 * 1024];
	for (;;) {
		ssize_t n = pread(from, bytes, sizeof(bytes), offset);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return error_set(err, errno, "cannot read file");
		}
		if (n == 0)
			return 0;
		if (file_write_fd(to, slice_of(bytes, (size_t)n), err) < 0)
			return -1;
		offset += n;
	}
}

int file_make_dirs(const char *path, mode_t mode, struct error *err)
{
	if (mkdir(path, mode) == 0)
		return 0;
	if (errno == EEXIST) {
		struct stat st;
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return 0;
		return error_set(err, ENOTDIR, "cannot make directory %s", path);
	}
	if (errno != ENOENT)
		return error_set(err, errno, "cannot make directory %s", path);
	_cleanup_free_ char *parent = strdup(path);
	char *slash = strrchr(parent, '/');
	while (slash && slash > parent && slash[1] == '\0') {
		*slash = '\0';
		slash = strrchr(parent, '/');
	}
	if (!slash || slash == parent)
		return error_set(err, ENOENT, "cannot make directory %s", path);
	*slash = '\0';
	if (file_make_dirs(parent, mode, err) < 0)
		return -1;
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_set(err, errno, "cannot make directory %s", path);
	return 0;
}

int file_check_own_dir(const char *path, struct error *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return error_set(err, errno, "cannot examine directory %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "cannot use %s", path);
	if (st.st_uid != geteuid())
		return error_set(err, 0, "the directory %s belongs to user %u", path, st.st_uid);
	if (st.st_mode & 022)
		return error_set(err, 0, "others may write to %s, which has mode %03o; run `chmod go-w %s`", path,
			st.st_mode & 0777, path);
	return 0;
}

int file_remove_tree(int dirfd, const char *name, struct error *err)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_set(err, errno, "cannot remove %s", name);
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot open directory %s", name);
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	if (!dir) {
		int code = errno;
		close(fd);
		return error_set(err, code, "cannot read directory %s", name);
	}
	struct stat st;
	if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
		(void)fchmod(fd, 0700); /* if this fails, removing the first entry says why */
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry) {
			if (errno)
				return error_set(err, errno, "cannot read directory %s", name);
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (file_remove_tree(fd, entry->d_name, err) < 0)
			return error_wrap(err, "%s", name);
	}
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_set(err, errno, "cannot remove directory %s", name);
	return 0;
}
