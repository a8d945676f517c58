/* The client against a server that says exactly what it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/api.h"

/* What the server does: takes a request, says the next line; "hang up" closes the connection instead. */
static struct server {
	int listener;
	unsigned port;
	const char *const *script;
	struct buf heard;
	unsigned connections;
	pthread_t thread;
} server;

/* One request, as far as its Content-Length says. 0: the client hung up. */
static int hear(int fd)
{
	size_t start = server.heard.len;
	for (;;) {
		const char *text = buf_str(&server.heard) + start, *end = strstr(text, "\r\n\r\n");
		const char *length = strstr(text, "Content-Length: ");
		if (end && server.heard.len - start >=
				   (size_t)(end + 4 - text) + (length ? strtoul(length + 16, NULL, 10) : 0))
			return 1;
		char *to = buf_reserve(&server.heard, 4096);
		ssize_t n = recv(fd, to, 4095, 0);
		if (n <= 0)
			return 0;
		to[n] = '\0';
		server.heard.len += (size_t)n;
	}
}

static void *serve(void *ctx)
{
	const char *const *line = server.script;
	while (*line) {
		int fd = accept(server.listener, NULL, NULL);
		server.connections++;
		while (*line && hear(fd)) {
			const char *text = *line++;
			if (strcmp(text, "hang up") == 0)
				break;
			if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
				abort();
			if (*line && strcmp(*line, "then hang up") == 0) {
				line++;
				break;
			}
		}
		close(fd);
	}
	return NULL;
}

static struct api *start(const char *const *script)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	server = (struct server){ .listener = socket(AF_INET, SOCK_STREAM, 0), .script = script };
	assert_int_equal(bind(server.listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server.listener, 5), 0);
	assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	char endpoint[40];
	struct error err;
	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", ntohs(address.sin_port));
	struct api *api = api_open(endpoint, &err);
	assert_non_null(api);
	return api;
}

/* Everything that was said has been asked for. */
static void stop(struct api *api)
{
	api_close(api);
	pthread_join(server.thread, NULL);
	close(server.listener);
	buf_deinit(&server.heard);
}

#define NEXT                                                                                                           \
	"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\nLambda-Runtime-Deadline-Ms: 1700000000123\r\n"      \
	"Content-Length: 2\r\n\r\n{}"
#define ACCEPTED "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

static void api__an_invocation_is_taken_and_answered_on_one_connection(void **state)
{
	struct api *api = start((const char *const[]){ NEXT, ACCEPTED, NEXT, NULL });
	struct invocation invocation;
	struct error err;
	assert_int_equal(api_next(api, &invocation, &err), 0);
	assert_string_equal(invocation.id, "id-1");
	assert_true(invocation.deadline_ms == 1700000000123);
	assert_string_equal(buf_str(&invocation.payload), "{}");
	invocation_deinit(&invocation);
	assert_int_equal(api_respond(api, "id-1", slice_str("{\"a\":1}"), &err), 0);
	assert_int_equal(api_next(api, &invocation, &err), 0);
	invocation_deinit(&invocation);
	assert_int_equal(server.connections, 1);
	assert_non_null(strstr(buf_str(&server.heard), "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"));
	assert_non_null(
		strstr(buf_str(&server.heard), "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n"));
	assert_non_null(strstr(buf_str(&server.heard), "\r\n\r\n{\"a\":1}"));
	stop(api);
}

static void api__a_connection_lost_while_frozen_is_made_anew(void **state)
{
	struct api *api = start((const char *const[]){ NEXT, "then hang up", ACCEPTED, "hang up", NEXT, NULL });
	struct invocation invocation;
	struct error err;
	assert_int_equal(api_next(api, &invocation, &err), 0);
	invocation_deinit(&invocation);
	assert_int_equal(api_respond(api, "id-1", slice_str("{}"), &err), 0);
	assert_int_equal(api_next(api, &invocation, &err), 0);
	invocation_deinit(&invocation);
	assert_int_equal(server.connections, 3);
	stop(api);
}

static void api__an_answer_that_is_too_large_is_told(void **state)
{
	struct api *api = start((const char *const[]){ "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", NULL });
	struct error err;
	assert_int_equal(api_respond(api, "id-1", slice_str("{}"), &err), API_TOO_LARGE);
	stop(api);
}

static void api__an_error_is_told(void **state)
{
	struct api *api = start((const char *const[]){ ACCEPTED, NULL });
	struct error err;
	assert_int_equal(api_fail(api, "id-1", "Llama.Request", "\"quoted\"\n", &err), 0);
	assert_non_null(strstr(buf_str(&server.heard), "/invocation/id-1/error HTTP/1.1\r\n"));
	assert_non_null(strstr(buf_str(&server.heard), "Lambda-Runtime-Function-Error-Type: Llama.Request\r\n"));
	assert_non_null(strstr(buf_str(&server.heard), "\"errorMessage\":\"\\\"quoted\\\"\\n\""));
	stop(api);
}

static void api__a_start_that_fails_is_told(void **state)
{
	struct api *api = start((const char *const[]){ ACCEPTED, NULL });
	struct error err;
	assert_int_equal(api_fail(api, NULL, "Llama.Init", "no way", &err), 0);
	assert_non_null(strstr(buf_str(&server.heard), "POST /2018-06-01/runtime/init/error HTTP/1.1\r\n"));
	stop(api);
}

static void api__what_can_not_be_served_ends_the_environment(void **state)
{
	static const char *const answers[] = { "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: ../x\r\nContent-Length: 2\r\n\r\n{}",
		"nonsense\r\n" };
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct api *api = start((const char *const[]){ answers[i], NULL });
		struct invocation invocation;
		struct error err;
		assert_int_equal(api_next(api, &invocation, &err), -1);
		stop(api);
	}
	struct error err;
	assert_null(api_open("nowhere", &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(api__an_invocation_is_taken_and_answered_on_one_connection),
		cmocka_unit_test(api__a_connection_lost_while_frozen_is_made_anew),
		cmocka_unit_test(api__an_answer_that_is_too_large_is_told),
		cmocka_unit_test(api__an_error_is_told),
		cmocka_unit_test(api__a_start_that_fails_is_told),
		cmocka_unit_test(api__what_can_not_be_served_ends_the_environment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
