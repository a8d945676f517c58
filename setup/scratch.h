/* A private directory for the time of one command, with the programs that are run in it. It goes with scratch_close(), and also when SIGINT, SIGTERM or SIGHUP
 * ends the program, which they do in the loop's next turn: whatever was begun is then in a state that the next run goes on from. */
#pragma once

#include "aws/session.h"

struct scratch {
	char *directory;	     /* absolute, 0700 */
	struct aws_session *session; /* whose loop waits for programs */
	/* Private. */
	struct arena arena;
	uv_signal_t signals[3];
	struct process *running;
	char *const *stop_argv, *const *stop_environment;
};

/* `session` is borrowed and open until scratch_close(). `ret` stays where it is. */
int scratch_open(struct aws_session *session, struct scratch *ret, struct error *err);
void scratch_close(struct scratch *scratch); /* NULL and zeroed are allowed */

/* Run a program and wait for it; a signal that ends us ends it. Output in `arena`. 0: it has ended. -1: it could not be started, or took longer than `limit_ms` and was
 * killed. */
struct scratch_output {
	const char *out; /* up to 1 MiB */
	const char *err; /* the first KiB */
	int status; /* of its exit, or 128 + its signal */
};
int scratch_run(struct scratch *scratch, const char *const *argv, char *const *environment, int64_t limit_ms,
	struct arena *arena, struct scratch_output *ret, struct error *err);

/* From now on this command is run before the directory goes; in place of an earlier one. NULL: none. Both are copied. */
void scratch_end_with(struct scratch *scratch, const char *const *argv, char *const *environment);

/* `environment` without the variables whose names begin with one of the NULL-terminated `without`, with the settings "NAME=value" `with`; in `arena`. */
char **scratch_environment(
	char *const *environment, const char *const *without, const char *const *with, struct arena *arena);

/* Let the user's own daemon leave when its jobs are done, and wait for that; none is fine. `profile`: of the configuration, or NULL. */
int scratch_stop_daemon(
	struct scratch *scratch, const char *llama, const char *profile, char *const *environment, struct error *err);
