#include "cli/parallel.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/path.h"

/* A tool's short options: of these the value may follow as the next word … */
static const char make_valued[] = "CEfIoW";
static const char ninja_valued[] = "Cdfklptw";
static const char no_valued[] = "";
/* … and of these only within the word, so what follows there is no option. */
static const char make_attached[] = "lO";

/* Whether -jN, -kj, --jobs or --parallel occurs, up to `--`. */
static bool has_jobs(char *const *argv, const char *valued, const char *attached)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++) {
		const char *word = *argv;
		if (word[0] != '-' || word[1] == '\0')
			continue;
		if (word[1] == '-') {
			size_t n = strcspn(word, "=");
			if ((n == 6 && memcmp(word, "--jobs", n) == 0) ||
				(n == 10 && memcmp(word, "--parallel", n) == 0))
				return true;
			continue;
		}
		for (const char *letter = word + 1; *letter && !strchr(attached, *letter); letter++) {
			if (*letter == 'j')
				return true;
			if (strchr(valued, *letter)) {
				if (letter[1] == '\0' && argv[1])
					argv++;
				break;
			}
		}
	}
	return false;
}

/* MAKEFLAGS is words; the first may be letters without a dash. "kj8 -- X=1", " -j4 --jobserver-auth=3,4", "w". */
static bool makeflags_have_jobs(const char *makeflags)
{
	if (!makeflags)
		return false;
	for (const char *word = makeflags; *word; word += strcspn(word, " "), word += strspn(word, " ")) {
		size_t n = strcspn(word, " ");
		if ((n == 2 && memcmp(word, "--", 2) == 0) ||
			(word != makeflags && memchr(word, '=', n) && word[0] != '-'))
			break;			     /* variables follow */
		if (strncmp(word, "--jobs", 6) == 0) /* --jobserver-auth too */
			return true;
		if (n >= 2 && word[0] == '-' && word[1] == '-')
			continue;
		bool letters = word[0] == '-' || (word == makeflags && !memchr(word, '=', n));
		for (size_t i = 0; letters && i < n && !strchr(make_attached, word[i]); i++) {
			if (word[i] == 'j')
				return true;
			if (strchr(make_valued, word[i]))
				break;
		}
	}
	return false;
}

/* A copy of `argv` with `option` before index `at`. */
static char *const *insert(char *const *argv, size_t at, char *option, struct arena *arena)
{
	size_t n = 0;
	while (argv[n])
		n++;
	char **copy = arena_array(arena, char *, n + 2);
	memcpy(copy, argv, at * sizeof(*copy));
	copy[at] = option;
	memcpy(copy + at + 1, argv + at, (n - at) * sizeof(*copy));
	return copy;
}

static bool is_any(const char *s, const char *a, const char *b)
{
	return strcmp(s, a) == 0 || strcmp(s, b) == 0;
}

enum parallel parallel_add(char *const *argv, const char *makeflags, const char *cmake_level, unsigned width,
	struct arena *arena, char *const **ret)
{
	*ret = argv;
	const char *tool = path_basename(argv[0]);
	const char *first = argv[1] ? argv[1] : "";
	char *option = arena_printf(arena, "-j%u", width);
	bool given;
	size_t at = 1;
	if (is_any(tool, "make", "gmake")) {
		given = makeflags_have_jobs(makeflags) || has_jobs(argv + 1, make_valued, make_attached);
	} else if (is_any(tool, "ninja", "samu")) {
		given = has_jobs(argv + 1, ninja_valued, "");
	} else if (strcmp(tool, "cmake") == 0 && strcmp(first, "--build") == 0) {
		/* Behind `--` come the native tool's options. */
		size_t end = 2;
		while (argv[end] && strcmp(argv[end], "--") != 0)
			end++;
		given = (cmake_level && *cmake_level) || makeflags_have_jobs(makeflags) ||
			has_jobs(argv + 2, no_valued, "") ||
			(argv[end] && has_jobs(argv + end + 1, make_valued, make_attached));
		at = end;
	} else if (strcmp(tool, "meson") == 0 && strcmp(first, "compile") == 0) {
		given = has_jobs(argv + 2, "C", "");
		at = 2;
	} else {
		return PARALLEL_UNKNOWN;
	}
	if (given)
		return PARALLEL_GIVEN;
	*ret = insert(argv, at, option, arena);
	return PARALLEL_ADDED;
}
