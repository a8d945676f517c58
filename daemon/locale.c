#include "daemon/locale.h"

#include <stdbool.h>
#include <string.h>

enum { PATHS_LIMIT = 512, ARCHIVE_LIMIT_BYTES = 64 << 20 };

struct paths {
	const char **v;
	size_t n;
	bool overflow; /* there are more */
	struct view *view;
	uint64_t since;
	struct arena *arena;
};

static void add(struct paths *paths, const char *path)
{
	for (size_t i = 0; i < paths->n; i++)
		if (strcmp(paths->v[i], path) == 0)
			return;
	if (paths->n < PATHS_LIMIT)
		paths->v[paths->n++] = path;
	else
		paths->overflow = true;
}

/* Every regular file of `directory` whose name begins with one of `prefixes` (NULL: every file), one level down too when there are none. */
static void add_files(struct paths *paths, const char *directory, const char *const *prefixes, int depth)
{
	struct view_name *names;
	size_t n;
	int outcome = view_names(paths->view, paths->since, directory, paths->arena, &names, &n, NULL);
	if (outcome == VIEW_TOO_MANY_NAMES)
		paths->overflow = true;
	if (outcome != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *name = names[i].name;
		if (name[0] == '.')
			continue;
		bool wanted = !prefixes;
		for (const char *const *p = prefixes; p && *p && !wanted; p++)
			wanted = strncmp(name, *p, strlen(*p)) == 0;
		if (!wanted)
			continue;
		const char *path = arena_printf(paths->arena, "%s/%s", directory, name);
		enum view_name_type type = names[i].type;
		enum view_kind kind = type == VIEW_NAME_FILE ? VIEW_FILE : view_stat(paths->view, paths->since, path, true).kind;
		if (kind == VIEW_DIRECTORY && depth > 0 && !prefixes)
			add_files(paths, path, NULL, depth - 1);
		if (kind == VIEW_FILE)
			add(paths, path);
	}
}

static bool is_plain(const char *name)
{
	return !*name || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0;
}

/* The catalogues of one language: "de_DE.UTF-8" is looked for as such, as de_DE and as de. */
static void add_catalogues(struct paths *paths, const char *language)
{
	static const char *const domains[] = { "gcc", "cpplib", "gas", "bfd", "opcodes", "binutils", "libc", NULL };
	static const char *const ends[] = { "", "@", ".", "_", NULL };
	for (const char *const *end = ends; *end; end++) {
		size_t n = **end ? strcspn(language, *end) : strlen(language);
		const char *name = arena_strndup(paths->arena, language, n);
		if (!strchr(name, '/'))
			add_files(paths, arena_printf(paths->arena, "/usr/share/locale/%s/LC_MESSAGES", name), domains, 0);
	}
}

const char *const *locale_files(struct view *view, uint64_t since, const char *const *env, struct arena *arena)
{
	struct paths paths = { .v = arena_array(arena, const char *, PATHS_LIMIT + 1), .view = view, .since = since, .arena = arena };
	bool locales = false, archive = false;
	for (size_t i = 0; env[i]; i++) {
		const char *value = strchr(env[i], '=');
		if (!value++ || is_plain(value))
			continue;
		bool language = strncmp(env[i], "LANGUAGE=", 9) == 0;
		if (!language && strncmp(env[i], "LANG=", 5) != 0 && strncmp(env[i], "LC_", 3) != 0)
			continue;
		locales = true;
		archive |= !language && strncmp(value, "C.", 2) != 0;
		for (const char *p = value; *p;) {
			size_t n = strcspn(p, ":");
			if (n > 0 && n < 64)
				add_catalogues(&paths, arena_strndup(arena, p, n));
			p += n + (p[n] == ':');
		}
	}
	if (locales)
		add_files(&paths, "/usr/lib/locale/C.utf8", NULL, 1);
	if (archive) {
		const char *path = "/usr/lib/locale/locale-archive";
		struct view_info info = view_stat(view, since, path, true);
		if (info.kind == VIEW_FILE && info.identity.size > ARCHIVE_LIMIT_BYTES)
			return NULL;
		if (info.kind == VIEW_FILE)
			add(&paths, path);
		add_files(&paths, "/usr/lib/locale", NULL, 2);
	}
	return paths.overflow ? NULL : paths.v;
}
