/* A small world for scenarios: a directory, a daemon in a process of its own, and clients that are processes too, since that is what
 * a daemon watches. A client does what llamacc does: asks over the socket, commits or runs the command itself. Everything is waited
 * for with a limit; what doesn't come fails the test. For tests only. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct world;

/* There is one at a time. A world whose daemon has these settings ("verify = 1\n…", a configuration file) on top of jobs = 2 and sandbox = inplace. */
struct world *world_new(const char *settings);
/* The tear-down of every test: stops the daemon, which must end without fault or leak, and removes the directory. */
int world_end(void **state);
/* Stop the daemon and start another in the same directories, with other settings. */
void world_restart(struct world *world, const char *settings);
void world_stop(struct world *world); /* tell it to leave, don't wait */
/* Start a second daemon in the same directories; its exit status. */
enum { SECOND_DAEMON = 42 }; /* another one is running */
int world_second_daemon(struct world *world);
/* Wait until the daemon has gone by itself, well. */
void world_expect_departure(struct world *world);

/* Files of the world; names are relative to its working directory. Writing waits until the file is old enough for a result made
 * from it to be kept. */
void world_write(struct world *world, const char *name, const char *text);
void world_remove(struct world *world, const char *name);
void world_shell(struct world *world, const char *script); /* must succeed */
void world_settle(struct world *world); /* the same wait, for what a script has written */
/* The names in the working directory, sorted, each with a space behind it. Valid until the next call. */
const char *world_list(struct world *world);
void world_wait_name(struct world *world, const char *part); /* until a name there contains `part` */

struct client {
	int pid;
	int answer_fd;
};

struct outcome {
	char decision[64]; /* "done", "local:link", "hung up" */
	int exit_code;
};

/* A client with this command, words separated by single spaces: assignments for its environment, a compiler (looked up on PATH unless it has a slash),
 * arguments. */
struct client world_start(struct world *world, const char *command);
struct outcome world_finish(struct world *world, struct client client);
void world_kill(struct world *world, struct client client);
struct outcome world_compile(struct world *world, const char *command);
/* What the last finished client wrote to stdout and stderr. Valid until the next one. */
const char *world_messages(struct world *world);

/* A number of `llama stats --json` or `llama daemon --status`: "hits.local". */
long long world_stat(struct world *world, const char *key);
long long world_status(struct world *world, const char *key);
const char *world_status_text(struct world *world, const char *key); /* valid until the next call */
void world_wait_status(struct world *world, const char *key, long long value);

/* Compile; expect an answer by the daemon and that it counted exactly one more under `key`. */
void world_expect(struct world *world, const char *command, const char *key);
#define expect_executed(world, command) world_expect((world), (command), "executed.inplace")
#define expect_hit(world, command)	world_expect((world), (command), "hits.local")
void expect_local(struct world *world, const char *command, const char *reason);

/* Send bytes that are no request; true: the daemon closed the connection without a word. */
bool world_sends_garbage(struct world *world, const void *bytes, size_t n);
