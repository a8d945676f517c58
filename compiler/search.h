/* The search path of a command: where the compiler looks for the names its texts ask for, as it says itself.
 *
 * How it works. `search_ask` makes of a command the cheapest one that has the same search path: the compiler with those options that can
 * move it (-I and kin, sysroots, targets, -m…, -nostdinc…) or change its macros (-std=), and `-E -dM -v` of an empty text. It is run once
 * per key: in the command's working directory, with its environment and LC_ALL=C; on stderr stand the directories, in the order and without
 * the doubles the compiler itself has found, on stdout the predefined macros. `search_parse` reads both. Which directories exist, and which are the same, is part of the
 * answer: `search_observe` says what was true when it was given, and view_check() of `lookups` whether it still is.
 *
 * Nothing here runs anything; parsing takes bytes and gives a value. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "compiler/command.h"
#include "compiler/skeleton.h"
#include "files/lookups.h"
#include "files/view.h"

struct search_question {
	const char **argv; /* NULL-terminated; argv[0] as the command's */
	struct slice key;  /* equal keys of one toolchain have equal answers while the answer's look-ups hold; any bytes */
};

/* `env` is what the compiler will see ("NAME=value"). Everything in `arena`. */
void search_ask(const struct command *command, const char *cwd, const char *const *env, size_t n_env, struct arena *arena,
	struct search_question *ret);

/* Directories are absolute and squeezed, whether they exist or not. Everything in the arena given to search_parse. */
struct search {
	const char **quote; /* for "name" only, after the includer's own directory and before the next */
	size_t n_quote;
	const char **bracket;
	size_t n_bracket;
	const char **embed; /* of #embed, as far as the compiler tells (gcc 15) */
	size_t n_embed;
	struct skeleton_macro *macros; /* predefined */
	size_t n_macros;
	struct lookups lookups; /* what the answer rests on; digests are zero until search_observe */
};

/* `directories` is the stderr, `macros` the stdout of the query, which exited with 0. -1: not what we know, or something the closure can't
 * follow (framework directories, header maps). */
int search_parse(struct slice directories, struct slice macros, const char *cwd, struct arena *arena, struct search *ret, struct error *err);

enum search_outcome { SEARCH_CHANGED = 1 };

/* Fill the digests of `lookups`, as of now. SEARCH_CHANGED: a directory has appeared or gone since the compiler looked: use the answer for this
 * command, but don't keep it. */
int search_observe(struct search *search, struct view *view, uint64_t since, struct error *err);
