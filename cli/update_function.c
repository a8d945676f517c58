/* llama update-function */
#include "setup/update_function.h"

#include <unistd.h>

#include "aws/functions.h"
#include "cli/command.h"
#include "daemon/config.h"

enum { OPTION_IMAGE, OPTION_IMAGE_URI, OPTION_REPOSITORY, OPTION_MEMORY, OPTION_TIMEOUT, OPTION_REGION, OPTION_PROFILE };

static const struct command_option options[] = {
	[OPTION_IMAGE] = { 0, "image", "DIRECTORY", "an image as `llama image build` writes it: it is pushed, and taken over" },
	[OPTION_IMAGE_URI] = { 0, "image-uri", "URI", "an image that a repository of the region has already" },
	[OPTION_REPOSITORY] = { 0, "repository", "NAME", "to push to (default: that of the function's image)" },
	[OPTION_MEMORY] = { 0, "memory", "MB", "128 to 10240; 1769 is one whole processor" },
	[OPTION_TIMEOUT] = { 0, "timeout", "SECONDS", "that an invocation may take, 1 to 900" },
	[OPTION_REGION] = { 0, "region", "REGION", "of AWS (default: as configured)" },
	[OPTION_PROFILE] = { 0, "profile", "PROFILE", "of AWS's configuration, for credentials and region" },
	{ 0 },
};

static int update(const char *name, const char *region, const char *profile, const struct update_options *update_options, struct error *err)
{
	struct config config;
	struct aws_session session = { 0 };
	int rc = config_load(NULL, environ, &config, err);
	if (rc == 0)
		rc = aws_session_open(profile ? profile : config.profile, region ? region : config.region, environ, &session, err);
	if (rc == 0)
		rc = update_function(&session, name, update_options, err);
	aws_session_close(&session);
	config_deinit(&config);
	return rc;
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	struct update_options update_options = { 0 };
	const char *region = NULL, *profile = NULL, *name = NULL;
	for (;;) {
		int option = command_next_option(args);
		if (option < 0 && (name || !args->argv[args->at]))
			break;
		if (option < 0) {
			name = args->argv[args->at++]; /* options may follow it */
			continue;
		}
		switch (option) {
		case OPTION_IMAGE:
			update_options.image = args->value;
			break;
		case OPTION_IMAGE_URI:
			update_options.image_uri = args->value;
			break;
		case OPTION_REPOSITORY:
			update_options.repository = args->value;
			break;
		case OPTION_MEMORY:
			update_options.memory_mb = command_number(command, "memory", args->value, FUNCTION_LEAST_MB, FUNCTION_MOST_MB);
			break;
		case OPTION_TIMEOUT:
			update_options.timeout_s = command_number(command, "timeout", args->value, 1, 900);
			break;
		case OPTION_REGION:
			region = args->value;
			break;
		case OPTION_PROFILE:
			profile = args->value;
			break;
		}
	}
	if (!name || args->argv[args->at])
		command_misuse(command, "say the name of one function.");
	if (update_options.image && update_options.image_uri)
		command_misuse(command, "--image and --image-uri can't both be its image.");
	if (update_options.repository && !update_options.image)
		command_misuse(command, "--repository goes with --image.");
	if (!update_options.image && !update_options.image_uri && !update_options.memory_mb && !update_options.timeout_s)
		command_misuse(command, "say what to change: --image, --image-uri, --memory or --timeout.");
	struct error err;
	if (update(name, region, profile, &update_options, &err) < 0)
		return command_fail(command, &err);
	return command_finish_output(command, COMMAND_OK);
}

const struct command command_update_function = {
	.name = "update-function",
	.operands = "NAME",
	.summary = "give a function of your own another image, memory or time limit",
	.help = "Change what the function NAME of AWS Lambda runs from, and how, and wait until it does. Only what differs is changed, and\n"
		"each change is told with what was before. An image is pushed without Docker, to the repository that the function's\n"
		"present image is in. `llama bootstrap` does this for the function that it has made; this is for others.",
	.options = options,
	.run = command_run,
};
