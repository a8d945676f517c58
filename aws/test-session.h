/* For tests: a session whose AWS gives the answers that a test has lined up, one after the other, and writes down what it was asked. Pauses take no time. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aws/session.h"
#include "aws/test-server.h"

enum { SCRIPT_MAX = 32 };

struct script {
	struct aws_session session;
	struct server *server;
	struct {
		int status;	  /* 0: the connection is cut */
		const char *head; /* further lines; NULL: none */
		const char *body;
	} answers[SCRIPT_MAX];
	unsigned n_answers;
	struct buf asked; /* "METHOD TARGET X-AMZ-TARGET AUTHORIZATION'S FIRST WORD\nBODY\n" of each request */
	unsigned n_asked;
	int64_t waited_ms; /* or would have been */
	char endpoint[128];
	char *environment[8];
	struct error err;
	struct arena arena;
};

static inline void script_answer(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	struct script *script = ctx;
	char target[1024], authorization[1024];
	server_header(request, "x-amz-target", target);
	server_header(request, "authorization", authorization);
	buf_printf(&script->asked, "%s %s %s %.*s\n", request->method, request->target, target, (int)strcspn(authorization, " "), authorization);
	buf_append_slice(&script->asked, request->body);
	buf_append_char(&script->asked, '\n');
	unsigned i = script->n_asked++;
	if (i >= script->n_answers) {
		reply->status = 418;
		return;
	}
	reply->status = script->answers[i].status;
	if (script->answers[i].head)
		buf_append_str(&reply->head, script->answers[i].head);
	if (script->answers[i].body)
		buf_append_str(&reply->body, script->answers[i].body);
}

static inline int64_t script_pause_ms(void *ctx, int64_t most_ms)
{
	struct script *script = ctx;
	script->waited_ms += most_ms;
	return 0;
}

static inline void script_begin(struct script *script)
{
	*script = (struct script){ .arena = ARENA_INIT };
	script->server = server_start(script_answer, script);
	snprintf(script->endpoint, sizeof script->endpoint, "AWS_ENDPOINT_URL=%s", server_url(script->server));
	script->environment[0] = script->endpoint;
	script->environment[1] = (char *)"AWS_ACCESS_KEY_ID=AKIDEXAMPLE";
	script->environment[2] = (char *)"AWS_SECRET_ACCESS_KEY=secret-secret";
	script->environment[3] = (char *)"HOME=/nonexistent";
	if (aws_session_open(NULL, "us-east-1", script->environment, &script->session, &script->err) < 0)
		fail_msg("%s", script->err.text);
	aws_set_hooks(script->session.aws, &(struct aws_hooks){ .pause_ms = script_pause_ms, .ctx = script });
}

static inline void script_end(struct script *script)
{
	aws_session_close(&script->session);
	server_stop(script->server);
	buf_deinit(&script->asked);
	arena_deinit(&script->arena);
}

/* Begin anew: no answers, nothing asked. Between requests only. */
static inline void script_reset(struct script *script)
{
	script->n_answers = script->n_asked = 0;
	script->waited_ms = 0;
	buf_reset(&script->asked);
	script->err = (struct error){ 0 };
}

static inline void script_add(struct script *script, int status, const char *head, const char *body)
{
	assert_true(script->n_answers < SCRIPT_MAX);
	script->answers[script->n_answers].status = status;
	script->answers[script->n_answers].head = head;
	script->answers[script->n_answers++].body = body;
}

/* All that was lined up was asked for, and no more. */
static inline void script_is_over(const struct script *script)
{
	assert_int_equal(script->n_asked, script->n_answers);
}

static inline void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" isn't in \"%s\"", part, text);
}
