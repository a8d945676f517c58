/* Signs requests for test-sign-botocore.py: a JSON object a line in, another out. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/sign.h"
#include "base/cleanup.h"

static struct aws_pair *read_pairs(json_t *list, struct arena *arena, size_t *ret_n)
{
	size_t n = json_array_size(list);
	struct aws_pair *pairs = arena_array(arena, struct aws_pair, n);
	for (size_t i = 0; i < n; i++) {
		json_t *pair = json_array_get(list, i);
		pairs[i].name = json_string_value(json_array_get(pair, 0));
		pairs[i].value = json_string_value(json_array_get(pair, 1)); /* null is NULL */
	}
	*ret_n = n;
	return pairs;
}

static const char *text(json_t *line, const char *name)
{
	return json_string_value(json_object_get(line, name));
}

int main(void)
{
	_cleanup_free_ char *bytes = NULL;
	size_t capacity = 0;
	while (getline(&bytes, &capacity, stdin) > 0) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		json_error_t error;
		json_t *line = json_loads(bytes, 0, &error);
		if (!line) {
			fprintf(stderr, "no JSON: %s\n", error.text);
			return 1;
		}
		struct sign_request request = { .service = text(line, "service"),
			.region = text(line, "region"),
			.method = text(line, "method"),
			.host = text(line, "host"),
			.path = text(line, "path"),
			.body = slice_str(text(line, "body")),
			.unsigned_payload = json_is_true(json_object_get(line, "unsigned_payload")),
			.now_s = json_integer_value(json_object_get(line, "now")) };
		request.query = read_pairs(json_object_get(line, "query"), &arena, &request.n_query);
		request.headers = read_pairs(json_object_get(line, "headers"), &arena, &request.n_headers);
		const struct aws_keys keys = { text(line, "access_key"), text(line, "secret_key"),
			text(line, "session_token") };
		unsigned expires = (unsigned)json_integer_value(json_object_get(line, "expires"));

		struct signed_request signed_request;
		if (expires)
			sign_query(&request, &keys, expires, &arena, &signed_request);
		else
			sign(&request, &keys, &arena, &signed_request);
		json_t *headers = json_array();
		for (size_t i = 0; i < signed_request.n_headers; i++) {
			const struct aws_pair *pair = &signed_request.headers[i];
			json_array_append_new(headers, json_pack("[s, s?]", pair->name, pair->value));
		}
		json_t *answer = json_pack("{s: s, s: o}", "target", signed_request.target, "headers", headers);
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(answer);
		json_decref(line);
	}
	return 0;
}
