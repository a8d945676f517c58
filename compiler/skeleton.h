/* Skeletons: what of a C, C++ or assembler text leads to other files, and nothing else.
 *
 * One pass over the bytes, linear in their number, no preprocessing: all branches of `#if` are taken, comments, raw strings, line
 * continuations (with trigraph ??/ too), digraphs, CRLF, NUL bytes and a missing final newline are understood as gcc and clang do. So what
 * is found is a superset of what any compilation of the text can ask for, but for names that macros of other texts make (those of this text
 * are kept, for the closure to expand).
 *
 * A skeleton depends on the bytes alone: it is kept by digest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

enum skeleton_kind {
	SKELETON_INCLUDE,      /* #include, and __has_include of the same name */
	SKELETON_INCLUDE_NEXT, /* #include_next, and __has_include_next */
	SKELETON_EMBED,        /* #embed, and __has_embed */
	SKELETON_ASSEMBLER,    /* .incbin or .include, in an assembler text or in a string of an asm statement: looked for from the
				* working directory and along -I */
};

enum skeleton_form {
	SKELETON_QUOTE,    /* "name" */
	SKELETON_ANGLE,    /* <name> */
	SKELETON_COMPUTED, /* `name` holds the tokens, to be expanded: comments gone, continuations joined */
};

/* One thing that is asked for. Each (kind, form, name) stands once. */
struct skeleton_item {
	enum skeleton_kind kind;
	enum skeleton_form form;
	const char *name; /* as the compiler would take it: nothing unescaped */
};

/* A macro that a computed include may need: an object-like or function-like definition whose body could contribute to a file name. Bodies
 * that surely can't (numbers, statements, …) are left out. */
struct skeleton_macro {
	const char *name;
	const char *parameters; /* NULL: object-like; else comma-separated, "" for none */
	const char *body;       /* comments gone, continuations joined, ends trimmed */
};

struct skeleton {
	struct skeleton_item *items;
	size_t n_items;
	struct skeleton_macro *macros;
	size_t n_macros;
	bool date_time; /* __DATE__ or __TIME__ as a token somewhere */
	bool timestamp; /* __TIMESTAMP__ */
	bool once;      /* `#pragma once` or #import: inode and mtime equality matter */
};

/* Never fails: any bytes have a skeleton. Everything is in `arena`. */
void skeleton_make(struct slice text, struct arena *arena, struct skeleton *ret);

/* Compact bytes of a skeleton, for keeping, and back. skeleton_decode: 0, or -1 when the bytes are no skeleton; strings point into `bytes`. */
void skeleton_encode(const struct skeleton *skeleton, struct buf *to);
int skeleton_decode(struct slice bytes, struct arena *arena, struct skeleton *ret);
