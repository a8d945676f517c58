#include "client/resolve.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "wire/endpoint.h"

static bool listed(const char *s, size_t n, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == n && memcmp(*list, s, n) == 0)
			return true;
	return false;
}

bool resolve_is_compiler_name(const char *name)
{
	static const char *const names[] = { "gcc", "g++", "cc", "c++", "clang", "clang++", NULL };
	size_t n = strlen(name);
	size_t version = n;
	while (version > 0 && strchr("0123456789.", name[version - 1]))
		version--;
	if (version < n && version > 0 && name[version - 1] == '-')
		n = version - 1;
	const char *dash = memrchr(name, '-', n);
	size_t triple = dash && dash > name ? (size_t)(dash - name) + 1 : 0;
	return listed(name + triple, n - triple, names);
}

static bool is_wrapper_name(const char *name)
{
	static const char *const names[] = { "ccache", "sccache", "distcc", "icecc", NULL };
	return listed(name, strlen(name), names);
}

static bool is_our_name(const char *name)
{
	return strcmp(name, "llamacc") == 0 || strcmp(name, "llamac++") == 0;
}

/* Whether a first argument is what a compiler would read, not a program to run. On file systems where every file is
 * executable only the suffix tells. */
static bool is_input_name(const char *name)
{
	static const char *const suffixes[] = { "c", "cc", "cp", "cpp", "cxx", "c++", "C", "CC", "CPP", "CXX", "i",
		"ii", "m", "mm", "M", "mi", "mii", "s", "S", "sx", "asm", "h", "hh", "H", "hpp", "hxx", "h++", "hp",
		"tcc", "ipp", "inl", "cppm", "ixx", "o", "obj", "lo", "a", "la", "so", "ll", "bc", "ld", "lds", "f",
		"F", "f90", "F90", "d", "go", "adb", "cu", "res", NULL };
	const char *dot = strrchr(path_basename(name), '.');
	return dot && listed(dot + 1, strlen(dot + 1), suffixes);
}

static bool is_executable_file(const char *path, struct stat *st)
{
	return access(path, X_OK) == 0 && stat(path, st) == 0 && S_ISREG(st->st_mode);
}

static const char *map_file(const char *path, size_t size)
{
	_cleanup_close_ int fd = endpoint_above_stdio(open(path, O_RDONLY | O_CLOEXEC));
	void *bytes = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	return bytes == MAP_FAILED ? NULL : bytes;
}

static bool same_bytes(const char *a_path, const char *b_path, size_t size)
{
	const char *a = map_file(a_path, size), *b = map_file(b_path, size);
	bool same = a && b && memcmp(a, b, size) == 0;
	if (a)
		munmap((void *)a, size);
	if (b)
		munmap((void *)b, size);
	return same;
}

/* The name of the file that a chain of symlinks ends in; "" if it is endless. */
static void final_name(const char *path, char ret[NAME_MAX + 1])
{
	char at[PATH_MAX], target[PATH_MAX], next[2 * PATH_MAX];
	ret[0] = '\0';
	if (strlen(path) >= sizeof(at))
		return;
	strcpy(at, path);
	for (int hops = 0; hops < 40; hops++) {
		ssize_t n = readlink(at, target, sizeof(target) - 1);
		if (n < 0) {
			const char *name = path_basename(at);
			if (strlen(name) <= NAME_MAX)
				strcpy(ret, name);
			return;
		}
		target[n] = '\0';
		size_t directory = target[0] == '/' ? 0 : (size_t)(path_basename(at) - at);
		memcpy(next, at, directory);
		strcpy(next + directory, target);
		if (strlen(next) >= sizeof(at))
			return;
		strcpy(at, next);
	}
}

static bool is_script(const char *path)
{
	char magic[2];
	_cleanup_close_ int fd = endpoint_above_stdio(open(path, O_RDONLY | O_CLOEXEC));
	return fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) && memcmp(magic, "#!", sizeof(magic)) == 0;
}

enum found { FOUND_NOTHING, FOUND_OURSELVES, FOUND_WRAPPER, FOUND_COMPILER };

static enum found examine(const struct resolve_context *context, const char *path)
{
	struct stat st;
	if (!is_executable_file(path, &st))
		return FOUND_NOTHING;
	if (st.st_dev == context->self.st_dev && st.st_ino == context->self.st_ino)
		return FOUND_OURSELVES;
	char name[NAME_MAX + 1];
	final_name(path, name);
	if (is_our_name(name))
		return FOUND_OURSELVES;
	/* A copy of this very program: the size alone tells all others apart. */
	if (st.st_size == context->self.st_size && same_bytes(path, context->self_path, (size_t)st.st_size))
		return FOUND_OURSELVES;
	return is_wrapper_name(name) || (context->nested && is_script(path)) ? FOUND_WRAPPER : FOUND_COMPILER;
}

/* <entry>/<name>, absolute; an empty entry of PATH is the current directory. False when that is too long for any file.
 */
static bool candidate_path(const char *cwd, struct slice entry, const char *name, char ret[PATH_MAX])
{
	struct slice parts[] = { slice_str(cwd), entry, slice_str(name) };
	size_t used = 0;
	for (size_t i = entry.len && entry.ptr[0] == '/' ? 1 : 0; i < 3; i++) {
		if (used + 1 + parts[i].len >= PATH_MAX)
			return false;
		if (used && ret[used - 1] != '/')
			ret[used++] = '/';
		if (parts[i].len)
			memcpy(ret + used, parts[i].ptr, parts[i].len);
		used += parts[i].len;
	}
	ret[used] = '\0';
	return true;
}

/* The first `name` on PATH that isn't ourselves, absolute; NULL without one. */
static const char *search(const struct resolve_context *context, const char *name, struct arena *arena)
{
	const char *wrapper = NULL;
	const char *at = context->path ? context->path : "/bin:/usr/bin"; /* as execvp does */
	for (bool more = true; more;) {
		struct slice entry = slice_of(at, strcspn(at, ":"));
		more = at[entry.len] == ':';
		at += entry.len + 1;
		char candidate[PATH_MAX];
		if (!candidate_path(context->cwd, entry, name, candidate))
			continue;
		enum found found = examine(context, candidate);
		if (found == FOUND_COMPILER || (found == FOUND_WRAPPER && !context->nested))
			return arena_strdup(arena, candidate);
		if (found == FOUND_WRAPPER && !wrapper)
			wrapper = arena_strdup(arena, candidate);
	}
	return wrapper;
}

static int find_by_name(const struct resolve_context *context, const char *name, const char *hint, struct arena *arena,
	const char **ret, struct error *err)
{
	*ret = search(context, name, arena);
	if (*ret)
		return 0;
	return error_set(err, 0,
		"cannot find a compiler: there is no `%s` on PATH besides llamacc; install it, or put its directory on "
		"PATH%s",
		name, hint);
}

/* A command as a user writes it: a path or a name. `plain` replaces our own name, which says nothing about a compiler.
 */
static int find_command(const struct resolve_context *context, const char *command, const char *plain,
	const char *origin, struct arena *arena, const char **ret, struct error *err)
{
	const char *name = path_basename(command);
	if (name != command) {
		const char *path = path_absolute(arena, context->cwd, command);
		switch (examine(context, path)) {
		case FOUND_COMPILER:
		case FOUND_WRAPPER:
			*ret = path;
			return 0;
		case FOUND_NOTHING:
			return error_set(err, 0,
				"cannot find a compiler: %s names %s, which is not an executable file; correct it",
				origin, command);
		case FOUND_OURSELVES:
			break;
		}
	}
	return find_by_name(context, is_our_name(name) ? plain : name, "", arena, ret, err);
}

static bool is_launched(const struct resolve_context *context, const char *argument)
{
	if (argument[0] == '-' || argument[0] == '\0' || is_input_name(argument))
		return false;
	const char *name = path_basename(argument);
	if (resolve_is_compiler_name(name) || is_wrapper_name(name))
		return true;
	if (name == argument || *name == '\0')
		return false;
	struct stat st;
	return is_executable_file(argument, &st);
}

int resolve_compiler(const struct resolve_context *context, int argc, char **argv, struct arena *arena,
	struct resolved *ret, struct error *err)
{
	const char *called = argc > 0 ? path_basename(argv[0]) : "llamacc";
	/* CC=llamacc and llamacc as the launcher as well. */
	while (is_our_name(called) && argc > 1 && is_our_name(path_basename(argv[1]))) {
		called = path_basename(argv[1]);
		argv++;
		argc--;
	}
	bool cxx = strcmp(called, "llamac++") == 0;
	const char *plain = cxx ? "c++" : "cc";
	struct resolved found = { .argc = argc > 0 ? (size_t)argc : 1 };
	int first = 1; /* of the arguments that the compiler gets */
	int result;
	if (!is_our_name(called) && *called) {
		found.mode = RESOLVE_MASQUERADE;
		result = find_by_name(context, called, "", arena, &found.compiler, err);
	} else if (argc > 1 && is_launched(context, argv[1])) {
		found.mode = RESOLVE_LAUNCHER;
		found.argc--;
		first = 2;
		result = find_command(context, argv[1], plain, "the command", arena, &found.compiler, err);
	} else {
		found.mode = RESOLVE_COMPILER;
		const char *variable = cxx ? "LLAMACC_LOCAL_CXX" : "LLAMACC_LOCAL_CC";
		const char *chosen = cxx ? context->local_cxx : context->local_cc;
		if (chosen && *chosen)
			result = find_command(context, chosen, plain, variable, arena, &found.compiler, err);
		else
			result = find_by_name(context, plain,
				cxx ? ", or set LLAMACC_LOCAL_CXX" : ", or set LLAMACC_LOCAL_CC", arena,
				&found.compiler, err);
	}
	if (result < 0)
		return -1;
	found.argv = arena_array(arena, const char *, found.argc + 1);
	found.argv[0] = found.compiler;
	for (size_t i = 1; i < found.argc; i++)
		found.argv[i] = argv[first + (int)i - 1];
	*ret = found;
	return 0;
}
