/* Running commands: a small helper process (llama-runner) forks them, so that neither the daemon's memory nor its threads are in
 * the way. One runner runs one command at a time.
 *
 * Namespaces: at start the runner enters user, mount, PID, network, IPC and UTS namespaces, makes the slot's root its root (pivot_root) with /proc,
 * a few device nodes and a tmpfs /.llama, gives up all capabilities for good (bounding set emptied, no_new_privs) and proves that
 * it got there. It is the init of its PID namespace: after each command it kills whatever else is left in it. In place: the
 * command runs at home in a session of its own; the runner is a subreaper and kills what is left before it answers.
 * Rooted: as in place, where nothing of all this is allowed (a cloud function): home's tree stands below `root`, the machine's root has
 * symlinks into it, and the interposer hides that (worker/trace.h). Where there is no subreaper either, whatever came up after the runner is killed.
 *
 * The runner dies with its socket: when the daemon goes, so do its jobs. */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct runner;

enum runner_mode { RUNNER_INPLACE, RUNNER_NAMESPACES, RUNNER_ROOTED };

struct runner_options {
	enum runner_mode mode;
	/* Path of llama-runner. */
	const char *program;
	/* Path of llama-interpose.so; in namespaces the runner copies it to /.llama/interpose.so. */
	const char *interposer;
	/* Namespaces: the slot's root directory, which exists and is not replaced while the runner lives; the runner makes
	 * the empty directories proc, dev and .llama in it and mounts over them, which only itself and its commands see. Rooted: absolute, squeezed,
	 * without symlinks. Else NULL. */
	const char *root;
	/* A private directory for the command's temporaries, emptied after each; ignored in namespaces (/.llama/tmp). Rooted: below
	 * TRACE_FOREIGN_PRIVATE beside the root. */
	const char *tmpdir;
	/* Soft limit of open files for the commands; 0 = the daemon's own. */
	unsigned nofile;
};

/* Start and prove it (namespaces: really mounts). -1/NULL: `err` says which step is forbidden; the caller falls back to in place. */
struct runner *runner_new(const struct runner_options *options, struct error *err);
void runner_free(struct runner *runner); /* kills what runs, waits until it is gone; NULL is allowed */

struct run_redirect {
	const char *target, *temporary; /* absolute, squeezed */
};

struct run_command {
	const char *const *argv; /* argv[0] is the absolute path that is executed */
	const char *const *env;	 /* complete; LD_PRELOAD, LLAMA_TRACE and TMPDIR are set by the runner */
	const char *cwd;	 /* absolute, as the command shall see it (rooted: not where it stands) */
	mode_t umask;
	bool tty; /* stderr is a pseudo-terminal without output processing, of this size; foreign: a pipe that looks like one, as there may be no terminals */
	unsigned columns, rows;
	const struct run_redirect *redirects; /* in place only */
	size_t n_redirects;
	int64_t timeout_ms; /* killed after that; 0 = never */
	/* Set by who cancels before it calls runner_kill, so that a kill that comes too early is not lost; NULL allowed. */
	const atomic_bool *cancelled;
};

struct run_result {
	int exit_code; /* of a command that exited */
	int signal;    /* that killed it, else 0 */
	bool timed_out;
	struct buf out, err; /* whole; owned: run_result_deinit */
	void *trace;	     /* the look-up log's mapping (worker/trace.h), trace_bytes long; owned */
	size_t trace_bytes;
	int64_t user_us, system_us, wall_us;
	int64_t max_rss_kb;
};

void run_result_deinit(struct run_result *result); /* NULL and { 0 } are allowed */

/* Run it to its end. Blocking: from a worker thread. -1: the runner is broken or the program could not be executed (`err` names the step, the path and
 * the reason; `err->code` ENOENT, E2BIG, …); a runner that failed is freed by its owner and replaced. Output beyond 64 MiB is an error. stdin is
 * /dev/null. `ret` is written in every case and always deinited by the caller. */
int runner_run(struct runner *runner, const struct run_command *command, struct run_result *ret, struct error *err);

/* Kill the running command, if any; from any thread. runner_run then returns with a signal. Between commands it does nothing: see
 * run_command.cancelled. */
void runner_kill(struct runner *runner);
