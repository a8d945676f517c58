/* Execution environments: jails that run a function's image, each with a Runtime API of its own, one invocation at a
 * time, frozen in between.
 *
 * An invocation gets the environment that was used last; when none is free, a new one (a cold start), within the
 * account's limit and the burst rate. Environments end after idleness, and when their function's code or
 * configuration has changed. A runtime that exits, or takes too long, ends with all its processes; the environment
 * stays with its /tmp, and the next invocation starts the runtime again.
 *
 * Everything is thread-safe; invocations block. The settings (cloud.h) are read each time, so that they can be
 * changed while it runs. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct cloud;
struct environments;

/* What an environment runs: a function's code and configuration at one moment. Never changes; whoever holds a
 * reference may read it. */
struct revision {
	_Atomic int references;
	struct arena arena; /* of what follows */
	const char *function, *arn;
	const char *root;		      /* of the unpacked image */
	const char *directory;		      /* to start in */
	const char *const *args, *const *env; /* NULL at the end; env: the image's and the function's */
	int memory_mb, timeout_s, tmp_mb;
};

struct revision *revision_new(void); /* one reference; to be filled by the caller before anybody else sees it */
struct revision *revision_ref(struct revision *revision);
void revision_unref(struct revision *revision); /* NULL is allowed */

/* `ca_file`: bound to JAIL_CA_FILE, where it exists when an environment starts; `keys`: "NAME=VALUE" of the
 * credentials that functions get, three and NULL. Borrowed. */
struct environments *environments_new(struct cloud *cloud, const char *ca_file, const char *const *keys);
/* From now on nothing is run that was recorded (recorded.h): it is answered in environments that are nothing but
 * counted. Before the first invocation. */
struct recorded;
void environments_replay(struct environments *environments, struct recorded *recorded); /* borrowed */
/* End them all, running ones too, whose invocations then fail; refuse new ones. For the time when handlers still
 * run. */
void environments_stop(struct environments *environments);
void environments_free(struct environments *environments); /* after all handlers have returned; NULL is allowed */

struct invocation {
	const char *request_id;
	const char *trace_id;
	const char *client_context; /* base64, or NULL */
	struct slice payload;	    /* JSON */
};

enum invocation_outcome {
	INVOCATION_DONE,	   /* `payload` is the response */
	INVOCATION_FUNCTION_ERROR, /* `payload` describes it as Lambda does: errorType, errorMessage */
	INVOCATION_THROTTLED,	   /* nothing ran; `reason` */
	INVOCATION_LOST,	   /* the environment was lost under it: Lambda's fault */
};

struct invocation_result {
	enum invocation_outcome outcome;
	const char *reason; /* of throttling; a constant */
	struct buf payload;
	struct buf log; /* what would go to the log, its last 4 KiB */
};

void invocation_result_deinit(struct invocation_result *result);

/* Run the function. `ret` is initialised here, and the caller's to deinit. */
void environments_invoke(struct environments *environments, struct revision *revision,
	const struct invocation *invocation, struct invocation_result *ret);
/* The same later, without an answer (InvocationType Event). Copies what it needs. */
void environments_invoke_later(
	struct environments *environments, struct revision *revision, const struct invocation *invocation);

/* The function has other code now, or is gone: environments of this revision get no more invocations. */
void environments_retire(struct environments *environments, const struct revision *revision);

/* For tests. */
enum environment_act {
	ENVIRONMENT_KILL,  /* the environment with all that is in it, as when its host dies */
	ENVIRONMENT_CRASH, /* its runtime's processes: /tmp stays */
	ENVIRONMENT_HANG,  /* stopped, until its invocation's time is over */
};
/* Do it to environment `id`, or to `n` of the busy ones (id 0). How many it was done to. */
int environments_act(struct environments *environments, enum environment_act act, int64_t id, int n);
/* [{"id": 1, "function": "f", "state": "idle", "invocations": 3, "starts": 1, "memory_bytes": …, "pid": …}], and how
 * many there have been. */
json_t *environments_json(struct environments *environments);
