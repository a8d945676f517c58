#include "setup/compilers.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/path.h"
#include "client/resolve.h"

struct finding {
	struct arena *arena;
	struct compiler_found *all;
	size_t n, capacity;
	struct map seen; /* "c/real/path", "+/real/path" */
};

/* cc and c++ say least; then the shorter one. */
static int compare_names(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	bool plain_x = strcmp(x, "cc") == 0 || strcmp(x, "c++") == 0,
	     plain_y = strcmp(y, "cc") == 0 || strcmp(y, "c++") == 0;
	if (plain_x != plain_y)
		return plain_x ? 1 : -1;
	size_t n = strlen(x), m = strlen(y);
	return n != m ? (n < m ? -1 : 1) : strcmp(x, y);
}

/* c89-gcc and the like: they start another one. */
static bool is_script(const char *path)
{
	char begin[2] = "";
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || read(fd, begin, 2) != 2 || memcmp(begin, "#!", 2) == 0;
}

static void consider(struct finding *finding, const char *directory, const char *name)
{
	char real[PATH_MAX];
	struct stat st;
	const char *path = arena_printf(finding->arena, "%s/%s", directory, name);
	if (!realpath(path, real) || !resolve_is_compiler_name(path_basename(real)) || stat(real, &st) < 0 ||
		!S_ISREG(st.st_mode) || is_script(real) || access(real, X_OK) < 0)
		return;
	bool is_cxx = strstr(name, "++") != NULL;
	const char *key = arena_printf(finding->arena, "%c%s", is_cxx ? '+' : 'c', real);
	if (map_put(&finding->seen, slice_str(key), finding))
		return;
	if (finding->n == finding->capacity) {
		struct compiler_found *old = finding->all;
		finding->capacity = finding->capacity ? finding->capacity * 2 : 16;
		finding->all = arena_array(finding->arena, struct compiler_found, finding->capacity);
		if (finding->n)
			memcpy(finding->all, old, finding->n * sizeof(*old));
	}
	finding->all[finding->n++] = (struct compiler_found){
		.path = path, .name = path_basename(path), .is_cxx = is_cxx
	};
}

static void search(struct finding *finding, const char *directory)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	const char **names = NULL;
	size_t n = 0, capacity = 0;
	for (const struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!resolve_is_compiler_name(entry->d_name))
			continue;
		if (n == capacity) {
			capacity = capacity ? capacity * 2 : 16;
			names = reallocarray(names, capacity, sizeof(*names));
			if (!names)
				abort();
		}
		names[n++] = arena_strdup(finding->arena, entry->d_name);
	}
	if (n)
		qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		consider(finding, directory, names[i]);
	free(names);
}

struct compiler_found *compilers_find(const char *path, struct arena *arena, size_t *ret_n)
{
	struct finding finding = { .arena = arena };
	while (path && *path) {
		size_t n = strcspn(path, ":");
		if (path[0] == '/')
			search(&finding, path_squeeze(arena, arena_strndup(arena, path, n)));
		path += n + (path[n] == ':');
	}
	map_deinit(&finding.seen);
	*ret_n = finding.n;
	return finding.all;
}
