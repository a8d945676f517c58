/* llama config */
#include "daemon/config.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/control.h"
#include "cli/namespaces.h"

static void print_profiles(const struct config *config)
{
	if (config->profile_name)
		printf("# profile %s (environment LLAMA_PROFILE)\n", config->profile_name);
	else if (config->profiles)
		printf("# no profile is chosen (environment LLAMA_PROFILE)\n");
	for (const struct config_profile *profile = config->profiles; profile; profile = profile->next)
		printf("%s%s%s", profile == config->profiles ? "# profiles: " : ", ", profile->name, profile->next ? "" : "\n");
}

static void print_values(const struct config *config)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		/* Knobs of tests show when somebody turned them. */
		bool is_knob = strncmp(config_options[i].name, "dev_", 4) == 0;
		if (is_knob && !config->origins[i].variable && !config->origins[i].line)
			continue;
		_cleanup_buf_ struct buf value = { 0 }, origin = { 0 };
		config_format(config, i, &value);
		config_format_origin(config, i, &origin);
		/* Of what has no value there is no line in a file. */
		bool is_unset = value.len == 0 && !config->origins[i].line;
		printf("%s%-*s = %-24s ; %s\n", is_unset ? "; " : "", is_unset ? 10 : 12, config_options[i].name, buf_str(&value), origin.ptr);
	}
}

static void print_unknown(const struct config *config)
{
	for (const struct config_unknown *unknown = config->unknown; unknown; unknown = unknown->next)
		printf("unknown: %s:%u: there is no option %s; llama-config(5) lists them\n", config->file,
			unknown->line, unknown->name);
	for (char **at = environ; *at; at++) {
		struct slice name = slice_of(*at, strcspn(*at, "="));
		if (config_is_unknown_variable(name))
			printf("unknown: there is no environment variable %.*s; llamacc(1) and llama-config(5) list "
			       "them\n",
				(int)name.len, name.ptr);
	}
}

static void print_how_to_allow_namespaces(void)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf advice = { 0 };
	namespaces_advise("", control_find_apparmor_profile(&arena), &advice);
	printf("To run them in namespaces: change what follows (llama-config(5), SANDBOX MODES, says more), then "
	       "`llama "
	       "daemon --stop`.\n%s",
		buf_str(&advice));
}

/* What only a daemon knows, because only trying tells: whether namespaces are allowed here. */
static int print_sandbox(const struct control *control, struct error *err)
{
	json_t *status;
	if (control_start_daemon(control, err) < 0 || control_ask_json(control, "status", NULL, &status, err) != 0)
		return -1;
	const char *mode = json_string_value(json_object_get(status, "sandbox"));
	const char *why = json_string_value(json_object_get(status, "sandbox_why"));
	bool namespaces = mode && strcmp(mode, "namespaces") == 0;
	printf("\nThe daemon (process %" JSON_INTEGER_FORMAT ") runs compilers %s%s%s.\n",
		json_integer_value(json_object_get(status, "pid")),
		namespaces ? "in namespaces with a private root" : "in place", why && *why ? ": " : "", why ? why : "");
	if (namespaces)
		printf("To run them in place: set sandbox = inplace (or LLAMACC_SANDBOX=inplace), then `llama daemon "
		       "--stop`.\n");
	else if (control->config.sandbox == CONFIG_SANDBOX_INPLACE)
		printf("To run them in namespaces: set sandbox = auto (or unset LLAMACC_SANDBOX), then `llama daemon "
		       "--stop`.\n");
	else
		print_how_to_allow_namespaces();
	_cleanup_buf_ struct buf lambda = { 0 };
	control_describe_lambda(status, &lambda);
	if (control->config.bucket || control->config.function || control->config.engine == CONFIG_ENGINE_LAMBDA)
		printf("\nLambda is %s.\n", buf_str(&lambda));
	json_decref(status);
	return 0;
}

enum { OPTION_MAN };

static const struct command_option options[] = {
	[OPTION_MAN] = { 0, "man", NULL, "print the list of options as llama-config(5) has it, in mdoc" },
	{ 0 },
};

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	bool manual = false;
	while (command_next_option(args) >= 0)
		manual = true;
	command_no_operands(args);
	if (manual) {
		_cleanup_buf_ struct buf text = { 0 };
		config_format_manual(&text);
		fputs(text.ptr, stdout);
		return command_finish_output(command, COMMAND_OK);
	}

	struct error err;
	_cleanup_control_ struct control control;
	if (control_init(&control, &err) < 0)
		return command_fail(command, &err);
	struct config *config = &control.config;
	if (!config->runtime_dir)
		config->runtime_dir = control.endpoint.directory; /* where its default leads */
	printf("# %s%s\n", config->file ? config->file : "no file: HOME is not set",
		config->file_found ? "" : " (not there)");
	print_profiles(config);
	print_values(config);
	print_unknown(config);
	fflush(stdout);
	if (print_sandbox(&control, &err) < 0)
		return command_fail(command, &err);
	return command_finish_output(command, COMMAND_OK);
}

const struct command command_config = {
	.name = "config",
	.operands = "",
	.summary = "effective values, where each comes from, the sandbox mode",
	.help = "Show every option's value and origin, names that nobody knows, and how the sandbox engine runs "
		"compilers here\n"
		"(this starts the daemon).",
	.options = options,
	.run = command_run,
};
