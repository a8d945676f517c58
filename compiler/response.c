#include "compiler/response.h"

/* execve allows about 2 MiB of arguments and environment under the usual stack limit; leave room for the environment. */
#define MAX_BYTES (1024 * 1024)
/* gcc gives up after 2000 files; nobody nests deeper than a few. */
#define MAX_DEPTH 20

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int response_split(struct slice text, enum compiler_family family, struct arena *arena, struct strlist *ret)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\0' || text.ptr[i] == '\v' || text.ptr[i] == '\f')
			return -1;
	}
	if (slice_has_prefix(text, "\xef\xbb\xbf") || slice_has_prefix(text, "\xfe\xff") ||
		slice_has_prefix(text, "\xff\xfe"))
		return -1;

	const char *at = text.ptr, *end = text.ptr + text.len;
	while (at < end) {
		if (is_space(*at)) {
			at++;
			continue;
		}
		char *arg = arena_alloc(arena, (size_t)(end - at) + 1), *to = arg;
		char quote = '\0';
		bool quoted = false;
		for (; at < end && (quote || !is_space(*at)); at++) {
			if (*at == '\\') {
				/* Both drivers: the next byte as it is, in quotes or not. A last one: gcc drops it, clang keeps it. */
				if (at + 1 < end)
					*to++ = *++at;
				else if (family == FAMILY_CLANG && !quote)
					*to++ = '\\';
			} else if (quote ? *at == quote : *at == '\'' || *at == '"') {
				quote = quote ? '\0' : *at;
				quoted = true;
			} else {
				*to++ = *at;
			}
		}
		*to = '\0';
		/* clang drops an empty token, "" included. */
		if (to > arg || (quoted && family != FAMILY_CLANG))
			strlist_add(ret, arena, arg);
	}
	return 0;
}

static int expand(const struct command_request *request, struct arena *arena, const char *arg, int depth, size_t *bytes,
	struct strlist *ret)
{
	if (arg[0] != '@' || arg[1] == '\0') {
		*bytes += strlen(arg) + 1 + sizeof(char *);
		if (*bytes > MAX_BYTES)
			return -1;
		strlist_add(ret, arena, arg);
		return 0;
	}
	struct slice text;
	struct strlist args = { 0 };
	if (depth == MAX_DEPTH || !request->read_file || request->read_file(request->ctx, arg + 1, arena, &text) < 0 ||
		text.len > MAX_BYTES || response_split(text, request->family, arena, &args) < 0)
		return -1;
	for (size_t i = 0; i < args.n; i++) {
		/* A file is charged for itself too: many that name each other twice would otherwise take exponential time. */
		*bytes += 64;
		if (expand(request, arena, args.items[i], depth + 1, bytes, ret) < 0)
			return -1;
	}
	return 0;
}

int response_expand(const struct command_request *request, struct arena *arena, struct strlist *ret)
{
	size_t bytes = 0;
	strlist_add(ret, arena, request->argv[0]);
	for (size_t i = 1; i < request->argc; i++) {
		if (expand(request, arena, request->argv[i], 0, &bytes, ret) < 0)
			return -1;
	}
	return 0;
}
