#include "tests/cloud/query.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cloud/cloud.h"

/* NULL: malformed. */
static const char *decode(struct slice from, struct arena *arena)
{
	char *text = arena_alloc(arena, from.len + 1), *to = text;
	for (size_t i = 0; i < from.len; i++) {
		char c = from.ptr[i];
		if (c == '%') {
			if (from.len - i < 3 || !isxdigit((unsigned char)from.ptr[i + 1]) ||
				!isxdigit((unsigned char)from.ptr[i + 2]))
				return NULL;
			char hex[3] = { from.ptr[i + 1], from.ptr[i + 2], '\0' };
			c = (char)strtoul(hex, NULL, 16);
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (c == '\0')
			return NULL;
		*to++ = c;
	}
	*to = '\0';
	return text;
}

int query_parse(struct slice bytes, struct arena *arena, struct query_form *ret, struct error *err)
{
	size_t n = 1;
	for (size_t i = 0; i < bytes.len; i++)
		n += bytes.ptr[i] == '&';
	struct query_form form = { .pairs = arena_array(arena, struct cloud_pair, n) };
	while (bytes.len > 0) {
		const char *end = memchr(bytes.ptr, '&', bytes.len);
		size_t length = end ? (size_t)(end - bytes.ptr) : bytes.len;
		const char *equals = length ? memchr(bytes.ptr, '=', length) : NULL;
		size_t name_length = equals ? (size_t)(equals - bytes.ptr) : length;
		const char *name = decode(slice_of(bytes.ptr, name_length), arena);
		const char *value = equals ? decode(slice_of(equals + 1, length - name_length - 1), arena) : "";
		if (!name || !*name || !value)
			return error_set(err, 0, "the form's field %zu is malformed", form.n + 1);
		if (query_get(&form, name))
			return error_set(err, 0, "the form's field %s comes twice", name);
		form.pairs[form.n++] = (struct cloud_pair){ name, value };
		length += end ? 1 : 0;
		bytes = slice_of(bytes.ptr + length, bytes.len - length);
	}
	*ret = form;
	return 0;
}

const char *query_get(const struct query_form *form, const char *name)
{
	for (size_t i = 0; i < form->n; i++)
		if (strcmp(form->pairs[i].name, name) == 0)
			return form->pairs[i].value;
	return NULL;
}

const char *query_member(
	const struct query_form *form, struct arena *arena, const char *name, size_t i, const char *field)
{
	return query_get(form, arena_printf(arena, "%s.member.%zu%s%s", name, i, field ? "." : "", field ? field : ""));
}

const char *query_action(const struct cloud_request *request)
{
	struct query_form form;
	return query_parse(request->body, request->arena, &form, NULL) == 0 ? query_get(&form, "Action") : NULL;
}

struct buf *query_begin(struct cloud_response *response, const char *action, const char *xmlns)
{
	cloud_add_header(response, "Content-Type", "text/xml");
	buf_printf(&response->body, "<%sResponse xmlns=\"%s\"><%sResult>", action, xmlns, action);
	return &response->body;
}

void query_end(struct cloud_request *request, struct cloud_response *response, const char *action)
{
	buf_printf(&response->body,
		"</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>", action,
		cloud_new_id(request->arena), action);
}
