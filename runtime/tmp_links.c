#include "runtime/tmp_links.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "worker/trace.h"

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool leads_to(int fd, const char *name, const char *target)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(fd, name, text, sizeof(text));
	return n >= 0 && (size_t)n == strlen(target) && memcmp(text, target, (size_t)n) == 0;
}

/* Those of ours that lead nowhere any more. */
static int remove_links(int fd, const char *directory, const char *inside, struct arena *arena, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	if (!dir)
		return error_set(err, errno, "cannot read %s", directory);
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat st;
		if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
			continue;
		const char *target = arena_printf(arena, "%s/%s", inside, entry->d_name);
		if (leads_to(fd, entry->d_name, target) && lstat(target, &st) < 0 && unlinkat(fd, entry->d_name, 0) < 0)
			return error_set(err, errno, "cannot remove %s/%s", directory, entry->d_name);
	}
	return 0;
}

int tmp_links_update(const char *root, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *directory = path_dirname(&arena, root);
	const char *inside = arena_printf(&arena, "%s%s", root, directory);
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", directory);
	if (remove_links(fd, directory, inside, &arena, err) < 0)
		return -1;
	_cleanup_closedir_ DIR *dir = opendir(inside);
	if (!dir && errno != ENOENT && errno != ENOTDIR)
		return error_set(err, errno, "cannot read %s", inside);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		const char *name = entry->d_name;
		if (is_dots(name))
			continue;
		if (strcmp(name, path_basename(root)) == 0 || strcmp(name, &TRACE_FOREIGN_PRIVATE[1]) == 0)
			return error_set(err, 0, "%s/%s can't be mirrored", directory, name);
		const char *target = arena_printf(&arena, "%s/%s", inside, name);
		if (!leads_to(fd, name, target) && symlinkat(target, fd, name) < 0)
			return error_set(err, errno, "cannot make the symlink %s/%s", directory, name);
	}
	return 0;
}
