/* Shared by the tests of this folder: a command line as one string, and a parsed command as one string. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

#include "base/buf.h"
#include "base/path.h"
#include "compiler/command.h"
#include "compiler/strlist.h"

/* Words separated by single spaces; "~" stands for a space within a word. */
static inline struct strlist words(const char *text, struct arena *arena)
{
	struct strlist list = { 0 };
	char *copy = arena_strdup(arena, text);
	for (char *word; (word = strsep(&copy, " "));) {
		for (char *c = word; *c; c++) {
			if (*c == '~')
				*c = ' ';
		}
		strlist_add(&list, arena, word);
	}
	return list;
}

static inline int no_file(void *ctx, const char *name, struct arena *arena, struct slice *ret)
{
	return -1;
}

static inline int parse_words(
	const struct strlist *list, struct arena *arena, struct command *ret, struct reason *reason)
{
	const char *name = path_basename(list->items[0]);
	struct command_request request = {
		.argv = list->items,
		.argc = list->n,
		.cwd = "/project",
		.cxx_driver = command_is_cxx_name(name),
		.family = command_family_of_name(name),
		.remote_assemble = true,
		.read_file = no_file,
	};
	return command_parse(&request, arena, ret, reason);
}

static inline void append_all(struct buf *to, const char *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(to, "%s%s", i ? " " : "", items[i]);
}
