#include "aws/libraries.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "aws/elf_file.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/map.h"
#include "base/path.h"

enum { FILE_LIMIT = 1 << 30, CACHE_LIMIT = 64 << 20 };

/* The cache, as glibc's sysdeps/generic/dl-cache.h has it; an older format may precede it. */
#define CACHE_MAGIC "glibc-ld.so.cache1.1"

struct cache_header {
	char magic[sizeof(CACHE_MAGIC) - 1];
	uint32_t n_entries, strings_bytes;
	uint32_t unused[5];
};

struct cache_entry {
	int32_t flags;
	uint32_t name, path; /* places of strings, from the header on */
	uint32_t os_version;
	uint64_t hwcap;
};

/* What the loader demands of an entry's flags: the kind of libc and of machine. 0: a machine we don't know. */
static int32_t cache_flags(uint16_t machine)
{
	return machine == EM_X86_64 ? 0x0303 : machine == EM_AARCH64 ? 0x0a03 : 0;
}

static const char *cache_string(struct slice cache, uint32_t at)
{
	return at < cache.len && memchr(cache.ptr + at, '\0', cache.len - at) ? cache.ptr + at : NULL;
}

const char *libraries_in_cache(struct slice cache, uint16_t machine, const char *name)
{
	struct cache_header header;
	const char *begin = cache.len ? memmem(cache.ptr, cache.len, CACHE_MAGIC, sizeof(header.magic)) : NULL;
	if (!begin || (size_t)(cache.ptr + cache.len - begin) < sizeof(header))
		return NULL;
	cache = slice_of(begin, (size_t)(cache.ptr + cache.len - begin));
	memcpy(&header, cache.ptr, sizeof(header));
	size_t fit = (cache.len - sizeof(header)) / sizeof(struct cache_entry);
	for (size_t i = 0; i < header.n_entries && i < fit; i++) {
		struct cache_entry entry;
		memcpy(&entry, cache.ptr + sizeof(header) + i * sizeof(entry), sizeof(entry));
		const char *has = cache_string(cache, entry.name);
		if (entry.hwcap == 0 && entry.flags == cache_flags(machine) && has && strcmp(has, name) == 0)
			return cache_string(cache, entry.path);
	}
	return NULL;
}

struct search {
	struct libraries *into;
	struct map found; /* name -> struct library */
	struct buf cache;
	const char *directory;
	const char *loader_name; /* what libraries call the loader */
};

/* 1: there is no such object for this machine. */
static int try(struct search *search, const char *path, struct buf *bytes, struct elf *ret)
{
	buf_reset(bytes);
	return file_read(path, FILE_LIMIT, bytes, NULL) == 0 &&
			       elf_parse(buf_slice(bytes), &search->into->arena, ret, NULL) == 0 &&
			       ret->machine == search->into->machine
		       ? 0
		       : 1;
}

/* `name` in the directories of a search path, of which $ORIGIN is the place of the object `origin`. */
static const char *try_directories(struct search *search, const char *directories, const char *origin, const char *name,
	struct buf *bytes, struct elf *ret)
{
	static const char *const words[] = { "$ORIGIN", "${ORIGIN}" };
	struct arena *arena = &search->into->arena;
	for (const char *at = directories; at && *at;) {
		size_t n = strcspn(at, ":");
		const char *directory = arena_strndup(arena, at, n);
		for (size_t i = 0; i < 2; i++)
			if (strncmp(directory, words[i], strlen(words[i])) == 0)
				directory = arena_printf(
					arena, "%s%s", path_dirname(arena, origin), directory + strlen(words[i]));
		const char *path = arena_printf(arena, "%s/%s", directory, name);
		if (directory[0] == '/' && try(search, path, bytes, ret) == 0)
			return path;
		at += n + (at[n] == ':');
	}
	return NULL;
}

/* ld.so(8), without variants: where `name`, needed by the object `elf` at `origin`, is. */
static const char *find(struct search *search, const struct elf *elf, const char *origin, const char *name,
	struct buf *bytes, struct elf *ret)
{
	static const char usual_x86_64[] =
		"/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:/usr/lib64:/lib:/usr/lib";
	static const char usual_aarch64[] =
		"/lib/aarch64-linux-gnu:/usr/lib/aarch64-linux-gnu:/lib64:/usr/lib64:/lib:/usr/lib";
	uint16_t machine = search->into->machine;
	const char *path = try_directories(search, elf->runpath ? elf->runpath : elf->rpath, origin, name, bytes, ret);
	if (path)
		return path;
	path = libraries_in_cache(buf_slice(&search->cache), machine, name);
	if (path && try(search, path, bytes, ret) == 0)
		return arena_strdup(&search->into->arena, path);
	return try_directories(search, machine == EM_X86_64 ? usual_x86_64 : usual_aarch64, origin, name, bytes, ret);
}

/* `name` and, in turn, what it needs. Depth is bounded by the number of libraries there are: each is entered once. */
static int gather(struct search *search, const struct elf *elf, const char *origin, const char *name, struct error *err)
{
	struct libraries *into = search->into;
	if (map_get(&search->found, slice_str(name)) || strcmp(name, search->loader_name) == 0)
		return 0;
	_cleanup_buf_ struct buf bytes = { 0 };
	struct elf own;
	if (strchr(name, '/'))
		return error_set(err, 0, "%s needs %s by its path, which the image cannot have", origin, name);
	const char *path = find(search, elf, origin, name, &bytes, &own);
	if (!path)
		return error_set(err, 0,
			"%s, which %s needs, is neither in %s nor in the usual directories; install it, or run "
			"ldconfig",
			name, origin, search->cache.len ? "the loader's cache" : "its search path");
	elf_blank_search_path(&bytes, &own);
	struct library *library = arena_new(&into->arena, struct library);
	*library = (struct library){ .name = arena_strdup(&into->arena, name), .path = path, .bytes = bytes };
	bytes = (struct buf){ 0 };
	map_put(&search->found, slice_str(library->name), library);
	for (size_t i = 0; i < own.n_needed; i++)
		if (gather(search, &own, path, own.needed[i], err) < 0)
			return -1;
	return 0;
}

static bool lists(const char *directories, const char *directory)
{
	size_t n = strlen(directory);
	for (const char *at = directories; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
		if (strncmp(at, directory, n) == 0 && (at[n] == ':' || at[n] == '\0'))
			return true;
	return false;
}

static int read_loader(struct search *search, const struct elf *program, const char *path, struct error *err)
{
	struct libraries *into = search->into;
	struct elf elf;
	if (into->loader.len > 0)
		return 0;
	if (file_read(program->interpreter, FILE_LIMIT, &into->loader, err) < 0)
		return error_wrap(err, "the loader of %s", path);
	if (elf_parse(buf_slice(&into->loader), &into->arena, &elf, NULL) != 0 || elf.machine != into->machine)
		return error_set(
			err, 0, "%s, the loader of %s, is no program for its machine", program->interpreter, path);
	search->loader_name = elf.soname ? elf.soname : path_basename(program->interpreter);
	return 0;
}

static int add_program(
	struct search *search, struct libraries_program *program, const char *loader_path, struct error *err)
{
	struct libraries *into = search->into;
	struct elf elf;
	if (file_read(program->path, FILE_LIMIT, &program->bytes, err) < 0)
		return -1;
	int outcome = elf_parse(buf_slice(&program->bytes), &into->arena, &elf, err);
	if (outcome < 0)
		return error_wrap(err, "%s", program->path);
	if (outcome > 0)
		return error_set(err, 0, "%s is no 64-bit ELF file", program->path);
	if (cache_flags(elf.machine) == 0)
		return error_set(err, 0, "%s is for a machine that Lambda does not have (ELF machine %u)",
			program->path, elf.machine);
	if (into->machine && elf.machine != into->machine)
		return error_set(err, 0, "%s is for another machine than the other programs", program->path);
	into->machine = elf.machine;
	if (!elf.interpreter)
		return 0;
	/* DT_RPATH, for DT_RUNPATH would not serve what the libraries need. */
	if (elf.runpath || !lists(elf.rpath, search->directory))
		return error_set(err, 0, "%s was not linked for the image: it has not the run path %s (DT_RPATH)",
			program->path, search->directory);
	if (read_loader(search, &elf, program->path, err) < 0 ||
		elf_set_interpreter(&program->bytes, &elf, loader_path, err) < 0)
		return -1;
	for (size_t i = 0; i < elf.n_needed; i++)
		if (gather(search, &elf, program->path, elf.needed[i], err) < 0)
			return -1;
	return gather(search, &elf, program->path, "libgcc_s.so.1", err);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct library *)a)->name, ((const struct library *)b)->name);
}

int libraries_gather(struct libraries_program *programs, size_t n_programs, const char *directory,
	const char *loader_path, const char *ld_cache, struct libraries *ret, struct error *err)
{
	*ret = (struct libraries){ .arena = ARENA_INIT };
	struct search search = { .into = ret, .directory = directory, .loader_name = "" };
	struct error why;
	int result = 0;
	if (file_read(ld_cache, CACHE_LIMIT, &search.cache, &why) < 0 && why.code != ENOENT)
		result = error_set(err, 0, "%s", why.text);
	for (size_t i = 0; i < n_programs && result == 0; i++)
		result = add_program(&search, &programs[i], loader_path, err);
	/* Those of a failed gathering too: deinit frees them. */
	ret->items = arena_array(&ret->arena, struct library, search.found.n);
	const struct map_entry *entry;
	for (size_t at = 0; (entry = map_next(&search.found, &at));)
		ret->items[ret->n++] = *(struct library *)entry->value;
	qsort(ret->items, ret->n, sizeof(*ret->items), compare);
	map_deinit(&search.found);
	buf_deinit(&search.cache);
	return result;
}

void libraries_deinit(struct libraries *libraries)
{
	for (size_t i = 0; i < libraries->n; i++)
		buf_deinit(&libraries->items[i].bytes);
	buf_deinit(&libraries->loader);
	arena_deinit(&libraries->arena);
	*libraries = (struct libraries){ 0 };
}
