/* llama bootstrap */
#include "setup/bootstrap.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/cloud.h"
#include "cli/command.h"
#include "cli/control.h"
#include "setup/template.h"

enum {
	OPTION_REGION,
	OPTION_PROFILE,
	OPTION_NAME,
	OPTION_MEMORY,
	OPTION_ARCH,
	OPTION_JOIN,
	OPTION_YES,
	OPTION_DRY_RUN,
	OPTION_TEMPLATE
};

static const struct command_option options[] = {
	[OPTION_REGION] = { 0, "region", "REGION",
		"of AWS, as eu-central-1 (default: as its own tools have it configured)" },
	[OPTION_PROFILE] = { 0, "profile", "PROFILE", "of AWS's configuration, for credentials and region" },
	[OPTION_NAME] = { 0, "name", "NAME", "of the environment, to have several (default: LLAMA_PROFILE, or llama)" },
	[OPTION_MEMORY] = { 0, "memory", "MB", "of the function (default: 1769, which is one whole processor)" },
	[OPTION_ARCH] = { 0, "arch", "x86_64|arm64",
		"of the function; it has to be this machine's, which is the default" },
	[OPTION_JOIN] = { 0, "join", NULL, "only use what somebody else has made: change nothing in the account" },
	[OPTION_YES] = { 'y', "yes", NULL, "ask nothing" },
	[OPTION_DRY_RUN] = { 'n', "dry-run", NULL, "show what would be done, and what it would cost" },
	[OPTION_TEMPLATE] = { 0, "template", NULL, "print the CloudFormation template" },
	{ 0 },
};

static int print_template(const struct command *command)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	fputs(template_text(&arena), stdout);
	return command_finish_output(command, COMMAND_OK);
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	struct bootstrap_options bootstrap_options = { .environment = environ };
	const char *region = NULL, *profile = NULL, *name = NULL;
	bool template = false;
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
		case OPTION_MEMORY:
			bootstrap_options.memory_mb = command_number(
				command, "memory", args->value, FUNCTION_LEAST_MB, FUNCTION_MOST_MB);
			break;
		case OPTION_ARCH:
			bootstrap_options.architecture = args->value;
			break;
		case OPTION_JOIN:
			bootstrap_options.join = true;
			break;
		case OPTION_YES:
			bootstrap_options.yes = true;
			break;
		case OPTION_DRY_RUN:
			bootstrap_options.dry_run = true;
			break;
		case OPTION_TEMPLATE:
			template = true;
			break;
		}
	}
	command_no_operands(args);
	if (template)
		return print_template(command);

	struct error err;
	_cleanup_cloud_place_ struct cloud_place place;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (cloud_place_find(name, region, profile, &place, &err) < 0)
		return command_fail(command, &err);
	bootstrap_options.name = place.environment.name;
	bootstrap_options.region = place.region;
	bootstrap_options.profile = place.profile;
	bootstrap_options.config_file = place.config.file;
	bootstrap_options.cache_dir = place.cache_dir;
	const struct {
		const char *name, **ret;
	} programs[] = {
		{ "llama", &bootstrap_options.llama },
		{ "llamacc", &bootstrap_options.llamacc },
		{ "llama-runtime", &bootstrap_options.runtime },
		{ "llama-runner", &bootstrap_options.runner },
		{ "llama-interpose.so", &bootstrap_options.interposer },
	};
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (control_find_program(programs[i].name, &arena, programs[i].ret, &err) < 0)
			return command_fail(command, &err);
	int outcome = bootstrap(&bootstrap_options, &err);
	if (outcome < 0)
		return command_fail(command, &err);
	if (outcome == BOOTSTRAP_DECLINED)
		command_warn(command, "nothing was done");
	return command_finish_output(command, outcome == 0 ? COMMAND_OK : COMMAND_FAILED);
}

const struct command command_bootstrap = {
	.name = "bootstrap",
	.operands = "",
	.summary = "set up the cloud that compiles, in your AWS account",
	.help = "Make what builds in AWS Lambda need (a bucket, a function with its image and its rights), try it with "
		"each compiler of\n"
		"this machine, and write the configuration. It shows first what it will make and what that costs when "
		"nothing is\n"
		"built: next to nothing. Run again it changes only what has to be changed; interrupted and run again "
		"it goes on.\n"
		"`llama teardown` takes everything away.\n\n"
		"Credentials are found as the AWS CLI finds them.",
	.options = options,
	.run = command_run,
};
