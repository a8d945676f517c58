#include "compiler/textscan.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "compiler/strlist.h"

/* One pass, 16 bytes at a time, looks for the first three letters of any of the words; most texts hold none of them. (memmem, word by word, took 2.5
 * times as long.) */
typedef signed char block __attribute__((vector_size(16)));

static inline block splat(char c)
{
	block all;
	memset(&all, c, sizeof(all));
	return all;
}

static inline block load(const char *at)
{
	block bytes;
	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

static inline bool is_any(block mask)
{
	uint64_t halves[2];
	memcpy(halves, &mask, sizeof(halves));
	return halves[0] | halves[1];
}

/* Where "__D", "__T", ".in" or "emb" next stands; NULL: nowhere. */
static const char *next_candidate(const char *at, const char *end)
{
	for (; end - at >= 18; at += 16) {
		block a = load(at), b = load(at + 1), c = load(at + 2);
		block macro = (a == splat('_')) & (b == splat('_')) & ((c == splat('D')) | (c == splat('T')));
		block directive = (a == splat('.')) & (b == splat('i')) & (c == splat('n'));
		block embed = (a == splat('e')) & (b == splat('m')) & (c == splat('b'));
		if (is_any(macro | directive | embed))
			break;
	}
	for (; end - at >= 3; at++) {
		if (memcmp(at, "__D", 3) == 0 || memcmp(at, "__T", 3) == 0 || memcmp(at, ".in", 3) == 0 ||
			memcmp(at, "emb", 3) == 0)
			return at;
	}
	return NULL;
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

/* `.incbin` or `.include` at `start`, which is `length` long: the assembler's, in its own source or in C's asm. */
static void scan_directive(struct slice text, const char *start, size_t length, struct arena *arena,
	struct textscan *ret, struct strlist *embedded)
{
	const char *end = text.ptr + text.len, *at = start + length;
	/* Members and file names: x.include, foo.include.h, .include_dirs */
	bool escape = start - text.ptr >= 2 && start[-2] == '\\'; /* "\n.incbin" within a literal */
	if (start > text.ptr && !escape && (is_word_char(start[-1]) || strchr(").]-/>*`", start[-1])))
		return;
	if (at < end && (is_word_char(*at) || *at == '.' || *at == '-'))
		return;
	const char *operand = skip_blanks(at, end);
	/* C again: .include = x, { .include } */
	if (operand == end || strchr("=,;)}]`", *operand))
		return;
	add_operand(operand, end, in_literal(text.ptr, start), arena, ret, embedded);
}

static void scan_embed(struct slice text, const char *start, size_t length, struct arena *arena, struct textscan *ret,
	struct strlist *embedded)
{
	const char *end = text.ptr + text.len, *at = start + length;
	while (start > text.ptr && (start[-1] == ' ' || start[-1] == '\t'))
		start--;
	if (start == text.ptr || start[-1] != '#' || (at < end && is_word_char(*at)))
		return;
	add_operand(skip_blanks(at, end), end, false, arena, ret, embedded);
}

void textscan(struct slice text, struct arena *arena, struct textscan *ret)
{
	struct strlist embedded = { 0 };
	*ret = (struct textscan){ 0 };
	if (!text.len)
		return;
	const char *end = text.ptr + text.len;

	for (const char *at = text.ptr; (at = next_candidate(at, end)); at++) {
		struct slice rest = slice_of(at, (size_t)(end - at));
		if (slice_has_prefix(rest, "__DATE__") || slice_has_prefix(rest, "__TIME__"))
			ret->date_time = true;
		else if (slice_has_prefix(rest, "__TIMESTAMP__"))
			ret->timestamp = true;
		else if (slice_has_prefix(rest, ".incbin"))
			scan_directive(text, at, strlen(".incbin"), arena, ret, &embedded);
		else if (slice_has_prefix(rest, ".include"))
			scan_directive(text, at, strlen(".include"), arena, ret, &embedded);
		else if (slice_has_prefix(rest, "embed"))
			scan_embed(text, at, strlen("embed"), arena, ret, &embedded);
	}
	ret->embedded = embedded.items;
	ret->n_embedded = embedded.n;
}
