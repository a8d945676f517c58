/* The daemon: one per user and view of the file system. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "wire/endpoint.h"

struct config;

struct daemon_options {
	const struct config *config;
	struct endpoint endpoint;
	bool foreground;
	unsigned nofile; /* soft limit of open files as it was before the daemon raised its own: for the commands */
	const char *runner, *interposer; /* paths of llama-runner and llama-interpose.so */
};

/* DAEMON_ALREADY_RUNNING: another one holds the lock, or is just starting. */
enum daemon_outcome { DAEMON_ALREADY_RUNNING = 1 };

/* Everything from the lock to the last job, once the process is set up (detached, descriptors, environment); the options must
 * live until it returns. 0: it was idle, or told to stop. */
int daemon_run(const struct daemon_options *options, struct error *err);
