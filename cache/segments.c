#include "cache/segments.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

struct segment {
	char name[NAME_MAX + 1];
	struct slice bytes; /* mapped */
};

struct segments {
	char *directory;
	size_t limit;
	struct segment **v; /* the youngest first */
	size_t n;
};

static char *path_of(const struct segments *segments, const char *name, struct buf *path)
{
	buf_printf(path, "%s/%s", segments->directory, name);
	return path->ptr;
}

static void remove_file(const struct segments *segments, const char *name)
{
	_cleanup_buf_ struct buf path = { 0 };
	unlink(path_of(segments, name, &path)); /* what can't be removed is looked at again at the next start */
}

static void free_segment(struct segment *segment)
{
	munmap((void *)segment->bytes.ptr, segment->bytes.len);
	free(segment);
}

int segments_add(struct segments *segments, const char *name, struct error *err)
{
	_cleanup_buf_ struct buf path = { 0 };
	struct stat st;
	assert(strlen(name) <= NAME_MAX && !segments_have(segments, name));
	_cleanup_close_ int fd = open(path_of(segments, name, &path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot open %s", path.ptr);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return error_set(err, EBADMSG, "%s is no segment", path.ptr);
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_set(err, errno, "cannot map %s", path.ptr);
	if (segment_check(slice_of(at, (size_t)st.st_size), err) < 0) {
		munmap(at, (size_t)st.st_size);
		return error_wrap(err, "%s", path.ptr);
	}
	struct segment *segment = calloc(1, sizeof(*segment));
	segments->v = realloc(segments->v, (segments->n + 1) * sizeof(*segments->v));
	if (!segment || !segments->v)
		abort();
	strcpy(segment->name, name);
	segment->bytes = slice_of(at, (size_t)st.st_size);
	size_t i = segments->n++;
	for (; i > 0 && strcmp(segments->v[i - 1]->name, name) < 0; i--)
		segments->v[i] = segments->v[i - 1];
	segments->v[i] = segment;
	if (segments->n > segments->limit) {
		struct segment *oldest = segments->v[--segments->n];
		remove_file(segments, oldest->name);
		free_segment(oldest);
	}
	return 0;
}

struct segments *segments_open(const char *directory, size_t limit, struct error *err)
{
	if (file_make_dirs(directory, 0700, err) < 0)
		return NULL;
	_cleanup_closedir_ DIR *dir = opendir(directory);
	struct segments *segments = calloc(1, sizeof(*segments));
	if (!segments || !(segments->directory = strdup(directory)))
		abort();
	segments->limit = limit;
	if (!dir) {
		error_set(err, errno, "cannot open %s", directory);
		segments_close(segments);
		return NULL;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		struct error ignored; /* what it was is fetched again */
		if (entry->d_name[0] == '.' || segments_add(segments, entry->d_name, &ignored) < 0)
			remove_file(segments, entry->d_name);
	}
	return segments;
}

void segments_close(struct segments *segments)
{
	if (!segments)
		return;
	for (size_t i = 0; i < segments->n; i++)
		free_segment(segments->v[i]);
	free(segments->v);
	free(segments->directory);
	free(segments);
}

bool segments_have(const struct segments *segments, const char *name)
{
	for (size_t i = 0; i < segments->n; i++)
		if (strcmp(segments->v[i]->name, name) == 0)
			return true;
	return false;
}

const char *segments_youngest(const struct segments *segments)
{
	return segments->n > 0 ? segments->v[0]->name : "";
}

int segments_write(const struct segments *segments, const char *name, struct slice plain, struct error *err)
{
	_cleanup_buf_ struct buf path = { 0 }, temporary = { 0 };
	buf_printf(&temporary, "%s/.%s", segments->directory, name);
	unlink(temporary.ptr);
	_cleanup_close_ int fd = open(temporary.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(err, errno, "cannot make %s", temporary.ptr);
	int outcome = file_write_fd(fd, plain, err);
	/* It is mapped later on: a file that lost its end with the power would be a fault, not an error. */
	if (outcome == 0 && (fsync(fd) < 0 || rename(temporary.ptr, path_of(segments, name, &path)) < 0))
		outcome = error_set(err, errno, "cannot keep %s", temporary.ptr);
	if (outcome < 0)
		unlink(temporary.ptr);
	return outcome;
}

bool segments_next(const struct segments *segments, const struct digest *key, struct segments_place *at, struct segment_entry *ret)
{
	for (; at->segment < segments->n; at->segment++, at->behind = 0) {
		struct slice bytes = segments->v[at->segment]->bytes;
		size_t first = segment_find(bytes, key), n = segment_count(bytes), end = first;
		while (end < n && (*ret = segment_at(bytes, end), memcmp(ret->key, key->hash, sizeof(ret->key)) == 0))
			end++;
		if (at->behind < end - first) {
			*ret = segment_at(bytes, end - ++at->behind);
			return true;
		}
	}
	return false;
}
