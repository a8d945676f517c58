/* For tests: a client of a test server, with a clock of its own and pauses that are written down instead of waited for. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aws/call.h"
#include "aws/test-server.h"
#include "base/clock.h"

struct client {
	uv_loop_t loop;
	struct server *server;
	struct aws_config config;
	struct aws *aws;
	int64_t now_s;          /* advanced by one with each look */
	int64_t pauses_ms[32];  /* the most they might have been */
	unsigned n_pauses;
	char endpoint[128];
	char *environment[8];
};

static inline int64_t client_now_s(void *ctx)
{
	struct client *client = ctx;
	return client->now_s++;
}

static inline int64_t client_pause_ms(void *ctx, int64_t most_ms)
{
	struct client *client = ctx;
	if (client->n_pauses < 32)
		client->pauses_ms[client->n_pauses++] = most_ms;
	return 0;
}

/* `url` NULL: the server's. */
static inline void client_begin(struct client *client, server_fn *fn, void *ctx, const char *url)
{
	struct error err;
	*client = (struct client){ .now_s = 1800000000 };
	uv_loop_init(&client->loop);
	client->server = fn ? server_start(fn, ctx) : NULL;
	snprintf(client->endpoint, sizeof client->endpoint, "AWS_ENDPOINT_URL=%s", url ? url : server_url(client->server));
	client->environment[0] = client->endpoint;
	client->environment[1] = (char *)"AWS_ACCESS_KEY_ID=AKIDEXAMPLE";
	client->environment[2] = (char *)"AWS_SECRET_ACCESS_KEY=secret-secret";
	client->environment[3] = (char *)"HOME=/nonexistent";
	if (aws_config_load(NULL, "us-east-1", client->environment, &client->config, &err) < 0)
		fail_msg("%s", err.text);
	client->aws = aws_new(&client->loop, &client->config, &err);
	assert_non_null(client->aws);
	aws_set_hooks(client->aws, &(struct aws_hooks){ client_now_s, client_pause_ms, client });
}

static inline void client_end(struct client *client)
{
	aws_free(client->aws);
	uv_run(&client->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&client->loop), 0);
	aws_config_deinit(&client->config);
	if (client->server)
		server_stop(client->server);
}

static inline void client_run_until(struct client *client, const unsigned *calls)
{
	while (!*calls)
		uv_run(&client->loop, UV_RUN_ONCE);
}
