/* llama cache */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/control.h"

enum { CLEAR_TIMEOUT_MS = 600 * 1000 };

static double megabytes(const json_t *cache, const char *key)
{
	return (double)control_json_number(cache, key) / (1 << 20);
}

static int print(const struct control *control, struct error *err)
{
	json_t *cache;
	if (control_ask_json(control, "cache", NULL, &cache, err) != 0)
		return -1;
	const char *directory = json_string_value(json_object_get(cache, "directory"));
	const char *mode = json_string_value(json_object_get(cache, "mode"));
	double size = megabytes(cache, "size_bytes"), limit = megabytes(cache, "limit_bytes");
	printf("directory  %s\n", directory ? directory : "");
	printf("mode       %s\n", mode ? mode : "");
	printf("size       %.1f MB of %.1f MB (%.1f %%)\n", size, limit, limit > 0 ? 100 * size / limit : 0);
	printf("results    %" PRIu64 "\n", control_json_number(cache, "entries"));
	printf("index      %.1f MB\n", megabytes(cache, "index_bytes"));
	json_decref(cache);
	return 0;
}

static int clear(const struct control *control, struct error *err)
{
	_cleanup_buf_ struct buf answer = { 0 };
	return control_ask(control, "cache", "clear", NULL, CLEAR_TIMEOUT_MS, &answer, err) == 0 ? 0 : -1;
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	while (command_next_option(args) >= 0)
		;
	const char *action = args->argv[args->at];
	const char *wrong = action && strcmp(action, "clear") == 0 ? args->argv[args->at + 1] : action;
	if (wrong)
		command_misuse(command, "`%s` is not understood; the only action is `clear`.", wrong);

	struct error err;
	_cleanup_control_ struct control control;
	/* Only a daemon may touch the index, so one is started if need be. */
	if (control_init(&control, &err) < 0 || control_start_daemon(&control, &err) < 0 ||
		(action ? clear(&control, &err) : print(&control, &err)) < 0)
		return command_fail(command, &err);
	return command_finish_output(command, COMMAND_OK);
}

const struct command command_cache = {
	.name = "cache",
	.operands = "[clear]",
	.summary = "the size of the stored results; remove them",
	.help = "Show where stored results are and how much room they take, or remove them all (`clear`).\n"
		"The limit is the configuration's cache_size.",
	.run = command_run,
};
