/* AWS for programs that do one thing after another (`llama bootstrap`): a loop of their own, which runs until an answer is there. Blocking, and so
 * for no program that has a loop already. */
#pragma once

#include "aws/call.h"
#include "base/arena.h"

struct aws_session { /* stays where it is while it is open */
	uv_loop_t loop;
	struct aws_config config;
	struct aws *aws;
};

/* `profile`, `region` NULL: as aws_config_load has it; `environment` is borrowed. No network. On -1 there is nothing to close, though one may. */
int aws_session_open(const char *profile, const char *region, char *const *environment, struct aws_session *ret, struct error *err);
void aws_session_close(struct aws_session *session); /* NULL and zeroed are allowed */

struct aws_reply {
	int status;
	const char *code, *message; /* of an error answer, as struct aws_answer has them; else "" */
	struct slice body;          /* ends in a NUL that isn't counted */
	const char *region;	    /* which the answer names (x-amz-bucket-region), fit to print; or "" */
};

/* Ask and wait. 0: an answer, in `arena`; an error answer is one. -1: none at all (aws_done_fn says when). */
int aws_ask(struct aws_session *session, const struct aws_call *call, struct arena *arena, struct aws_reply *ret, struct error *err);

/* The same in the two protocols that most services have: a form that has Action and Version in it; JSON 1.1, with its X-Amz-Target. */
int aws_ask_form(struct aws_session *session, const char *service, const struct buf *form, struct arena *arena, struct aws_reply *ret, struct error *err);
int aws_ask_json(struct aws_session *session, const char *service, const char *target, const char *json, struct arena *arena, struct aws_reply *ret,
	struct error *err);

static inline bool aws_succeeded(const struct aws_reply *reply)
{
	return reply->status >= 200 && reply->status < 300;
}

/* What an error answer means to people: what was asked, AWS's own words, what to do next. `action` is the permission that it takes ("lambda:GetFunction"), unless
 * AWS names another; `what` completes "cannot …". Returns -1. err->code: EACCES (credentials or permission), ENOENT (404), EBUSY (409), EAGAIN (throttled),
 * EDQUOT (a quota), EIO (AWS has trouble), EINVAL (whatever else it refuses). */
int aws_refused(const struct aws_reply *reply, const char *action, const char *what, struct error *err);

/* Let the loop turn for so long, or for as long as pause_ms of aws_set_hooks says. */
void aws_wait(struct aws_session *session, int64_t ms);
