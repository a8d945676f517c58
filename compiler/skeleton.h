/* Skeletons: what of a C, C++ or assembler text leads to other files, and nothing else.
 *
 * One pass over the bytes, linear in their number, no preprocessing: all branches of `#if` are taken, comments, raw strings, line
 * continuations (with trigraph ??/ too), digraphs, CRLF, NUL bytes and a missing final newline are understood as gcc and clang do. So what
 * is found is a superset of what any compilation of the text can ask for, but for names that macros of other texts make (those of this text
 * are kept, for the closure to expand).
 *
 * A skeleton depends on the bytes alone: it is kept by digest, in memory; reading one back would take as long as making it anew. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"

enum skeleton_kind {
	SKELETON_INCLUDE,      /* #include, #import, __has_include, #pragma GCC dependency */
	SKELETON_INCLUDE_NEXT, /* #include_next, and __has_include_next */
	SKELETON_EMBED,	       /* #embed, and __has_embed */
	SKELETON_ASSEMBLER, /* .incbin or .include, in an assembler text or in a string of an asm statement: looked for from the
				* working directory and along -I */
};

enum skeleton_form {
	SKELETON_QUOTE,	   /* "name" */
	SKELETON_ANGLE,	   /* <name> */
	SKELETON_COMPUTED, /* `name` holds the tokens, to be expanded: comments gone, continuations joined */
};

/* One thing that is asked for. Each (kind, form, name) stands once. Of SKELETON_ASSEMBLER the tokens are an operand in an assembler's text
 * (NAME, "\\file"), or, within an asm statement, literals of C to be joined and unescaped ("\"" DIRECTORY "/a.bin\"\n"). No tokens, or the
 * parameter of a macro of this text (`#define HAS(x) __has_include(x)`): something is asked for that this text does not tell. */
struct skeleton_item {
	enum skeleton_kind kind;
	enum skeleton_form form;
	const char *name; /* as the compiler would take it: nothing unescaped; cut at a NUL */
};

/* A macro that a computed include may need: an object-like or function-like definition whose body could contribute to a file name, an
 * empty one or a small number included (foo_v ## 2.h). Most that can't (expressions, statements, messages) are left out. One name may have
 * several definitions, in the order of the text. */
struct skeleton_macro {
	const char *name;
	const char *parameters; /* NULL: object-like; else comma-separated, "" for none */
	const char *body;	/* comments gone, continuations joined, ends trimmed */
};

struct skeleton {
	struct skeleton_item *items;
	size_t n_items;
	struct skeleton_macro *macros;
	size_t n_macros;
	bool date_time; /* __DATE__ or __TIME__ as a token somewhere; of pasted ones only the look-up log tells */
	bool timestamp; /* __TIMESTAMP__, or #pragma GCC dependency, which compares those of files */
	bool measures_file; /* something is worked out of __FILE__ or __BASE_FILE__: sizeof, strlen, an index, a function called …hash or …crc; in plain sight only */
	bool once;	/* `#pragma once`, _Pragma("once") or #import: inode and mtime equality matter */
};

/* Never fails: any bytes have a skeleton. Everything is in `arena`. */
void skeleton_make(struct slice text, struct arena *arena, struct skeleton *ret);
