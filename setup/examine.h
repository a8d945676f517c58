/* What could keep this machine from building as it is configured to, looked at piece by piece: for `llama doctor`, and of it what concerns the cloud for
 * `llama status`. Each finding goes to a callback as soon as it is made, with what to do about it. Nothing here changes anything, but that the runtime and the
 * cache directory are made, as a daemon would, and that the bucket gets a small object (EXAMINE_PROBE_KEY). */
#pragma once

#include "aws/session.h"
#include "daemon/config.h"
#include "setup/environment.h"
#include "wire/endpoint.h"

enum examine_verdict {
	EXAMINE_OK,
	EXAMINE_WARNING, /* builds work, but worse than they might */
	EXAMINE_FAILED,	 /* builds will not use the engine that is configured */
	EXAMINE_SKIPPED, /* it could not be told */
};
extern const char *const examine_words[]; /* "ok", "warning", "failed", "skipped" */

struct examine_finding {  /* valid during the callback */
	const char *area; /* "configuration", "machine", "daemon", "cloud" */
	const char *name; /* "open files" */
	enum examine_verdict verdict;
	const char *fact;   /* one line */
	const char *remedy; /* lines; NULL: nothing is to be done */
};

struct examiner {
	void (*fn)(void *ctx, const struct examine_finding *finding);
	void *ctx;
	const char *area; /* of what comes */
	unsigned n[4];	  /* by verdict */
};

/* Tell a finding; `remedy` may be NULL. */
void examine_tell(struct examiner *examiner, const char *name, enum examine_verdict verdict, const char *remedy,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The configuration, which was loaded; `environment` is what it was loaded with. */
void examine_configuration(struct examiner *examiner, const struct config *config, char *const *environment);
/* Directories and limits. */
void examine_machine(struct examiner *examiner, const struct config *config, const struct endpoint *endpoint);

#define EXAMINE_PROBE_KEY "blob/doctor"

/* Whether the configuration asks for anything in the cloud. */
bool examine_wants_cloud(const struct config *config);
/* Credentials, region, bucket, function, invocation, limits; what depends on something that failed isn't asked. Opens a session of its own; asks AWS. */
void examine_cloud(struct examiner *examiner, const struct config *config, char *const *environment);

/* What there is of an environment in the account of `session`, by its name and not by what is configured: stack, bucket, images, function, limit, and what it
 * costs while nothing is built. 0; EXAMINE_ABSENT: nothing is there, and nothing was told; -1: AWS won't say. */
enum examine_outcome { EXAMINE_ABSENT = 1 };
int examine_environment(struct examiner *examiner, struct aws_session *session, const struct environment *environment,
	struct error *err);
