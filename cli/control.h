/* Talking to the daemon: one connection, one CONTROL frame, one reply. */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "daemon/config.h"
#include "wire/endpoint.h"
#include "wire/frame.h"

/* What every subcommand begins with. */
struct control {
	struct config config;
	struct endpoint endpoint;
};

int control_init(struct control *control, struct error *err);
void control_deinit(struct control *control);

#define _cleanup_control_ __attribute__((cleanup(control_deinit)))

enum control_outcome { CONTROL_NO_DAEMON = 1 };

/* Ask the daemon. `argument` is the verb's only one, or NULL; `request` goes with explain, else NULL. 0: `ret` has the
 * text of its answer appended. -1: it refused (err has its words), or could not be understood or did not answer within
 * `timeout_ms`. */
int control_ask(const struct control *control, const char *verb, const char *argument,
	const struct frame_request *request, int timeout_ms, struct buf *ret, struct error *err);

/* The same for an answer that is a JSON object; the caller drops the reference (json_decref). */
int control_ask_json(
	const struct control *control, const char *verb, const char *argument, json_t **ret, struct error *err);

/* Make sure that a daemon answers: run `llama daemon`, which returns when one does. -1 with what it has to say. */
int control_start_daemon(const struct control *control, struct error *err);

/* The process that listens on the endpoint, or CONTROL_NO_DAEMON. */
int control_daemon_pid(const struct control *control, pid_t *ret, struct error *err);

/* A program of ours: beside this one in a build tree (and for llamacc when installed), else in ../libexec/llama. In
 * `arena`. -1: it is in neither place. */
int control_find_program(const char *name, struct arena *arena, const char **ret, struct error *err);

/* The profile that an installation brings for Ubuntu's AppArmor, in `arena`; NULL: it isn't there. */
const char *control_find_apparmor_profile(struct arena *arena);

/* From now on LLAMA_PROFILE is the environment `name` (of --name), whose default has no profile. Before control_init. */
void control_choose_environment(const char *name);

/* The number under a dotted key ("hits.local") of a JSON object; 0 when absent. */
uint64_t control_json_number(const json_t *object, const char *key);

/* How the Lambda engine stands, from the daemon's status: one line, without a full stop. */
void control_describe_lambda(const json_t *status, struct buf *to);
