#include "client/local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

/* Legitimate chains have two or three. More means that something on PATH calls us back for ever. */
enum { DEPTH_LIMIT = 30 };

static const char variable[] = "LLAMACC_NESTED";

int local_depth(void)
{
	const char *value = getenv(variable);
	return value && *value ? atoi(value) : 0;
}

static const char **nested_environment(struct arena *arena, int depth)
{
	size_t n = 0;
	while (environ[n])
		n++;
	const char **copy = arena_array(arena, const char *, n + 2);
	size_t kept = 0;
	size_t name = sizeof(variable) - 1;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], variable, name) != 0 || environ[i][name] != '=')
			copy[kept++] = environ[i];
	copy[kept] = arena_printf(arena, "%s=%d", variable, depth);
	return copy;
}

static void run_script(struct arena *arena, const char *script, const char **argv, const char **env)
{
	size_t n = 0;
	while (argv[n])
		n++;
	const char **shell = arena_array(arena, const char *, n + 2);
	shell[0] = "/bin/sh";
	shell[1] = script;
	for (size_t i = 1; i < n; i++)
		shell[i + 1] = argv[i];
	execve(shell[0], (char **)shell, (char **)env);
}

noreturn void local_run(const char *compiler, const char **argv)
{
	int depth = local_depth() + 1;
	if (depth <= 0 || depth > DEPTH_LIMIT) {
		dprintf(2, "llamacc: %s leads back to llamacc; take one of the two off PATH\n", compiler);
		_exit(126);
	}
	struct arena arena = ARENA_INIT; /* lives until the exec */
	const char **env = nested_environment(&arena, depth);
	execve(compiler, (char **)argv, (char **)env);
	if (errno == E2BIG)
		execve(compiler, (char **)argv, environ); /* our one variable was too much */
	else if (errno == ENOEXEC)
		run_script(&arena, compiler, argv, env); /* a script without #!, as execvp does */
	int code = errno;
	dprintf(2, "llamacc: cannot run %s: %s\n", compiler, strerror(code));
	_exit(code == ENOENT ? 127 : 126);
}
