/* The link-local sources through the real HTTP layer, with a proxy in the environment that must not be asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "aws/credentials.h"
#include "aws/test-server.h"

#define KEYS "\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"2999-01-01T00:00:00Z\"}"

static bool has_header(const struct server_request *request, const char *name, const char *expected)
{
	char value[1024];
	return strcmp(server_header(request, name, value), expected) == 0;
}

/* As strict as the second version of the service is. */
static void play_instance(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	static const char role[] = "/latest/meta-data/iam/security-credentials/";
	if (strcmp(request->target, "/latest/api/token") == 0) {
		bool good = strcmp(request->method, "PUT") == 0 &&
			    has_header(request, "X-aws-ec2-metadata-token-ttl-seconds", "21600") &&
			    request->body.len == 0;
		reply->status = good ? 200 : 400;
		buf_append_str(&reply->body, "TOKEN==");
		return;
	}
	if (strcmp(request->method, "GET") != 0 || !has_header(request, "X-aws-ec2-metadata-token", "TOKEN=="))
		reply->status = 401;
	else if (strcmp(request->target, role) == 0)
		buf_append_str(&reply->body, "my-role");
	else if (strncmp(request->target, role, strlen(role)) == 0)
		buf_append_str(&reply->body, "{\"Code\":\"Success\"," KEYS);
	else
		reply->status = 404;
}

static void play_container(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	bool good = strcmp(request->method, "GET") == 0 && strcmp(request->target, "/creds?x=y") == 0 &&
		    has_header(request, "Authorization", "Bearer abc");
	reply->status = good ? 200 : 403;
	buf_append_str(&reply->body, good ? "{" KEYS : "{\"code\":\"AccessDenied\",\"message\":\"no\"}");
}

static void play_dead(void *ctx, const struct server_request *request, struct server_reply *reply)
{
	reply->hold_after = 0;
}

struct client {
	struct credentials_waiter waiter; /* first */
	char text[600];
};

static void told(struct credentials_waiter *waiter, const struct aws_keys *keys, const struct error *err)
{
	struct client *client = (struct client *)waiter;
	if (keys)
		snprintf(client->text, sizeof(client->text), "%s/%s/%s", keys->access_key, keys->secret_key,
			keys->session_token);
	else
		snprintf(client->text, sizeof(client->text), "error: %s", err->text);
}

/* What comes of a variable that names the server's URL and `path`, and another variable. */
static const char *fetch(server_fn *fn, const char *name, const char *path, const char *another)
{
	static struct client client;
	char variable[300];
	char *environment[] = { variable, (char *)another, NULL };
	uv_loop_t loop;
	struct aws_config config;
	struct error err;
	struct server *server = server_start(fn, NULL);
	snprintf(variable, sizeof(variable), "%s=%s%s", name, server_url(server), path);
	uv_loop_init(&loop);
	struct http *http = http_new(&loop, &(struct http_options){ 0 }, &err);
	assert_non_null(http);
	assert_int_equal(aws_config_load(NULL, NULL, environment, &config, &err), 0);
	struct credentials *credentials = credentials_new(&loop, http, &config);
	client = (struct client){ .waiter.fn = told };
	assert_null(credentials_get(credentials, &client.waiter));
	while (!client.text[0])
		uv_run(&loop, UV_RUN_ONCE);
	credentials_free(credentials);
	http_free(http);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	aws_config_deinit(&config);
	server_release(server);
	server_stop(server);
	return client.text;
}

static void credentials__of_an_instance_come_over_http(void **state)
{
	(void)state;
	assert_string_equal(fetch(play_instance, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "", "X="), "A/s/t");
}

static void credentials__of_an_instance_are_waited_for_about_a_second(void **state)
{
	(void)state;
	const char *text = fetch(play_dead, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "/", "X=");
	assert_non_null(strstr(text, "error: no AWS credentials"));
	assert_non_null(strstr(text, "the instance metadata service: "));
}

static void credentials__of_a_container_come_over_http(void **state)
{
	(void)state;
	assert_string_equal(fetch(play_container, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds?x=y",
				    "AWS_CONTAINER_AUTHORIZATION_TOKEN=Bearer abc"),
		"A/s/t");
	assert_string_equal(fetch(play_container, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds?x=y", "X="),
		"error: no AWS credentials from the container's endpoint: HTTP 403 AccessDenied: no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials__of_an_instance_come_over_http),
		cmocka_unit_test(credentials__of_an_instance_are_waited_for_about_a_second),
		cmocka_unit_test(credentials__of_a_container_come_over_http),
	};
	setenv("http_proxy", "http://127.0.0.1:9", 1);
	unsetenv("no_proxy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
