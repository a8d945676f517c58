#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void warn(const struct command *command, const char *format, va_list args)
{
	_cleanup_buf_ struct buf text = { 0 };
	buf_printf(&text, "llama %s: ", command->name);
	buf_vprintf(&text, format, args);
	fprintf(stderr, "%s\n", text.ptr);
}

void command_warn(const struct command *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	warn(command, format, args);
	va_end(args);
}

void command_misuse(const struct command *command, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	warn(command, format, args);
	va_end(args);
	fprintf(stderr, "See `llama %s --help`.\n", command->name);
	exit(COMMAND_MISUSED);
}

unsigned command_number(
	const struct command *command, const char *option, const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10); /* ULONG_MAX for what is larger */
	if (*text < '0' || *text > '9' || *end || n < least || n > most)
		command_misuse(command, "--%s takes a number from %u to %u, not `%s`.", option, least, most, text);
	return (unsigned)n;
}

int command_fail(const struct command *command, const struct error *err)
{
	command_warn(command, "%s", err->text);
	return COMMAND_FAILED;
}

void command_print_version(void)
{
	printf("llama %s\n", LLAMA_VERSION);
}

static void print_option(char letter, const char *name, const char *value, const char *help)
{
	_cleanup_buf_ struct buf left = { 0 };
	if (letter)
		buf_printf(&left, "-%c, ", letter);
	else
		buf_append_str(&left, "    ");
	buf_printf(&left, "--%s%s%s", name, value ? " " : "", value ? value : "");
	printf("  %-26s %s\n", left.ptr, help);
}

void command_print_help(const struct command *command)
{
	printf("Usage: llama %s [OPTION]...%s%s\n\n%s\n\nOptions:\n", command->name, *command->operands ? " " : "",
		command->operands, command->help);
	for (const struct command_option *option = command->options; option && option->name; option++)
		print_option(option->letter, option->name, option->value, option->help);
	print_option('h', "help", NULL, "show this and exit");
	print_option(0, "version", NULL, "show the version and exit");
}

static const struct command_option *find_option(
	const struct command *command, char letter, const char *name, size_t name_bytes)
{
	for (const struct command_option *option = command->options; option && option->name; option++)
		if (letter ? option->letter == letter
			   : strlen(option->name) == name_bytes && memcmp(option->name, name, name_bytes) == 0)
			return option;
	return NULL;
}

static void end_with_help(const struct command *command)
{
	command_print_help(command);
	exit(command_finish_output(command, COMMAND_OK));
}

int command_next_option(struct command_args *args)
{
	const struct command *command = args->command;
	const struct command_option *option;
	const char *inline_value = NULL;
	if (!args->rest || !*args->rest) {
		const char *argument = args->argv[args->at];
		if (!argument || argument[0] != '-' || argument[1] == '\0')
			return -1;
		args->at++;
		if (strcmp(argument, "--") == 0)
			return -1;
		if (argument[1] == '-') {
			const char *name = argument + 2;
			size_t name_bytes = strcspn(name, "=");
			if (name[name_bytes] == '=')
				inline_value = name + name_bytes + 1;
			if (strcmp(name, "help") == 0)
				end_with_help(command);
			if (strcmp(name, "version") == 0) {
				command_print_version();
				exit(command_finish_output(command, COMMAND_OK));
			}
			option = find_option(command, 0, name, name_bytes);
			if (!option)
				command_misuse(command, "there is no option `%s`.", argument);
			if (inline_value && !option->value)
				command_misuse(command, "--%s takes no value.", option->name);
			goto found;
		}
		args->rest = argument + 1;
	}
	char letter = *args->rest++;
	option = find_option(command, letter, NULL, 0);
	if (!option && letter == 'h')
		end_with_help(command);
	if (!option)
		command_misuse(command, "there is no option `-%c`.", letter);
	if (option->value && *args->rest) {
		inline_value = args->rest;
		args->rest = NULL;
	}
found:
	args->value = inline_value;
	if (option->value && !inline_value) {
		if (!args->argv[args->at])
			command_misuse(command, "--%s needs a value.", option->name);
		args->value = args->argv[args->at++];
	}
	return (int)(option - command->options);
}

void command_no_operands(const struct command_args *args)
{
	if (args->argv[args->at])
		command_misuse(
			args->command, "`%s` is not understood; no operands are expected.", args->argv[args->at]);
}

int command_finish_output(const struct command *command, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	struct error err;
	error_set(&err, errno, "cannot write the output");
	return command_fail(command, &err);
}
