#include "compiler/textscan.h"

#include <ctype.h>
#include <string.h>

#include "compiler/strlist.h"

/* One pass of memmem per word: the libc's search is faster than any loop over the bytes, and most texts hold none of them. */

static const char *find(const char *at, const char *end, const char *word)
{
	return memmem(at, (size_t)(end - at), word, strlen(word));
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

/* Whether `at` stands inside a string literal of C that began on its line: `asm(".incbin \"x\"")`. */
static bool in_literal(const char *text, const char *at)
{
	const char *line = at;
	while (line > text && line[-1] != '\n')
		line--;
	bool inside = false;
	for (; line < at; line++) {
		if (*line == '\\' && line + 1 < at)
			line++;
		else if (*line == '"')
			inside = !inside;
	}
	return inside;
}

/* A directive's operand at `at`: a plain string is added, with its quotes written as in C when `escaped`; anything else can't be told. */
static void add_operand(const char *at, const char *end, bool escaped, struct arena *arena, struct textscan *ret,
	struct strlist *embedded)
{
	const char *open = escaped ? "\\\"" : "\"";
	size_t n = strlen(open);
	if ((size_t)(end - at) < n || memcmp(at, open, n) != 0) {
		ret->unresolved = true;
		return;
	}
	at += n;
	const char *stop = at;
	while (stop < end && *stop != '"' && *stop != '\n' && *stop != '\\')
		stop++;
	if ((size_t)(end - stop) < n || memcmp(stop, open, n) != 0 || stop == at) {
		ret->unresolved = true;
		return;
	}
	strlist_add(embedded, arena, arena_strndup(arena, at, (size_t)(stop - at)));
}

/* `.incbin` and `.include` of the assembler, in its own source or in C's asm. */
static void scan_directive(
	struct slice text, const char *word, struct arena *arena, struct textscan *ret, struct strlist *embedded)
{
	const char *end = text.ptr + text.len;
	for (const char *at = text.ptr; (at = find(at, end, word));) {
		const char *start = at;
		at += strlen(word);
		/* Members and file names: x.include, foo.include.h, .include_dirs */
		bool escape = start - text.ptr >= 2 && start[-2] == '\\'; /* "\n.incbin" within a literal */
		if (start > text.ptr && !escape && (is_word_char(start[-1]) || strchr(").]-/>*", start[-1])))
			continue;
		if (at < end && (is_word_char(*at) || *at == '.' || *at == '-'))
			continue;
		const char *operand = skip_blanks(at, end);
		/* C again: .include = x, { .include } */
		if (operand == end || strchr("=,;)}]", *operand))
			continue;
		add_operand(operand, end, in_literal(text.ptr, start), arena, ret, embedded);
	}
}

static void scan_embed(struct slice text, struct arena *arena, struct textscan *ret, struct strlist *embedded)
{
	const char *end = text.ptr + text.len;
	for (const char *at = text.ptr; (at = find(at, end, "embed"));) {
		const char *start = at;
		at += strlen("embed");
		while (start > text.ptr && (start[-1] == ' ' || start[-1] == '\t'))
			start--;
		if (start == text.ptr || start[-1] != '#' || (at < end && is_word_char(*at)))
			continue;
		add_operand(skip_blanks(at, end), end, false, arena, ret, embedded);
	}
}

void textscan(struct slice text, struct arena *arena, struct textscan *ret)
{
	struct strlist embedded = { 0 };
	*ret = (struct textscan){ 0 };
	if (!text.len)
		return;
	const char *end = text.ptr + text.len;

	ret->date_time = find(text.ptr, end, "__DATE__") != NULL;
	for (const char *at = text.ptr; (at = find(at, end, "__TIME"));) {
		at += strlen("__TIME");
		struct slice rest = slice_of(at, (size_t)(end - at));
		if (slice_has_prefix(rest, "__"))
			ret->date_time = true;
		else if (slice_has_prefix(rest, "STAMP__"))
			ret->timestamp = true;
	}
	scan_directive(text, ".incbin", arena, ret, &embedded);
	scan_directive(text, ".include", arena, ret, &embedded);
	scan_embed(text, arena, ret, &embedded);
	ret->embedded = embedded.items;
	ret->n_embedded = embedded.n;
}
