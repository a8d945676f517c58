/* Faults to order: rules that say how often what goes wrong. A rule is written
 * SERVICE.OPERATION.KIND=PER_MILLE[:VALUE], with * for every service or operation: "s3.GetObject.corrupt=100",
 * "lambda.Invoke.throttle=200:ConcurrentInvocationLimitExceeded", "*.*.latency=1000:30".
 *
 * Repeatable: the n-th decision by a rule depends only on the seed, the rule's text and n. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

#define FAULT_KINDS(X)                                                                                                 \
	X(THROTTLE, "throttle")       /* S3: 503 SlowDown; else 429, value: its Reason; Lambda asks for it itself */   \
	X(ERROR, "error")             /* value: the status, 500 if not given; before anything is done */               \
	X(ERROR_AFTER, "error-after") /* the same after the work was done */                                           \
	X(REFUSE, "refuse")           /* the connection is cut before anything is done */                              \
	X(LOSE_ANSWER, "lose-answer") /* the connection is cut after the work was done */                              \
	X(LATENCY, "latency")         /* value: ms before the request is looked at */                                  \
	X(SLOW, "slow")               /* value: bytes per second of the answer */                                      \
	X(CUT, "cut")                 /* the connection is cut in the middle of the answer's body */                   \
	X(CORRUPT, "corrupt")         /* one byte of the answer's body is changed */                                   \
	X(TRUNCATE, "truncate")     /* the answer's body ends early, and its length is given as if that were right */  \
	X(EXPIRED, "expired")       /* the credentials' token is said to have expired */                               \
	X(LOST, "lost")             /* S3: an object that is there is not found, and gone from then on */              \
	X(KILL, "kill")             /* Lambda: the environment is killed in the middle; value: ms after its start */   \
	X(HANG, "hang")             /* Lambda: the environment is stopped until its time is over */                    \
	X(COLD_START, "cold-start") /* Lambda: value: ms more before a new environment's runtime begins */             \
	X(DENY, "deny")             /* the caller's policies lack the action (permissions.h) */                        \
	X(RESOURCE_FAIL, "resource-fail") /* CloudFormation; for the operation stands a resource's logical id: it can't \
					   * be created or updated; value: the reason */                                \
	X(DELETE_FAIL, "delete-fail")     /* the same for its deletion */

#define FAULT_ENUM(id, name) FAULT_##id,
enum fault_kind { FAULT_KINDS(FAULT_ENUM) N_FAULT_KINDS };

struct faults;

struct faults *faults_new(uint64_t seed); /* no rules */
void faults_free(struct faults *faults);
uint64_t faults_seed(const struct faults *faults);

/* Add a rule, or change the rate of the one that differs only in that; PER_MILLE 0 takes it away. -1: malformed, and
 * the text says how it should be. */
int faults_add(struct faults *faults, const char *rule, struct error *err);
void faults_clear(struct faults *faults);

/* Whether it goes wrong this time. `value` (NULL: not wanted) becomes the rule's text after the colon, in the arena, or
 * "". */
bool faults_strike(struct faults *faults, const char *service, const char *operation, enum fault_kind kind,
	struct arena *arena, const char **value);

/* Walk the rules: how often each was asked and struck. */
typedef void faults_visit_fn(void *ctx, const char *rule, uint64_t asked, uint64_t struck);
void faults_visit(struct faults *faults, faults_visit_fn *fn, void *ctx);
