/* What a subcommand of `llama` is: one file, one `const struct command`, an entry in main.c's table. Help texts are
 * made from it. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct command_option {
	char letter;	   /* short form, or 0 */
	const char *name;  /* long form without dashes; NULL ends the list */
	const char *value; /* what its value is called in the help, or NULL: it takes none */
	const char *help;
};

struct command_args;

struct command {
	const char *name;
	const char *operands;		       /* for the usage line; "" if it takes none */
	const char *summary;		       /* one line */
	const char *help;		       /* paragraphs, each line ending in a newline */
	const struct command_option *options;  /* or NULL; --help and --version go without saying */
	int (*run)(struct command_args *args); /* returns the exit status */
};

extern const struct command command_bootstrap, command_build, command_cache, command_config, command_daemon, command_doctor,
	command_explain, command_image, command_stats, command_status, command_teardown, command_update_function;

/* Exit statuses of our own; `llama build` otherwise exits as its command does. */
enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_MISUSED = 2 };

struct command_args {
	const struct command *command;
	char **argv; /* ends in NULL; operands begin at `at` after the last option */
	int at;
	const char *value; /* of the option returned last */
	const char *rest;  /* further letters behind one dash, or NULL */
};

/* The next option as an index of command->options, or -1 when the operands begin: at the first argument that is none,
 * or after
 * `--`. Ends the program for --help, --version (0) and for an unknown option or a missing value (COMMAND_MISUSED). */
int command_next_option(struct command_args *args);

/* The same for a command that takes no operands: one that is there ends the program. */
void command_no_operands(const struct command_args *args);

/* The value `text` of --OPTION: digits, from `least` to `most`. Anything else ends the program. */
unsigned command_number(
	const struct command *command, const char *option, const char *text, unsigned least, unsigned most);

/* "llama build: TEXT" on stderr. command_misuse adds where the help is, and ends the program with COMMAND_MISUSED. */
void command_warn(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
void command_misuse(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* The same with the text of `err`; returns COMMAND_FAILED. */
int command_fail(const struct command *command, const struct error *err);

void command_print_help(const struct command *command);
void command_print_version(void);

/* Flush stdout; a reader that went away or a full disk is a failure. Returns `status`, or COMMAND_FAILED. */
int command_finish_output(const struct command *command, int status);
