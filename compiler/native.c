#include "compiler/native.h"

#include <string.h>

#include "base/buf.h"
#include "compiler/strlist.h"

/* How it works: the driver resolves "native" itself and hands -cc1 (clang) or cc1 (gcc) plain flags; `-###` prints that line.
 *
 * gcc puts its findings first and the user's own -m… after them, wherever native stood. So all of the line's -m… and --param go to the front of our command, native
 * goes away, and the user's -m… stay where they are: the last one wins, as before.
 *
 * clang's line has the CPU (which takes native's place) and the resulting feature list, the user's -mno-… included; given again by -Xclang it
 * comes after what the driver computes from the CPU's name alone, and wins. */

static bool is_native(const char *arg, const char **name_ret)
{
	static const char *const names[] = { "-march=native", "-mtune=native", "-mcpu=native" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(arg, names[i]) == 0) {
			*name_ret = names[i];
			return true;
		}
	}
	return false;
}

const char **native_query(const struct command *command, struct arena *arena)
{
	struct strlist query = { 0 };
	strlist_add(&query, arena, command->argv[0]);
	strlist_add(&query, arena, "-###");
	for (size_t i = 1; i < command->argc; i++)
		strlist_add(&query, arena, command->argv[i]);
	return query.items;
}

/* The words of the first line that runs a compiler proper, without their quotes; both drivers quote with "…" and backslashes. */
static bool find_cc1_line(struct slice answer, enum compiler_family family, struct arena *arena, struct strlist *ret)
{
	const char *at = answer.ptr, *end = answer.ptr + answer.len;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;
		*ret = (struct strlist){ 0 };
		while (at < stop && *at == ' ') {
			while (at < stop && *at == ' ')
				at++;
			char *word = arena_alloc(arena, (size_t)(stop - at) + 1), *to = word;
			bool quoted = false;
			for (; at < stop && (quoted || *at != ' '); at++) {
				if (*at == '"')
					quoted = !quoted;
				else if (*at == '\\' && at + 1 < stop)
					*to++ = *++at;
				else
					*to++ = *at;
			}
			*to = '\0';
			if (to > word)
				strlist_add(ret, arena, word);
		}
		if (family == FAMILY_CLANG) {
			if (ret->n > 1 && strcmp(ret->items[1], "-cc1") == 0)
				return true;
		} else if (ret->n > 0) {
			const char *slash = strrchr(ret->items[0], '/');
			const char *program = slash ? slash + 1 : ret->items[0];
			if (strncmp(program, "cc1", 3) == 0)
				return true;
		}
		at = stop + (stop < end);
	}
	return false;
}

struct flags {
	struct strlist front;	/* go before everything else */
	const char *cpu, *tune; /* clang */
};

static int read_flags(const struct strlist *line, enum compiler_family family, struct arena *arena, struct flags *ret,
	struct error *err)
{
	for (size_t i = 1; i < line->n; i++) {
		const char *word = line->items[i];
		const char *next = i + 1 < line->n ? line->items[i + 1] : NULL;
		if (family == FAMILY_CLANG) {
			if (next && strcmp(word, "-target-cpu") == 0)
				ret->cpu = next;
			if (next && strcmp(word, "-tune-cpu") == 0)
				ret->tune = next;
			if (next && strcmp(word, "-target-feature") == 0) {
				strlist_add(&ret->front, arena, "-Xclang");
				strlist_add(&ret->front, arena, word);
				strlist_add(&ret->front, arena, "-Xclang");
				strlist_add(&ret->front, arena, next);
			}
		} else if (next && strcmp(word, "--param") == 0) {
			strlist_add(&ret->front, arena, word);
			strlist_add(&ret->front, arena, next);
		} else if (strncmp(word, "-m", 2) == 0) {
			const char *name;
			if (is_native(word, &name))
				return error_set(err, 0, "the compiler did not resolve %s", name);
			strlist_add(&ret->front, arena, word);
		}
	}
	return 0;
}

/* `args` from `start` on with the flags in: the front first, native replaced or dropped. */
static int rewrite(struct strlist *ret, const char **args, size_t n, const struct flags *flags,
	enum compiler_family family, struct arena *arena, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *name;
		if (i == 1)
			strlist_add_all(ret, arena, &flags->front);
		if (!is_native(args[i], &name)) {
			strlist_add(ret, arena, args[i]);
		} else if (family == FAMILY_CLANG) {
			const char *value = strcmp(name, "-mtune=native") == 0 ? flags->tune : flags->cpu;
			if (!value)
				return error_set(err, 0, "the compiler did not say what %s is", name);
			strlist_add(ret, arena,
				arena_printf(arena, "%.*s%s", (int)(strchr(name, '=') + 1 - name), name, value));
		}
	}
	return 0;
}

static size_t count(const char **args)
{
	size_t n = 0;
	while (args && args[n])
		n++;
	return n;
}

int native_apply(struct command *command, struct slice answer, struct arena *arena, struct error *err)
{
	struct strlist line, argv = { 0 }, key = { 0 }, scan = { 0 };
	struct flags flags = { 0 };

	if (!find_cc1_line(answer, command->family, arena, &line))
		return error_set(err, 0, "the compiler's -### shows no compilation");
	if (read_flags(&line, command->family, arena, &flags, err) < 0)
		return -1;
	if (!flags.front.n && !flags.cpu)
		return error_set(err, 0, "the compiler's -### names no CPU");
	if (rewrite(&argv, command->argv, command->argc, &flags, command->family, arena, err) < 0 ||
		rewrite(&key, command->key_args, command->n_key_args, &flags, command->family, arena, err) < 0 ||
		rewrite(&scan, command->scan_argv, count(command->scan_argv), &flags, command->family, arena, err) < 0)
		return -1;
	command->argv = argv.items;
	command->argc = argv.n;
	command->key_args = key.items;
	command->n_key_args = key.n;
	command->scan_argv = scan.items;
	command->wants_native = false;
	return 0;
}
