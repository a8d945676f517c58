/* The error value every fallible function fills.
 *
 * A function that can fail takes `struct error *err` last. It returns 0 when done, a positive outcome from an enum of its
 * own when something expected happened (the direct caller handles it), or -1 with `err` filled. A function that returns a
 * new object returns NULL with `err` filled. A function without `err` cannot fail.
 *
 * The value lives on the caller's stack; there is nothing to free. */
#pragma once

#include <errno.h>
#include <stdarg.h>

struct error {
	int code;       /* an errno value, or 0 when no errno describes the failure */
	char text[496]; /* one line, fit to print; names the thing and the failed act; truncated, never overrun */
};

/* Fill `err` from a format; `code` is an errno value whose text is appended (": No such file…"), or 0. `err` may be NULL.
 * Always returns -1, so that `return error_set(err, …)` reads well. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same where the format says it all: the code is for the caller, and its errno's text isn't appended. */
int error_say(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put context before the text already there: "<context>: <text>". Returns -1. `err` may be NULL. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
