#include "tests/cloud/xml.h"

#include <ctype.h>
#include <stdlib.h>

void xml_append(struct buf *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			buf_append_str(to, "&amp;");
			break;
		case '<':
			buf_append_str(to, "&lt;");
			break;
		case '>':
			buf_append_str(to, "&gt;");
			break;
		case '"':
			buf_append_str(to, "&quot;");
			break;
		case '\r':
			buf_append_str(to, "&#13;"); /* a parser would make a newline of it */
			break;
		default:
			buf_append_char(to, *text);
		}
	}
}

void xml_element(struct buf *to, const char *name, const char *text)
{
	buf_printf(to, "<%s>", name);
	xml_append(to, text);
	buf_printf(to, "</%s>", name);
}

/* Behind the next "<name" or "</name" and what ends the tag; NULL: there is none. `start` is where the tag begins. */
static const char *find_tag(struct slice xml, const char *opening, const char *name, const char **start)
{
	size_t opening_length = strlen(opening), n = strlen(name);
	if (xml.len == 0)
		return NULL;
	const char *at = xml.ptr, *end = xml.ptr + xml.len;
	while (at && at < end && (at = memmem(at, (size_t)(end - at), opening, opening_length))) {
		const char *after = at + opening_length;
		if ((size_t)(end - after) > n && memcmp(after, name, n) == 0 &&
			(after[n] == '>' || isspace((unsigned char)after[n]))) {
			const char *close = memchr(after, '>', (size_t)(end - after));
			*start = at;
			return close ? close + 1 : NULL;
		}
		at = after;
	}
	return NULL;
}

bool xml_next(struct slice *xml, const char *name, struct slice *ret)
{
	const char *start, *content = find_tag(*xml, "<", name, &start);
	if (!content)
		return false;
	const char *end = xml->ptr + xml->len;
	const char *after = find_tag(slice_of(content, (size_t)(end - content)), "</", name, &start);
	if (!after)
		return false;
	*ret = slice_of(content, (size_t)(start - content));
	*xml = slice_of(after, (size_t)(end - after));
	return true;
}

static void append_utf8(char **to, unsigned long c)
{
	if (c < 0x80) {
		*(*to)++ = (char)c;
	} else if (c < 0x800) {
		*(*to)++ = (char)(0xc0 | c >> 6);
		*(*to)++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*(*to)++ = (char)(0xe0 | c >> 12);
		*(*to)++ = (char)(0x80 | (c >> 6 & 0x3f));
		*(*to)++ = (char)(0x80 | (c & 0x3f));
	} else {
		*(*to)++ = (char)(0xf0 | c >> 18);
		*(*to)++ = (char)(0x80 | (c >> 12 & 0x3f));
		*(*to)++ = (char)(0x80 | (c >> 6 & 0x3f));
		*(*to)++ = (char)(0x80 | (c & 0x3f));
	}
}

const char *xml_text(struct slice xml, const char *name, struct arena *arena)
{
	static const struct {
		const char *name;
		char c;
	} entities[] = { { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' } };
	struct slice raw;
	if (!xml_next(&xml, name, &raw))
		return NULL;
	char *text = arena_strndup(arena, raw.ptr ? raw.ptr : "", raw.len);
	const char *from = text;
	char *to = text; /* never behind `from`: an escape is longer than what it stands for */
	while (*from) {
		if (*from != '&') {
			*to++ = *from++;
			continue;
		}
		const char *semicolon = strchr(++from, ';');
		if (!semicolon)
			return NULL;
		if (*from == '#') {
			bool hex = from[1] == 'x';
			char *end;
			unsigned long c = strtoul(from + 1 + hex, &end, hex ? 16 : 10);
			if (end != semicolon || c == 0 || c > 0x10ffff)
				return NULL;
			append_utf8(&to, c);
		} else {
			size_t i = 0, n = sizeof entities / sizeof entities[0];
			while (i < n && (strlen(entities[i].name) != (size_t)(semicolon - from) ||
						memcmp(entities[i].name, from, (size_t)(semicolon - from)) != 0))
				i++;
			if (i == n)
				return NULL;
			*to++ = entities[i].c;
		}
		from = semicolon + 1;
	}
	*to = '\0';
	return text;
}
