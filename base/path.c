#include "base/path.h"

const char *path_basename(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

const char *path_dirname(struct arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return ".";
	while (slash > path && slash[-1] == '/')
		slash--;
	return slash == path ? "/" : arena_strndup(arena, path, (size_t)(slash - path));
}

const char *path_absolute(struct arena *arena, const char *dir, const char *path)
{
	if (path[0] == '/')
		return path;
	size_t n = strlen(dir);
	return arena_printf(arena, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", path);
}

const char *path_squeeze(struct arena *arena, const char *path)
{
	char *out = arena_alloc(arena, strlen(path) + 2);
	char *end = out;
	for (const char *p = path; *p;) {
		while (*p == '/')
			p++;
		size_t n = strcspn(p, "/");
		if (n == 0)
			break;
		if (!(n == 1 && p[0] == '.')) {
			*end++ = '/';
			memcpy(end, p, n);
			end += n;
		}
		p += n;
	}
	if (end == out)
		*end++ = '/';
	*end = '\0';
	return out;
}

bool path_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	if (n == 1 && dir[0] == '/')
		return path[0] == '/';
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool path_has_dotdot(const char *path)
{
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return true;
		p += n;
		while (*p == '/')
			p++;
	}
	return false;
}
