/* llama image */
#include "aws/image.h"

#include <stdio.h>
#include <string.h>

#include "aws/image_lint.h"
#include "base/arena.h"
#include "cli/command.h"
#include "cli/control.h"

enum { OPTION_CA_BUNDLE, OPTION_RUNTIME };

static const struct command_option options[] = {
	[OPTION_CA_BUNDLE] = { 0, "ca-bundle", "FILE",
		"certificates for the function to trust (default: this machine's)" },
	[OPTION_RUNTIME] = { 0, "runtime", "FILE", "another runtime than the one that came with this llama" },
	{ 0 },
};

static double megabytes(int64_t bytes)
{
	return (double)bytes / (1 << 20);
}

static int build(const struct command *command, struct image_options *image, const char *dir)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct error err;
	struct image_report report;
	if ((!image->runtime && control_find_program("llama-runtime", &arena, &image->runtime, &err) < 0) ||
		control_find_program("llama-runner", &arena, &image->runner, &err) < 0 ||
		control_find_program("llama-interpose.so", &arena, &image->interposer, &err) < 0 ||
		image_build(image, dir, &report, &err) < 0)
		return command_fail(command, &err);
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&report.manifest, hex);
	printf("image      %s\n", dir);
	printf("digest     sha256:%s\n", hex);
	printf("platform   linux/%s\n", report.architecture);
	printf("size       %.1f MB, %.1f MB unpacked\n", megabytes(report.layer_bytes),
		megabytes(report.content_bytes));
	printf("libraries  %u\n", report.n_libraries);
	printf("links      %u\n", report.n_links);
	return command_finish_output(command, COMMAND_OK);
}

static void print_finding(void *ctx, enum image_rule rule, const char *text)
{
	bool *told = ctx;
	if (!told[rule])
		printf("%s: %s\n", image_rule_names[rule], image_rule_texts[rule]);
	told[rule] = true;
	printf("    %s\n", text);
}

static int lint(const struct command *command, const char *dir)
{
	bool told[IMAGE_RULE_COUNT] = { 0 };
	struct error err;
	if (image_lint(dir, NULL, print_finding, told, &err) < 0)
		return command_fail(command, &err);
	bool any = memchr(told, true, sizeof(told));
	if (!any)
		printf("%s: an image that Lambda takes\n", dir);
	return command_finish_output(command, any ? COMMAND_FAILED : COMMAND_OK);
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	struct image_options image = { 0 };
	for (int option; (option = command_next_option(args)) >= 0;) {
		if (option == OPTION_CA_BUNDLE)
			image.ca_bundle = args->value;
		else
			image.runtime = args->value;
	}
	char **operands = args->argv + args->at;
	const char *action = operands[0];
	if (!action || (strcmp(action, "build") != 0 && strcmp(action, "lint") != 0))
		command_misuse(command, "say `build` or `lint`, and a directory.");
	if (!operands[1] || operands[2])
		command_misuse(command, "`%s` takes one directory.", action);
	return strcmp(action, "build") == 0 ? build(command, &image, operands[1]) : lint(command, operands[1]);
}

const struct command command_image = {
	.name = "image",
	.operands = "build|lint DIRECTORY",
	.summary = "write the cloud function's image, or examine one",
	.help = "`build` writes the image of the cloud function as an OCI layout, without Docker: the runtime with "
		"its\n"
		"loader and libraries, CA certificates, and links into the tree that a job is mirrored in. No compiler "
		"is\n"
		"in it. The same programs and libraries give the same bytes. An earlier image of llama in DIRECTORY "
		"is\n"
		"replaced.\n\n"
		"`lint` says what AWS Lambda would refuse in the layout at DIRECTORY, whoever wrote it. It exits with "
		"1 if\n"
		"there is anything.",
	.options = options,
	.run = command_run,
};
