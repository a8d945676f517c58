/* llama teardown */
#include "setup/teardown.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/cloud.h"
#include "cli/command.h"
#include "cli/control.h"

enum { OPTION_REGION, OPTION_PROFILE, OPTION_NAME, OPTION_YES };

static const struct command_option options[] = {
	[OPTION_REGION] = { 0, "region", "REGION", "of AWS (default: as configured)" },
	[OPTION_PROFILE] = { 0, "profile", "PROFILE", "of AWS's configuration, for credentials and region" },
	[OPTION_NAME] = { 0, "name", "NAME", "of the environment (default: LLAMA_PROFILE, or llama)" },
	[OPTION_YES] = { 'y', "yes", NULL, "ask nothing" },
	{ 0 },
};

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	struct teardown_options teardown_options = { .environment = environ };
	const char *region = NULL, *profile = NULL, *name = NULL;
	for (int option; (option = command_next_option(args)) >= 0;) {
		switch (option) {
		case OPTION_REGION:
			region = args->value;
			break;
		case OPTION_PROFILE:
			profile = args->value;
			break;
		case OPTION_NAME:
			name = args->value;
			break;
		case OPTION_YES:
			teardown_options.yes = true;
			break;
		}
	}
	command_no_operands(args);

	struct error err;
	_cleanup_cloud_place_ struct cloud_place place;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (cloud_place_find(name, region, profile, &place, &err) < 0 ||
		control_find_program("llama", &arena, &teardown_options.llama, &err) < 0)
		return command_fail(command, &err);
	teardown_options.name = place.environment.name;
	teardown_options.region = place.region;
	teardown_options.profile = place.profile;
	teardown_options.is_configured = place.is_configured;
	teardown_options.bucket = place.config.bucket;
	teardown_options.config_file = place.config.file;
	int outcome = teardown(&teardown_options, &err);
	if (outcome < 0)
		return command_fail(command, &err);
	if (outcome == TEARDOWN_DECLINED)
		command_warn(command, "nothing was done");
	return command_finish_output(command, outcome == 0 ? COMMAND_OK : COMMAND_FAILED);
}

const struct command command_teardown = {
	.name = "teardown",
	.operands = "",
	.summary = "take the cloud away that bootstrap has set up",
	.help = "Remove the function, the bucket and repository with all that is in them, the stack, the logs, and the "
		"environment's\n"
		"lines in the configuration. Nothing is left, and nothing costs any more.",
	.options = options,
	.run = command_run,
};
