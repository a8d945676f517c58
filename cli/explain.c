/* llama explain */
#include "cli/explain.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/command.h"
#include "client/describe.h"
#include "client/resolve.h"
#include "client/warnings.h"

/* The first look at a compiler runs it. */
enum { EXPLAIN_TIMEOUT_MS = 180 * 1000 };

int explain_command(const struct control *control, int argc, char **argv, struct buf *ret, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct resolve_context context = {
		.path = getenv("PATH"),
		.local_cc = getenv("LLAMACC_LOCAL_CC"),
		.local_cxx = getenv("LLAMACC_LOCAL_CXX"),
	};
	if (control_find_program("llamacc", &arena, &context.self_path, err) < 0)
		return -1;
	if (stat(context.self_path, &context.self) < 0)
		return error_set(err, errno, "cannot examine %s", context.self_path);
	char cwd[PATH_MAX];
	if (!getcwd(cwd, sizeof(cwd)))
		return error_set(err, errno, "cannot tell the current directory");
	context.cwd = cwd;

	/* The command as llamacc would be called: itself, or launching this compiler. */
	const char *name = path_basename(argv[0]);
	bool launched = strcmp(name, "llamacc") != 0 && strcmp(name, "llamac++") != 0;
	char **call = arena_array(&arena, char *, (size_t)argc + 2);
	call[0] = (char *)"llamacc";
	for (int i = 0; i < argc; i++)
		call[i + launched] = argv[i];
	struct resolved resolved;
	if (resolve_compiler(&context, argc + launched, call, &arena, &resolved, err) < 0)
		return -1;

	if (launched && resolved.mode != RESOLVE_LAUNCHER)
		return error_set(
			err, 0, "`%s` is neither the path of an executable file nor called like a compiler", argv[0]);
	resolved.argc = warnings_filter(resolved.argv, resolved.argc, getenv("LLAMACC_FILTER_WARNINGS"));

	struct frame_request request = describe_request(&resolved, cwd, &control->endpoint, false, &arena);
	if (control_start_daemon(control, err) < 0)
		return -1;
	int outcome = control_ask(control, "explain", NULL, &request, EXPLAIN_TIMEOUT_MS, ret, err);
	return outcome == CONTROL_NO_DAEMON ? error_set(err, 0, "the daemon has left; try again") : outcome;
}

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	while (command_next_option(args) >= 0)
		;
	char **argv = args->argv + args->at;
	int argc = 0;
	while (argv[argc])
		argc++;
	if (argc == 0)
		command_misuse(command, "name a compiler command, for example `llama explain gcc -c x.c`.");
	struct error err;
	_cleanup_control_ struct control control;
	_cleanup_buf_ struct buf text = { 0 };
	if (control_init(&control, &err) < 0 || explain_command(&control, argc, argv, &text, &err) < 0)
		return command_fail(command, &err);
	fwrite(buf_str(&text), 1, text.len, stdout);
	return command_finish_output(command, COMMAND_OK);
}

const struct command command_explain = {
	.name = "explain",
	.operands = "[--] COMPILER [ARGUMENT]...",
	.summary = "what would happen to a compiler command, and why",
	.help = "Say what would become of a compiler command run here: its inputs and outputs, its key, where it would "
		"run, or the reason why\n"
		"locally; whether the result is kept, and why it was not the last time. Nothing is compiled.",
	.run = command_run,
};
