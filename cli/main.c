/* `llama`: a table of subcommands, each in a file of its own. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const struct command *const commands[] = {
	&command_build,
	&command_daemon,
	&command_stats,
	&command_config,
	&command_doctor,
	&command_cache,
	&command_explain,
	&command_image,
	&command_bootstrap,
	&command_status,
	&command_teardown,
	&command_update_function,
	NULL,
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static void print_help(void)
{
	printf("Usage: llama COMMAND [OPTION]...\n\n"
	       "Compiles C and C++ in a sandbox, and nothing twice: `llama build make` builds a project so.\n\n"
	       "Commands:\n");
	for (size_t i = 0; commands[i]; i++)
		printf("  %-15s %s\n", commands[i]->name, commands[i]->summary);
	printf("  %-15s %s\n  %-15s %s\n\n", "help", "explain a command", "version", "show the version");
	printf("`llama COMMAND --help` says more, and so do the manual pages llama(1), llamacc(1) and "
	       "llama-config(5).\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	if (!name) {
		fprintf(stderr, "llama: no command was given.\nSee `llama --help`.\n");
		return COMMAND_MISUSED;
	}
	bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
	if (help && !argv[2]) {
		print_help();
		return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_FAILED;
	}
	if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
		command_print_version();
		return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_FAILED;
	}
	if (help)
		name = argv[2];
	const struct command *command = find_command(name);
	if (!command) {
		fprintf(stderr, "llama: there is no command `%s`.\nSee `llama --help`.\n", name);
		return COMMAND_MISUSED;
	}
	if (help) {
		command_print_help(command);
		return command_finish_output(command, COMMAND_OK);
	}
	return command->run(&(struct command_args){ .command = command, .argv = argv, .at = 2 });
}
