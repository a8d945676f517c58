/* The test cloud: S3, Lambda and what it takes to set them up, on loopback, strict where AWS is, with faults to order. This is what its parts
 * share. */
#pragma once

#include <pthread.h>

#include "tests/cloud/faults.h"
#include "tests/cloud/server.h"
#include "tests/cloud/sigv4.h"

/* Numbers that can be given as a flag (--rtt-ms=25) and changed at run time (POST /_cloud/settings {"rtt-ms": 25}): name, default, help. */
#define CLOUD_SETTINGS(X)                                                                                                        \
	X(RTT_MS, "rtt-ms", 0, "round trip to the cloud")                                                                        \
	X(UPLINK_KBIT_S, "uplink-kbit-s", 0, "what all requests together may send; 0 = no limit")                               \
	X(DOWNLINK_KBIT_S, "downlink-kbit-s", 0, "what all answers together may send; 0 = no limit")                            \
	X(GOAWAY_REQUESTS, "goaway-requests", 10000, "requests on an HTTP/2 connection before its GOAWAY; 0 = never (of new connections)") \
	X(IDLE_MS, "idle-ms", 60000, "silence after which a connection is closed (start only)")                                  \
	X(CLOCK_OFFSET_S, "clock-offset-s", 0, "what the cloud's clock is ahead of this machine's")                              \
	X(CONCURRENCY, "concurrency", 1000, "invocations at a time, of all functions; ten times that many a second")              \
	X(BURST, "burst", 1000, "new environments of a function in ten seconds")                                                 \
	X(ENVIRONMENT_IDLE_MS, "environment-idle-ms", 300000, "idleness after which an environment ends")                        \
	X(COLD_START_MS, "cold-start-ms", 0, "before the runtime of a new environment begins, beyond what it takes")             \
	X(INIT_TIMEOUT_MS, "init-timeout-ms", 10000, "a new runtime's time to ask for work")                                     \
	X(UPDATE_MS, "update-ms", 200, "that a function's creation or update takes at least")                                    \
	X(RESOURCE_MS, "resource-ms", 20, "that each step of a stack's resource takes at least")                                 \
	X(EVENTS_PAGE, "events-page", 100, "events of a stack in one answer")                                                    \
	X(MEMORY_LIMIT_MB, "memory-limit-mb", 10240, "what a function may have; a new account's is 3008")                        \
	X(ROLE_DELAY_MS, "role-delay-ms", 0, "until Lambda can assume a new role")                                               \
	X(STRICT_ROLES, "strict-roles", 0, "1: a function's role must exist")                                                    \
	X(REPLAY_OVERHEAD_MS, "replay-overhead-ms", 8, "with --replay: of the worker, for each job")                             \
	X(REPLAY_S3_MS, "replay-s3-ms", 15, "with --replay: until a pack that a worker fetches begins to come")                  \
	X(REPLAY_S3_KBIT_S, "replay-s3-kbit-s", 500000, "with --replay: how fast it comes")                                      \
	X(SEED, "seed", 0, "of the faults; 0 = a new one, printed (start only)")

#define CLOUD_SETTING_ENUM(id, name, value, help) SETTING_##id,
enum cloud_setting { CLOUD_SETTINGS(CLOUD_SETTING_ENUM) CLOUD_N_SETTINGS };

struct cloud_setting_info {
	const char *name;
	int64_t value; /* default */
	const char *help;
};
extern const struct cloud_setting_info cloud_settings[CLOUD_N_SETTINGS];

/* The account everything belongs to. */
#define CLOUD_ACCOUNT "000000000000"

struct s3;
struct lambda;
struct iam;
struct logs;
struct ecr;
struct stacks;
struct counters;
struct link;

struct cloud {
	const char *state_dir; /* absolute; ours alone */
	const char *region;
	_Atomic int64_t settings[CLOUD_N_SETTINGS];
	const struct sigv4_keys *keys;
	struct faults *faults;
	struct counters *counters;
	struct link *link;
	struct s3 *s3;
	struct lambda *lambda;
	struct iam *iam;
	struct logs *logs;
	struct ecr *ecr;
	struct stacks *stacks;
	_Atomic uint16_t port; /* of https; from then on when it listens */
};

/* Makes `state_dir`, which must be absent or empty, and everything in it. `settings`: CLOUD_N_SETTINGS values. The strings are borrowed. */
struct cloud *cloud_new(const char *state_dir, const char *region, const int64_t *settings, struct error *err);
void cloud_free(struct cloud *cloud);

static inline int64_t cloud_setting(struct cloud *cloud, enum cloud_setting setting)
{
	return cloud->settings[setting];
}

int64_t cloud_now_s(struct cloud *cloud); /* by the cloud's clock */

/* How often what was asked for, and how many bytes each way: {"s3": {"GetObject": {"requests": 1, "errors": 0, "bytes_in": 0, "bytes_out": 9}}}. */
struct json_t *counters_json(struct cloud *cloud);

/* The front's handlers: AWS's services (whatever port), and the control endpoints below /_cloud/ (the plain port, which has the services too). */
void cloud_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response);
void cloud_handle_plain(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response);

/* How a service's requests and errors look. */
enum cloud_protocol {
	CLOUD_XML,       /* S3's */
	CLOUD_REST_JSON, /* x-amzn-ErrorType */
	CLOUD_JSON,      /* JSON 1.1: X-Amz-Target, __type */
	CLOUD_QUERY,     /* query.h */
	CLOUD_REGISTRY,  /* an OCI registry's: errors: [{code, message}] */
};

/* A service is found by the name in the signature's scope; a line in cloud.c's table. */
struct cloud_service {
	const char *name; /* "s3", "lambda" */
	enum cloud_protocol protocol;
	/* What a request asks for, in the words of the service's API ("GetObject", "Invoke"): counters and faults go by it. A constant; NULL: nothing
	 * that the service knows. */
	const char *(*operation)(const struct cloud_request *request);
	cloud_handler *handle;
	/* The ARN of what a request is about, in its arena, for the words of a refusal; NULL: "*" it is. */
	const char *(*resource)(struct cloud *cloud, const struct cloud_request *request);
};

/* Turn `response` into an error in the way of the request's service. What stood in it is gone. */
void cloud_error(struct cloud_request *request, struct cloud_response *response, int status, const char *code, const char *message_format, ...)
		__attribute__((format(printf, 5, 6)));

/* A JSON body, with its Content-Type. Takes the reference. */
struct json_t;
void cloud_json(struct cloud_response *response, int status, struct json_t *value);
/* The request's body, an object: a reference. NULL: `response` says that it is none. */
struct json_t *cloud_body(struct cloud_request *request, struct cloud_response *response);
/* What a request of JSON 1.1 asks for: the one of `operations` (until NULL) that X-Amz-Target names behind `prefix`; NULL: none. */
const char *cloud_target(const struct cloud_request *request, const char *prefix, const char *const *operations);

/* A new id such as requests have, in the arena: 32 hex digits and dashes. */
const char *cloud_new_id(struct arena *arena);
