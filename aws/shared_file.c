#include "aws/shared_file.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

struct parser {
	shared_file_fn *fn;
	void *ctx;
	struct arena arena;
	struct map seen;      /* sections, and "section\nname" */
	const char *section;  /* NULL before the first */
	const char *name;     /* the setting whose value is being gathered; NULL: none */
	struct buf value;     /* its lines, trimmed, parted by \n */
	unsigned line, begun; /* numbers, from 1: where we are; where the setting began */
	size_t indent;	      /* of the last line that began something */
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct slice trim(struct slice s)
{
	while (s.len && is_blank(s.ptr[0]))
		s = slice_of(s.ptr + 1, s.len - 1);
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static size_t find(struct slice s, const char *any)
{
	size_t at = 0;
	while (at < s.len && (!s.ptr[at] || !strchr(any, s.ptr[at])))
		at++;
	return at;
}

/* False: there is none. */
static bool next_line(struct slice *rest, struct slice *ret)
{
	if (rest->len == 0)
		return false;
	size_t n = find(*rest, "\n");
	*ret = slice_of(rest->ptr, n);
	n += n < rest->len;
	*rest = slice_of(rest->ptr + n, rest->len - n);
	return true;
}

static bool is_new(struct parser *p, const char *key)
{
	return !map_put(&p->seen, slice_str(key), p);
}

static int finish_setting(struct parser *p, struct error *err)
{
	if (!p->name)
		return 0;
	while (p->value.len && is_blank(p->value.ptr[p->value.len - 1]))
		p->value.ptr[--p->value.len] = '\0';
	const char *name = p->name, *value = buf_str(&p->value);
	p->name = NULL;
	if (value[0] != '\n') {
		p->fn(p->ctx, p->section, name, value);
		return 0;
	}
	struct slice rest = buf_slice(&p->value), line;
	while (next_line(&rest, &line)) {
		if (line.len == 0)
			continue;
		size_t n = find(line, "=");
		if (n == line.len)
			return error_set(err, 0, "line %u: below it is a nested setting without =", p->begun);
		struct slice inner = trim(slice_of(line.ptr, n)),
			     text = trim(slice_of(line.ptr + n + 1, line.len - n - 1));
		p->fn(p->ctx, p->section, arena_printf(&p->arena, "%s.%.*s", name, (int)inner.len, inner.ptr),
			arena_strndup(&p->arena, text.ptr, text.len));
	}
	return 0;
}

static int begin_section(struct parser *p, struct slice header, struct error *err)
{
	p->section = arena_strndup(&p->arena, header.ptr, header.len);
	if (!is_new(p, p->section))
		return error_set(err, 0, "line %u: this section was there before", p->line);
	p->fn(p->ctx, p->section, NULL, NULL);
	return 0;
}

static int begin_setting(struct parser *p, struct slice line, struct error *err)
{
	if (!p->section)
		return error_set(err, 0, "line %u: a setting before the first [section]", p->line);
	size_t n = find(line, "=:");
	struct slice name = trim(slice_of(line.ptr, n));
	if (n == line.len || name.len == 0)
		return error_set(err, 0, "line %u: neither [section] nor name = value", p->line);
	char *copy = arena_strndup(&p->arena, name.ptr, name.len);
	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	if (!is_new(p, arena_printf(&p->arena, "%s\n%s", p->section, copy)))
		return error_set(err, 0, "line %u: this setting was there before, in the same section", p->line);
	p->name = copy;
	p->begun = p->line;
	buf_reset(&p->value);
	buf_append_slice(&p->value, trim(slice_of(line.ptr + n + 1, line.len - n - 1)));
	return 0;
}

/* The last ] of the line ends the header; what follows it is passed over, as Python does. */
static size_t header_length(struct slice line)
{
	size_t end = line.len;
	while (end && line.ptr[end - 1] != ']')
		end--;
	return line.ptr[0] == '[' && end > 2 ? end - 2 : 0;
}

static int take_line(struct parser *p, struct slice whole, struct error *err)
{
	struct slice line = trim(whole);
	if (line.len && (line.ptr[0] == '#' || line.ptr[0] == ';'))
		return 0;
	if (line.len == 0) {
		if (p->name)
			buf_append_char(&p->value, '\n');
		return 0;
	}
	size_t indent = (size_t)(line.ptr - whole.ptr);
	if (p->name && indent > p->indent) {
		buf_append_char(&p->value, '\n');
		buf_append_slice(&p->value, line);
		return 0;
	}
	if (finish_setting(p, err) < 0)
		return -1;
	p->indent = indent;
	size_t header = header_length(line);
	return header ? begin_section(p, slice_of(line.ptr + 1, header), err) : begin_setting(p, line, err);
}

static int parse(struct parser *p, struct slice text, struct error *err)
{
	struct slice line;
	if (slice_has_prefix(text, "\xef\xbb\xbf"))
		text = slice_of(text.ptr + 3, text.len - 3);
	while (next_line(&text, &line)) {
		p->line++;
		if (line.len && memchr(line.ptr, '\0', line.len))
			return error_set(err, 0, "line %u: a NUL byte", p->line);
		if (take_line(p, line, err) < 0)
			return -1;
	}
	return finish_setting(p, err);
}

int shared_file_parse(struct slice text, shared_file_fn *fn, void *ctx, struct error *err)
{
	struct parser p = { .fn = fn, .ctx = ctx, .arena = ARENA_INIT };
	int result = parse(&p, text, err);
	buf_deinit(&p.value);
	map_deinit(&p.seen);
	arena_deinit(&p.arena);
	return result;
}

int shell_split(const char *text, struct arena *arena, char ***ret, size_t *ret_n, struct error *err)
{
	/* Every word takes a byte, and all but the last a blank. */
	char **words = arena_array(arena, char *, strlen(text) / 2 + 2);
	char *out = arena_alloc(arena, strlen(text) + 1), quote = '\0';
	size_t n = 0;
	bool inside = false;
	for (const char *c = text; *c; c++) {
		if (!quote && is_blank(*c)) {
			if (inside)
				*out++ = '\0';
			inside = false;
			continue;
		}
		if (!inside)
			words[n++] = out;
		inside = true;
		if (quote && *c == quote)
			quote = '\0';
		else if (!quote && (*c == '\'' || *c == '"'))
			quote = *c;
		else if (*c == '\\' && (!quote || (quote == '"' && (c[1] == '"' || c[1] == '\\')))) {
			if (!c[1])
				return error_set(err, 0, "nothing follows the last backslash");
			*out++ = *++c;
		} else
			*out++ = *c;
	}
	if (quote)
		return error_set(err, 0, "a quotation mark is not closed");
	if (inside)
		*out = '\0';
	words[n] = NULL;
	*ret = words;
	*ret_n = n;
	return 0;
}
