/* How bootstrap and teardown talk to people: a line per step on stdout, questions on the terminal. Nothing that moves: what is printed may be a log. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/arena.h"
#include "base/error.h"

struct talk {
	bool yes;      /* --yes: nothing is asked */
	bool terminal; /* there is somebody to ask: standard input and output are terminals */
	uv_loop_t *loop;
};

/* `loop` turns while an answer is waited for, so that signals end the program there too; it is open whenever something is asked. */
void talk_begin(bool yes, uv_loop_t *loop, struct talk *ret);

/* "what       text", at once. The second goes on below, a smaller step of the same. */
void talk_step(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
void talk_more(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum talk_outcome { TALK_NO = 1 };

/* "question [y/N] ": 0 is yes, as it is with --yes. -1: there is nobody to ask. */
int talk_confirm(const struct talk *talk, const char *question, struct error *err);
/* A line of text in `arena`. -1: there is nobody to ask, or nothing was said; `err` is left to the caller to fill. */
int talk_ask(const struct talk *talk, const char *question, struct arena *arena, const char **ret);
