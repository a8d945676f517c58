#include "cli/masquerade.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "client/resolve.h"

/* Relative entries would mean something else after every cd. */
static const char *absolute_entries(const char *path, struct arena *arena)
{
	_cleanup_buf_ struct buf kept = { 0 };
	for (const char *at = path; *at; at += strspn(at, ":")) {
		size_t n = strcspn(at, ":");
		if (at[0] == '/')
			buf_printf(&kept, "%s%.*s", kept.len ? ":" : "", (int)n, at);
		at += n;
	}
	return arena_strdup(arena, buf_str(&kept));
}

const char *masquerade_real(const char *llamacc, const char *path, const char *name, struct arena *arena)
{
	/* llamacc's own search, so that both always agree. */
	struct resolve_context context = { .self_path = llamacc, .cwd = "/", .path = absolute_entries(path, arena) };
	char *argv[] = { (char *)name, NULL };
	struct resolved resolved;
	if (stat(llamacc, &context.self) < 0 || resolve_compiler(&context, 1, argv, arena, &resolved, NULL) < 0)
		return NULL;
	return resolved.compiler;
}

static void collect_names(const char *directory, struct arena *arena, struct map *names)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	if (!dir)
		return; /* PATH often names what isn't there */
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct slice name = slice_str(entry->d_name);
		if (!resolve_is_compiler_name(entry->d_name) || map_get(names, name))
			continue;
		const char *copy = arena_strndup(arena, name.ptr, name.len);
		map_put(names, slice_str(copy), (void *)copy);
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int make_link(
	const char *directory, const char *name, const char *llamacc, struct arena *arena, struct error *err)
{
	const char *link = arena_printf(arena, "%s/%s", directory, name);
	if (symlink(llamacc, link) < 0 && errno != EEXIST)
		return error_set(err, errno, "cannot make the link %s", link);
	return 0;
}

int masquerade_make(const char *parent, const char *llamacc, const char *path, struct arena *arena, const char **ret,
	struct error *err)
{
	_cleanup_map_ struct map names = { 0 };
	path = absolute_entries(path, arena);
	for (const char *at = path; *at; at += strspn(at, ":")) {
		size_t n = strcspn(at, ":");
		collect_names(arena_strndup(arena, at, n), arena, &names);
		at += n;
	}
	const char **sorted = arena_array(arena, const char *, names.n + 1);
	size_t n_sorted = 0, at = 0;
	for (const struct map_entry *entry; (entry = map_next(&names, &at));)
		if (masquerade_real(llamacc, path, entry->value, arena))
			sorted[n_sorted++] = entry->value;
	qsort(sorted, n_sorted, sizeof(*sorted), compare_names);

	_cleanup_buf_ struct buf identity = { 0 };
	buf_append_str(&identity, llamacc);
	for (size_t i = 0; i < n_sorted; i++)
		buf_printf(&identity, ":%s", sorted[i]);
	const char *directory = arena_printf(
		arena, "%s/masquerade/%016" PRIx64, parent, map_hash(buf_slice(&identity)));
	/* It stands first on PATH. */
	if (file_make_dirs(directory, 0700, err) < 0 || file_check_own_dir(parent, err) < 0)
		return -1;
	for (size_t i = 0; i < n_sorted; i++)
		if (make_link(directory, sorted[i], llamacc, arena, err) < 0)
			return -1;
	if (make_link(directory, "llamacc", llamacc, arena, err) < 0 ||
		make_link(directory, "llamac++", llamacc, arena, err) < 0)
		return -1;
	*ret = directory;
	return 0;
}
