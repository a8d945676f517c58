/* llama status */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aws/sts.h"
#include "cli/cloud.h"
#include "cli/command.h"
#include "cli/report.h"

enum { OPTION_REGION, OPTION_PROFILE, OPTION_NAME };

static const struct command_option options[] = {
	[OPTION_REGION] = { 0, "region", "REGION", "of AWS (default: as configured)" },
	[OPTION_PROFILE] = { 0, "profile", "PROFILE", "of AWS's configuration, for credentials and region" },
	[OPTION_NAME] = { 0, "name", "NAME", "of the environment (default: LLAMA_PROFILE, else llama)" },
	{ 0 },
};

static void tell_configured(struct examiner *examiner, const struct cloud_place *place, const char *region)
{
	const char *configured = place->config.region;
	bool elsewhere = place->is_configured && configured && strcmp(configured, region) != 0;
	bool ok = place->is_configured && !elsewhere;
	examine_tell(examiner, "configured", ok ? EXAMINE_OK : EXAMINE_WARNING,
		ok ? NULL : "`llama bootstrap --join` writes it down", "%s %s%s%s", place->config.file,
		ok	    ? "names it"
		: elsewhere ? "names the one in "
			    : "doesn't name its function",
		elsewhere ? configured : "", place->environment.section ? ", as a profile" : "");
}

/* 0, EXAMINE_ABSENT, -1. */
static int show(const struct cloud_place *place, struct report *report, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_session session;
	struct sts_identity identity;
	if (aws_session_open(place->profile, place->region, environ, &session, err) < 0)
		return -1;
	int outcome = -1;
	if (!session.config.region)
		error_set(err, 0, "no region is known: say --region, or set AWS_REGION");
	else
		outcome = sts_get_caller_identity(&session, &arena, &identity, err);
	if (outcome == 0) {
		printf("environment %s, account %s, %s\n", place->environment.name, identity.account,
			session.config.region);
		outcome = examine_environment(&report->examiner, &session, &place->environment, err);
	}
	if (outcome == EXAMINE_ABSENT)
		printf("  There is nothing of it. `llama bootstrap%s%s` sets it up.\n",
			place->environment.section ? " --name " : "",
			place->environment.section ? place->environment.name : "");
	else if (outcome == 0)
		tell_configured(&report->examiner, place, session.config.region);
	aws_session_close(&session);
	return outcome;
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	const char *region = NULL, *profile = NULL, *name = NULL;
	for (int option; (option = command_next_option(args)) >= 0;) {
		if (option == OPTION_REGION)
			region = args->value;
		else if (option == OPTION_PROFILE)
			profile = args->value;
		else
			name = args->value;
	}
	command_no_operands(args);
	struct error err;
	_cleanup_cloud_place_ struct cloud_place place;
	struct report report;
	report_begin(&report);
	report.brief = true;
	if (cloud_place_find(name, region, profile, &place, &err) < 0)
		return command_fail(command, &err);
	int outcome = show(&place, &report, &err);
	if (outcome < 0)
		return command_fail(command, &err);
	return command_finish_output(
		command, outcome == EXAMINE_ABSENT || report.examiner.n[EXAMINE_FAILED] ? COMMAND_FAILED : COMMAND_OK);
}

const struct command command_status = {
	.name = "status",
	.operands = "",
	.summary = "what there is of the cloud, whether it is well, and what it costs",
	.help = "Show what `llama bootstrap` has set up in the account, whether it is well and of this llama, how many "
		"functions\n"
		"the account runs at once, and what it costs while nothing is built. Exits with 0 if all of it is "
		"there and well.\n"
		"`llama doctor` says whether builds use it.",
	.options = options,
	.run = command_run,
};
