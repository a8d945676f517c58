/* How it works
 *
 * A superset is wanted, and the text's language is not known: `//`, raw strings, trigraphs and digit separators mean one thing here and
 * another there. So where readings differ we take the one that leaves more text to look at. Never seeing that a comment begins costs
 * a few names too many; seeing one where none is costs names. From that follow the rules:
 *
 * - The text is code until something surely says otherwise. The main loop flies from one place of interest to the next (`at_code`): quotes,
 *   comments, `#`, and the first letters of the few words we know. Everything between is never looked at one by one.
 * - A quote that is not closed ends with its line, as both compilers have it ("don't" in an assembler's comment).
 * - A raw string may be none, and 1'000 may be a number or begin a literal: all of the one, and the rest of the line of both, is in doubt.
 *   There no quote or comment begins, but directives and words are seen.
 * - `//` ends its line, though strict C90 has no such comment: its texts have no use for the two in a row.
 * - A `#` counts when before it on its line are blanks or the end of a comment, whether or not that comment began the line.
 * - Trigraphs are meant or not: `??/` before a newline joins lines within directives; where it would make a literal or a comment longer,
 *   the next line is in doubt. A lone CR ends a line (clang) but no directive's name (gcc).
 * - A directive is read from its keyword to what it names by looking ahead; the main loop then goes on behind that. What is looked at
 *   twice is bounded by OPERAND_MAX. */
#include "compiler/skeleton.h"

#include <stdint.h>
#include <string.h>

#include "base/map.h"

/* Longer names and bodies than PATH_MAX name no file. */
enum { OPERAND_MAX = 4096, WORD_MAX = 24 };

struct lexer {
	const char *begin, *end;
	const char *doubt_end; /* before it no quote and no comment begins, raw strings excepted */
	const char *raw_end;   /* before it none of these either */
	bool unclosed_raw;     /* a raw string had no end: there are none here */
	/* The last comment searched for, from where and to where, so that no stretch is searched again and again; NULL: none yet */
	const char *comment_begin, *comment_end;
	struct arena *arena;
	struct map seen; /* "<kind><form><name>" of all items */
	size_t items_capacity, macros_capacity;
	struct skeleton *skeleton;
};

struct text { /* an operand under construction */
	size_t n;
	char bytes[OPERAND_MAX + 1];
};

/* --- Sixteen bytes at a time ------------------------------------------------------------------------------------ */

typedef signed char block __attribute__((vector_size(16)));

enum { LOOK_AHEAD = 3 }; /* bytes that a match reads behind its block */

static inline block splat(char c)
{
	return (block){ c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c };
}

static inline block load(const char *at)
{
	block bytes;
	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

static inline block either_case(block letters)
{
	return letters | splat(0x20);
}

/* The quotes, comments and directives of code, and where a word of ours may stand: __DATE__, __TIME…, __has_…, __FILE__, __BASE_FILE__, .incbin, .include, or
 * what a line continuation cut in two. */
static inline block at_code(const char *at)
{
	block a = load(at), b = load(at + 1), c = load(at + 2), d = load(at + 3);
	block quote = (a == splat('"')) | (a == splat('\''));
	block comment = (a == splat('/')) & ((b == splat('/')) | (b == splat('*')));
	block hash = (a == splat('#')) | ((a == splat('%')) & (b == splat(':')));
	block trigraph = (a == splat('?')) & (b == splat('?')) & (c == splat('='));
	block word = (a == splat('_')) & (b == splat('_')) &
		     (((c == splat('D')) & (d == splat('A'))) | ((c == splat('T')) & (d == splat('I'))) |
			     ((c == splat('h')) & (d == splat('a'))) | ((c == splat('F')) & (d == splat('I'))) |
			     ((c == splat('B')) & (d == splat('A'))));
	block assembler = (a == splat('.')) & (either_case(b) == splat('i')) & (either_case(c) == splat('n'));
	block cut = (a == splat('\\')) & ((b == splat('\n')) | (b == splat('\r')));
	return quote | comment | hash | trigraph | word | assembler | cut;
}

/* What ends a string or needs a look in it. */
static inline block at_literal(const char *at)
{
	block a = load(at), b = load(at + 1), c = load(at + 2);
	return (a == splat('"')) | (a == splat('\'')) | (a == splat('\\')) | (a == splat('\n')) | (a == splat('\r')) |
	       ((a == splat('.')) & (either_case(b) == splat('i')) & (either_case(c) == splat('n')));
}

static inline block at_newline(const char *at)
{
	block a = load(at);
	return (a == splat('\n')) | (a == splat('\r'));
}

/* Or a continuation that may stand within the end of a comment. */
static inline block at_comment_end(const char *at)
{
	block a = load(at), b = load(at + 1);
	return (a == splat('*')) & ((b == splat('/')) | (b == splat('\\')) | (b == splat('?')));
}

/* The index of the first match, or -1. */
static inline int first(block mask)
{
	uint64_t halves[2];
	memcpy(halves, &mask, sizeof(halves));
	if (!(halves[0] | halves[1]))
		return -1;
	int half = halves[0] ? 0 : 1;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return half * 8 + __builtin_ctzll(halves[half]) / 8;
#else
	return half * 8 + __builtin_clzll(halves[half]) / 8;
#endif
}

/* The first place where `match` holds, or `end`. */
static inline __attribute__((always_inline)) const char *find(
	const char *at, const char *end, block (*match)(const char *))
{
	for (; end - at >= (ptrdiff_t)sizeof(block) + LOOK_AHEAD; at += sizeof(block)) {
		int i = first(match(at));
		if (i >= 0)
			return at + i;
	}
	char tail[2 * sizeof(block) + LOOK_AHEAD] = { 0 }; /* no match begins with NUL */
	memcpy(tail, at, (size_t)(end - at));
	for (size_t done = 0; done < 2 * sizeof(block); done += sizeof(block)) {
		int i = first(match(tail + done));
		if (i >= 0)
			return at + done + i;
	}
	return end;
}

/* --- Characters, joined lines, comments ------------------------------------------------------------------------- */

enum { BLANK = 1, NEWLINE = 2, WORD = 4, DIGIT = 8, FOREIGN = 16, OPERATOR = 32, JOINING = 64 };

/* JOINING: a backslash and any number of these before a newline join lines; clang takes no NUL there.
 * OPERATOR: may be part of a file's name.
 * FOREIGN: what outside of quotes is in no file's name worth mentioning, and in most statements and expressions. */
/* clang-format off */
static const unsigned char classes[256] = {
	['\0'] = BLANK, [' '] = BLANK | JOINING, ['\t'] = BLANK | JOINING, ['\f'] = BLANK | JOINING, ['\v'] = BLANK | JOINING,
	['\n'] = NEWLINE, ['\r'] = NEWLINE,
	['a' ... 'z'] = WORD, ['A' ... 'Z'] = WORD, ['_'] = WORD, ['0' ... '9'] = WORD | DIGIT,
	['+'] = OPERATOR, ['-'] = OPERATOR, ['/'] = OPERATOR, ['<'] = OPERATOR, ['>'] = OPERATOR,
	[';'] = FOREIGN, ['{'] = FOREIGN, ['}'] = FOREIGN, ['='] = FOREIGN, ['!'] = FOREIGN, ['&'] = FOREIGN, ['|'] = FOREIGN,
	['^'] = FOREIGN, ['?'] = FOREIGN, ['['] = FOREIGN, [']'] = FOREIGN, ['*'] = FOREIGN, ['~'] = FOREIGN, [':'] = FOREIGN,
	['%'] = FOREIGN, ['@'] = FOREIGN, ['\\'] = FOREIGN, ['`'] = FOREIGN, ['\''] = FOREIGN,
};
/* clang-format on */

static inline bool is(char c, int class)
{
	return classes[(unsigned char)c] & class;
}

/* `$` and the bytes of UTF-8 are letters too, but whether __DATE__ behind one is a word depends on the language. */
static inline bool is_name_char(char c)
{
	return is(c, WORD) || c == '$' || (c & 0x80);
}

static inline const char *skip_newline(const char *at, const char *end)
{
	return at + (end - at > 1 && at[0] == '\r' && at[1] == '\n' ? 2 : 1);
}

/* Behind the continuation at `at` (backslash or, `trigraphs` willing, ??/, then blanks and a newline), or NULL. */
static inline const char *splice_at(const char *at, const char *end, bool trigraphs)
{
	if (at == end)
		return NULL;
	if (*at == '\\')
		at++;
	else if (trigraphs && *at == '?' && end - at > 3 && at[1] == '?' && at[2] == '/')
		at += 3;
	else
		return NULL;
	while (at < end && is(*at, JOINING))
		at++;
	return at < end && is(*at, NEWLINE) ? skip_newline(at, end) : NULL;
}

static const char *skip_splices(const char *at, const char *end)
{
	for (const char *next; (next = splice_at(at, end, true));)
		at = next;
	return at;
}

/* Behind the comment whose text begins at `at`. */
static const char *comment_end(struct lexer *lexer, const char *at)
{
	if (!lexer->comment_begin || at < lexer->comment_begin || at + 2 > lexer->comment_end) {
		lexer->comment_begin = at;
		while ((at = find(at, lexer->end, at_comment_end)) < lexer->end) {
			at = skip_splices(at + 1, lexer->end);
			if (at < lexer->end && *at == '/') {
				at++;
				break;
			}
		}
		lexer->comment_end = at;
	}
	return lexer->comment_end;
}

/* Over blanks, comments and continuations, up to the end of the line, or over that too. */
static const char *skip_space(struct lexer *lexer, const char *at, bool newlines)
{
	const char *end = lexer->end;
	while (at < end) {
		const char *next;
		if (is(*at, newlines ? BLANK | NEWLINE : BLANK))
			at++;
		else if (*at == '/' && end - at > 1 && at[1] == '*')
			at = comment_end(lexer, at + 2);
		else if (*at == '/' && end - at > 1 && at[1] == '/')
			at = find(at, end, at_newline);
		else if ((next = splice_at(at, end, true)))
			at = next;
		else
			break;
		if (at < end && !newlines && is(*at, NEWLINE))
			break;
	}
	return at;
}

static bool is_behind(const struct lexer *lexer, const char *at, const char *trigraph)
{
	size_t n = strlen(trigraph);
	return (size_t)(at - lexer->begin) >= n && memcmp(at - n, trigraph, n) == 0;
}

/* Whether a `#` at `at` can be the first of its line. */
static bool begins_line(const struct lexer *lexer, const char *at)
{
	while (at > lexer->begin && (is(at[-1], BLANK | NEWLINE))) {
		at--;
		if (!is(*at, NEWLINE))
			continue;
		if (*at == '\n' && at > lexer->begin && at[-1] == '\r')
			at--;
		const char *before = at;
		while (before > lexer->begin && is(before[-1], JOINING))
			before--;
		if (before == lexer->begin || before[-1] != '\\')
			return true;
		at = before - 1; /* the line goes on */
	}
	return at == lexer->begin || (at - lexer->begin >= 2 && at[-2] == '*' && at[-1] == '/');
}

static bool add(struct text *to, char c)
{
	if (to->n == OPERAND_MAX)
		return false;
	to->bytes[to->n++] = c;
	return true;
}

/* The word at `at`, cut off when it is longer than any of ours; returns where it ends. */
static const char *read_word(struct lexer *lexer, const char *at, char word[WORD_MAX + 1])
{
	size_t n = 0;
	for (at = skip_splices(at, lexer->end); at < lexer->end && is(*at, WORD);
		at = skip_splices(at + 1, lexer->end)) {
		if (n < WORD_MAX)
			word[n++] = *at;
	}
	word[n] = '\0';
	return at;
}

/* --- What is found ---------------------------------------------------------------------------------------------- */

/* Room for one more element in an array that grows in the arena. */
static void *grown(struct arena *arena, void *array, size_t n, size_t *capacity, size_t size)
{
	if (n < *capacity)
		return array;
	*capacity = *capacity ? *capacity * 2 : 16;
	void *larger = arena_alloc(arena, *capacity * size);
	if (n)
		memcpy(larger, array, n * size);
	return larger;
}

static void add_item(struct lexer *lexer, enum skeleton_kind kind, enum skeleton_form form, const struct text *name)
{
	struct skeleton *skeleton = lexer->skeleton;
	size_t n = strnlen(name->bytes, name->n); /* as the compiler's open() has it */
	char *key = arena_alloc(lexer->arena, n + 3);
	key[0] = (char)('0' + kind);
	key[1] = (char)('0' + form);
	memcpy(key + 2, name->bytes, n);
	key[n + 2] = '\0';
	if (map_put(&lexer->seen, slice_of(key, n + 2), key))
		return;
	skeleton->items = grown(
		lexer->arena, skeleton->items, skeleton->n_items, &lexer->items_capacity, sizeof(*skeleton->items));
	skeleton->items[skeleton->n_items++] = (struct skeleton_item){ kind, form, key + 2 };
}

/* --- Operands --------------------------------------------------------------------------------------------------- */

/* The literal whose text begins (or goes on) at `at`, as it stands, with its quotes, continuations joined; NULL when it does not end on its
 * line or there is no room. */
static const char *copy_literal(struct lexer *lexer, const char *at, char quote, struct text *to)
{
	if (!add(to, quote))
		return NULL;
	for (at = skip_splices(at, lexer->end); at < lexer->end && !is(*at, NEWLINE);
		at = skip_splices(at + 1, lexer->end)) {
		if (!add(to, *at))
			return NULL;
		if (*at == quote)
			return at + 1;
		if (*at == '\\') {
			at = skip_splices(at + 1, lexer->end);
			if (at == lexer->end || is(*at, NEWLINE) || !add(to, *at))
				return NULL;
		}
	}
	return NULL;
}

enum until {
	UNTIL_LINE,	/* the whole line */
	UNTIL_FOREIGN,	/* a macro's body: the whole line, and no result when something FOREIGN stands in it */
	UNTIL_OPERAND,	/* up to what ends an operand: `)` of a `(` before, and outside of parentheses one of , ; : } */
	UNTIL_LITERALS, /* the same, over the ends of lines */
};

/* Add the tokens of the rest of the line: a space for blanks and comments, none at the ends. False: no result, or too long. */
static bool read_tokens(struct lexer *lexer, const char *at, enum until until, struct text *to)
{
	int depth = 0;
	for (;;) {
		at = skip_splices(at, lexer->end);
		const char *next = skip_space(lexer, at, until == UNTIL_LITERALS);
		if (next == lexer->end || is(*next, NEWLINE) ||
			(until == UNTIL_LITERALS && *next == '#' && begins_line(lexer, next)))
			return true;
		if (next > at && to->n > 0 && !add(to, ' '))
			return false;
		at = next;
		if (until >= UNTIL_OPERAND && depth == 0 && memchr("),;:}", *at, 5)) {
			if (to->n > 0 && to->bytes[to->n - 1] == ' ')
				to->n--;
			return true;
		}
		depth += (*at == '(') - (*at == ')');
		if (until == UNTIL_FOREIGN && is(*at, FOREIGN))
			return false;
		if (*at == '"' || *at == '\'') {
			size_t literal = to->n;
			if ((next = copy_literal(lexer, at + 1, *at, to))) {
				/* A message for printf and the like */
				if (until == UNTIL_FOREIGN &&
					(memchr(to->bytes + literal, '%', to->n - literal) ||
						memchr(to->bytes + literal, '\\', to->n - literal)))
					return false;
				at = next;
				continue;
			}
			if (until == UNTIL_FOREIGN)
				return false;
			to->n = literal;
		}
		do {
			if (!add(to, *at++))
				return false;
		} while (at < lexer->end && is(*at, WORD));
	}
}

/* Tokens that only an expansion can tell. */
static void add_computed(
	struct lexer *lexer, enum skeleton_kind kind, const char *at, enum until until, struct text *tokens)
{
	if (!read_tokens(lexer, at, until, tokens))
		tokens->n = 0;
	else if (tokens->n == 0)
		return;
	add_item(lexer, kind, SKELETON_COMPUTED, tokens);
}

/* "name", <name> or tokens, at or after `at`: returns where to go on. */
static const char *header_name(struct lexer *lexer, const char *at, enum skeleton_kind kind, enum until until)
{
	const char *begin = skip_space(lexer, at, false);
	if (begin == lexer->end)
		return begin;
	struct text name;
	name.n = 0;
	if (*begin == '"' || *begin == '<') {
		char close = *begin == '<' ? '>' : '"';
		const char *to = skip_splices(begin + 1, lexer->end);
		while (to < lexer->end && *to != close && *to != '\n' && add(&name, *to))
			to = skip_splices(to + 1, lexer->end);
		if (to < lexer->end && *to == close) {
			if (name.n)
				add_item(lexer, kind, close == '>' ? SKELETON_ANGLE : SKELETON_QUOTE, &name);
			return to + 1;
		}
		if (close == '"')
			return begin;
		name.n = 0; /* #include <PREFIX, where PREFIX brings the > */
	}
	add_computed(lexer, kind, begin, until, &name);
	return at;
}

/* --- Macros ----------------------------------------------------------------------------------------------------- */

/* Whether a body without FOREIGN characters could be part of a file's name; cheap and generous. */
static bool may_name_file(struct slice name, struct slice body)
{
	const char *b = body.ptr;
	if (body.len == 0)
		return true;
	if (slice_equal(name, body))
		return false;
	if (is(b[0], DIGIT)) { /* pasted to a name: foo_v2.h */
		size_t n = 1;
		while (n < body.len && is(b[n], DIGIT))
			n++;
		return n == body.len && n <= 4;
	}
	/* Expressions, but for lists of arguments and Boost's tuples */
	if (b[0] == '(' && !memchr(b, '"', body.len) && !memchr(b, '<', body.len) && !memchr(b, ',', body.len))
		return false;
	if (b[0] == '-' && body.len > 1 && is(b[1], DIGIT))
		return false;
	for (size_t i = 0; i + 1 < body.len; i++) {
		if (b[i] == '"') {
			while (b[++i] != '"')
				; /* it is closed, and has no backslash */
		} else if (is(b[i], OPERATOR)) {
			if (b[i + 1] == '>' ? b[i] == '>' || b[i] == '-' : b[i] == '<' && b[i + 1] == '<')
				return false; /* a >> 1, a->b, a << 1 */
			if (b[i + 1] == ' ' && i > 0 && b[i - 1] == ' ')
				return false; /* a + b */
		} else if (b[i] == ' ' && i > 0 && is_name_char(b[i - 1]) && is_name_char(b[i + 1])) {
			return false; /* unsigned long */
		}
	}
	return true;
}

static const char *read_name(struct lexer *lexer, const char *at, struct text *to)
{
	for (; at < lexer->end && is_name_char(*at); at = skip_splices(at + 1, lexer->end)) {
		if (!add(to, *at))
			return NULL;
	}
	return at;
}

/* "a,b,..." of "( a , b , ... )": `at` stands behind the parenthesis. NULL: that is no list. */
static const char *read_parameters(struct lexer *lexer, const char *at, struct text *to)
{
	for (;;) {
		at = skip_space(lexer, at, false);
		if (at == lexer->end || is(*at, NEWLINE))
			return NULL;
		if (*at == ')')
			return at + 1;
		if (is_name_char(*at)) {
			at = read_name(lexer, at, to);
			if (!at)
				return NULL;
		} else if ((*at == ',' || *at == '.') && add(to, *at)) {
			at++;
		} else {
			return NULL;
		}
	}
}

/* A NUL is a blank to compilers and would end our strings. */
static char *put(char *at, const struct text *text)
{
	for (size_t i = 0; i < text->n; i++)
		*at++ = text->bytes[i] ? text->bytes[i] : ' ';
	*at++ = '\0';
	return at;
}

static const char *define(struct lexer *lexer, const char *at)
{
	struct text name, parameters, body;
	name.n = parameters.n = body.n = 0;
	const char *after = read_name(lexer, skip_space(lexer, at, false), &name);
	if (!after || name.n == 0)
		return at;
	bool has_parameters = after < lexer->end && *after == '(';
	at = after;
	if (has_parameters && !(after = read_parameters(lexer, after + 1, &parameters)))
		return at;
	if (!read_tokens(lexer, after, UNTIL_FOREIGN, &body) ||
		!may_name_file(slice_of(name.bytes, name.n), slice_of(body.bytes, body.n)))
		return after;

	struct skeleton *skeleton = lexer->skeleton;
	skeleton->macros = grown(
		lexer->arena, skeleton->macros, skeleton->n_macros, &lexer->macros_capacity, sizeof(*skeleton->macros));
	struct skeleton_macro *macro = &skeleton->macros[skeleton->n_macros++];
	char *to = arena_alloc(lexer->arena, name.n + parameters.n + body.n + 3);
	macro->name = to;
	to = put(to, &name);
	macro->parameters = has_parameters ? to : NULL;
	to = put(to, &parameters);
	macro->body = to;
	put(to, &body);
	return after;
}

/* --- Directives ------------------------------------------------------------------------------------------------- */

/* The end of the line, joined ones included. */
static const char *skip_line(const struct lexer *lexer, const char *at)
{
	for (;;) {
		const char *newline = find(at, lexer->end, at_newline), *last = newline;
		while (last > at && is(last[-1], JOINING))
			last--;
		if (newline == lexer->end || last == at || last[-1] != '\\')
			return newline;
		at = splice_at(last - 1, lexer->end, false);
	}
}

static const char *pragma(struct lexer *lexer, const char *at)
{
	char word[WORD_MAX + 1];
	const char *after = read_word(lexer, skip_space(lexer, at, false), word);
	if (strcmp(word, "once") == 0) {
		lexer->skeleton->once = true;
	} else if (strcmp(word, "GCC") == 0 || strcmp(word, "clang") == 0) {
		after = read_word(lexer, skip_space(lexer, after, false), word);
		if (strcmp(word, "dependency") == 0) {
			lexer->skeleton->timestamp = true;
			return header_name(lexer, after, SKELETON_INCLUDE, UNTIL_LINE);
		}
	}
	return at;
}

static const char *directive(struct lexer *lexer, const char *at)
{
	const char *hash_end = at + (*at == '#' ? 1 : *at == '%' ? 2 : 3);
	if (!begins_line(lexer, at))
		return hash_end;
	char word[WORD_MAX + 1];
	const char *after = read_word(lexer, skip_space(lexer, hash_end, false), word);
	if (strcmp(word, "define") == 0)
		return define(lexer, after);
	if (strcmp(word, "include") == 0)
		return header_name(lexer, after, SKELETON_INCLUDE, UNTIL_LINE);
	if (strcmp(word, "include_next") == 0)
		return header_name(lexer, after, SKELETON_INCLUDE_NEXT, UNTIL_LINE);
	if (strcmp(word, "embed") == 0)
		return header_name(lexer, after, SKELETON_EMBED, UNTIL_LINE);
	if (strcmp(word, "import") == 0) {
		lexer->skeleton->once = true;
		return header_name(lexer, after, SKELETON_INCLUDE, UNTIL_LINE);
	}
	if (strcmp(word, "pragma") == 0)
		return pragma(lexer, after);
	if (at >= lexer->doubt_end && (strcmp(word, "error") == 0 || strcmp(word, "warning") == 0))
		return skip_line(lexer, after); /* clang takes no comment in the message */
	/* What is no directive may be an assembler's line: # __DATE__ */
	return hash_end;
}

/* --- Words ------------------------------------------------------------------------------------------------------ */

/* Whether the word from `at` to `after` stands where its length, a character or a hash of it is taken: sizeof(W), strlen(W), path_hash(W), W[0]. */
static bool is_measured(struct lexer *lexer, const char *at, const char *after)
{
	const char *next = skip_space(lexer, after, false);
	if (next < lexer->end && *next == '[')
		return true;
	while (at > lexer->begin && (at[-1] == ' ' || at[-1] == '('))
		at--;
	const char *end = at;
	while (at > lexer->begin && is(at[-1], WORD))
		at--;
	static const char *const measures[] = { "sizeof", "strlen", "hash", "Hash", "HASH", "crc", "Crc", "CRC", "length", "Length" };
	for (size_t i = 0; i < sizeof(measures) / sizeof(*measures); i++)
		if (end > at && memmem(at, (size_t)(end - at), measures[i], strlen(measures[i])))
			return true;
	return false;
}

static const char *word_of_ours(struct lexer *lexer, const char *at)
{
	struct skeleton *skeleton = lexer->skeleton;
	char word[WORD_MAX + 1];
	if (at > lexer->begin && is(at[-1], WORD))
		return at + 1;
	const char *after = read_word(lexer, at, word);
	enum skeleton_kind kind;
	if (strcmp(word, "__DATE__") == 0 || strcmp(word, "__TIME__") == 0)
		skeleton->date_time = true;
	else if (strcmp(word, "__TIMESTAMP__") == 0)
		skeleton->timestamp = true;
	else if ((strcmp(word, "__FILE__") == 0 || strcmp(word, "__BASE_FILE__") == 0) && is_measured(lexer, at, after))
		skeleton->measures_file = true;
	if (strcmp(word, "__has_include") == 0 || strcmp(word, "__has_include__") == 0)
		kind = SKELETON_INCLUDE;
	else if (strcmp(word, "__has_include_next") == 0 || strcmp(word, "__has_include_next__") == 0)
		kind = SKELETON_INCLUDE_NEXT;
	else if (strcmp(word, "__has_embed") == 0)
		kind = SKELETON_EMBED;
	else
		return after;
	const char *operand = skip_space(lexer, after, false);
	if (operand == lexer->end || !strchr("(\"<", *operand) || !*operand)
		return after; /* defined(__has_include) */
	if (*operand == '(')
		operand++;
	return header_name(lexer, operand, kind, UNTIL_OPERAND);
}

/* A word that goes on behind the continuation at `at`, or a comment that begins around it. */
static const char *cut_word(struct lexer *lexer, const char *at)
{
	const char *begin = at, *after = skip_splices(at, lexer->end);
	if (at >= lexer->doubt_end && is_behind(lexer, at, "/"))
		lexer->doubt_end = skip_line(lexer, after);
	while (begin > lexer->begin && is(begin[-1], WORD))
		begin--;
	if (begin < at && *begin == '_' && after < lexer->end && is(*after, WORD)) {
		const char *end = word_of_ours(lexer, begin);
		return end > after ? end : after;
	}
	return after > at ? after : at + 1;
}

/* --- The assembler's directives --------------------------------------------------------------------------------- */

/* Whether .incbin or .include stands at `at`, and no member or file's name; returns the end of the word or NULL. `escapes`: within a
 * literal of C. */
static const char *assembler_word(const struct lexer *lexer, const char *at, bool escapes)
{
	size_t left = (size_t)(lexer->end - at), length = 0;
	if (left >= 7 && strncasecmp(at, ".incbin", 7) == 0)
		length = 7;
	else if (left >= 8 && strncasecmp(at, ".include", 8) == 0)
		length = 8;
	if (!length || (length < left && (is_name_char(at[length]) || at[length] == '.' || at[length] == '-')))
		return NULL;
	bool escape = escapes && at - lexer->begin >= 2 && at[-2] == '\\'; /* "\n.incbin" */
	if (at > lexer->begin && !escape && at[-1] && (is(at[-1], WORD) || strchr(").]-/>*`", at[-1])))
		return NULL; /* x.include, foo.include.h, ->include */
	return at + length;
}

/* In an assembler's own text. */
static const char *assembler(struct lexer *lexer, const char *at)
{
	const char *after = assembler_word(lexer, at, false);
	if (!after)
		return at + 1;
	const char *operand = skip_space(lexer, after, false);
	if (operand == lexer->end || is(*operand, NEWLINE) || strchr("=,;)}]`", *operand))
		return after; /* a field of C: { .include = x } */
	struct text name;
	name.n = 0;
	if (*operand == '"') {
		const char *end = copy_literal(lexer, operand + 1, '"', &name);
		if (end && name.n > 2 && !memchr(name.bytes, '\\', name.n)) {
			name.n -= 2;
			memmove(name.bytes, name.bytes + 1, name.n);
			add_item(lexer, SKELETON_ASSEMBLER, SKELETON_QUOTE, &name);
			return end;
		}
		name.n = 0;
	}
	add_computed(lexer, SKELETON_ASSEMBLER, operand, UNTIL_OPERAND, &name);
	return after;
}

/* Reads the characters of adjacent string literals of C, unescaped. */
struct literals {
	struct lexer *lexer;
	const char *at; /* behind the last literal once -1 was returned */
};

static int literals_next(struct literals *in)
{
	const char *end = in->lexer->end;
	in->at = skip_splices(in->at, end);
	while (in->at < end && *in->at == '"') {
		const char *next = skip_space(in->lexer, in->at + 1, true);
		if (next == end || *next != '"') {
			in->at++;
			return -1;
		}
		in->at = skip_splices(next + 1, end);
	}
	if (in->at == end || is(*in->at, NEWLINE))
		return -1;
	if (*in->at != '\\')
		return (unsigned char)*in->at++;
	in->at = skip_splices(in->at + 1, end);
	if (in->at == end)
		return -1;
	char c = *in->at++;
	return c == 'n' ? '\n' : c == 't' ? '\t' : (unsigned char)c;
}

/* In a literal of C. What the name needs of macros becomes tokens of C: the rest of the literal, and what follows. */
static void assembler_in_literal(struct lexer *lexer, const char *at)
{
	const char *after = assembler_word(lexer, at, true);
	if (!after)
		return;
	struct text name;
	name.n = 0;
	struct literals in = { lexer, after };
	int c = literals_next(&in);
	while (c == ' ' || c == '\t')
		c = literals_next(&in);
	if (c >= 0 && c != '"' && c != '\\')
		return; /* prose */
	if (c == '"') {
		while ((c = literals_next(&in)) >= 0 && c != '"' && c != '\\' && c != '\n' && add(&name, (char)c))
			;
		if (c == '"' && name.n) {
			add_item(lexer, SKELETON_ASSEMBLER, SKELETON_QUOTE, &name);
			return;
		}
	}
	name.n = 0;
	after = copy_literal(lexer, after, '"', &name);
	if (after)
		add_computed(lexer, SKELETON_ASSEMBLER, after, UNTIL_LITERALS, &name);
}

/* --- Literals and comments -------------------------------------------------------------------------------------- */

/* At `at` a literal or comment ends: unless a trigraph says it does not. */
static const char *ends(struct lexer *lexer, const char *at)
{
	const char *after = at < lexer->end ? skip_newline(at, lexer->end) : at;
	if (is_behind(lexer, at, "?\?/"))
		lexer->doubt_end = skip_line(lexer, after);
	return after;
}

/* Behind the literal that begins at `at`: a closing quote or the end of the line. */
static const char *literal(struct lexer *lexer, const char *at)
{
	char quote = *at++;
	if (quote == '"' && lexer->end - at >= 5 && memcmp(at, "once\"", 5) == 0)
		lexer->skeleton->once = true; /* _Pragma("once") */
	if (quote == '"' && lexer->end - at >= 14 && memcmp(at, "GCC dependency", 14) == 0)
		lexer->skeleton->timestamp = true;
	while ((at = find(at, lexer->end, at_literal)) < lexer->end) {
		const char *next;
		if (*at == quote || is(*at, NEWLINE))
			return ends(lexer, at);
		if ((next = splice_at(at, lexer->end, false))) {
			at = next;
		} else if (*at == '\\') {
			while ((next = splice_at(++at, lexer->end, false)))
				at = next - 1;
			if (at < lexer->end && !is(*at, NEWLINE))
				at++;
		} else if (*at == '.') {
			if (quote == '"')
				assembler_in_literal(lexer, at);
			else
				assembler(lexer, at); /* behind an apostrophe in an assembler's comment */
			at++;
		} else {
			at++;
		}
	}
	return at;
}

/* Whether the quote at `at` follows R, LR, uR, UR or u8R; then `raw_end` is set, and its line is in doubt. */
static bool raw_string(struct lexer *lexer, const char *at)
{
	enum { DELIMITER_MAX = 16 };
	size_t before = (size_t)(at - lexer->begin), prefix = 0;
	if (before == 0 || at[-1] != 'R' || lexer->unclosed_raw)
		return false;
	while (prefix < 4 && prefix < before && is(at[-1 - (ptrdiff_t)prefix], WORD))
		prefix++;
	struct slice word = slice_of(at - prefix, prefix);
	if (!slice_equal_str(word, "R") && !slice_equal_str(word, "LR") && !slice_equal_str(word, "uR") &&
		!slice_equal_str(word, "UR") && !slice_equal_str(word, "u8R"))
		return false;
	char close[DELIMITER_MAX + 2] = ")";
	size_t n = 1;
	for (at++; at < lexer->end && *at != '('; at++) {
		if (n > DELIMITER_MAX || is(*at, BLANK | NEWLINE) || *at == ')' || *at == '\\' || *at == '"')
			return false;
		close[n++] = *at;
	}
	if (at == lexer->end)
		return false;
	close[n++] = '"';
	const char *found = memmem(at, (size_t)(lexer->end - at), close, n);
	lexer->unclosed_raw = !found; /* one search in vain at most, or the time were not linear */
	if (found) {
		lexer->raw_end = found + n;
		lexer->doubt_end = skip_line(lexer, lexer->raw_end);
	}
	return found;
}

/* 1'000: since C++14 and C23. */
static bool is_digit_separator(const struct lexer *lexer, const char *at)
{
	if (*at != '\'' || at == lexer->begin || lexer->end - at < 2 || !is(at[-1], WORD) || !is(at[1], WORD))
		return false;
	const char *begin = at;
	while (begin > lexer->begin && at - begin < WORD_MAX && (is(begin[-1], WORD) || begin[-1] == '\''))
		begin--;
	return is(*begin, DIGIT);
}

static const char *step(struct lexer *lexer, const char *at)
{
	switch (*at) {
	case '"':
		if (at < lexer->raw_end || raw_string(lexer, at) || at < lexer->doubt_end)
			return at + 1;
		return literal(lexer, at);
	case '\'':
	case '/':
		if (at >= lexer->doubt_end && (is_behind(lexer, at, "??") || is_digit_separator(lexer, at)))
			lexer->doubt_end = skip_line(lexer, at);
		if (at < lexer->doubt_end)
			return at + 1;
		if (*at == '\'')
			return literal(lexer, at);
		return at[1] == '*' ? comment_end(lexer, at + 2) : ends(lexer, skip_line(lexer, at));
	case '_':
		return word_of_ours(lexer, at);
	case '.':
		return assembler(lexer, at);
	case '\\':
		return cut_word(lexer, at);
	default:
		return directive(lexer, at);
	}
}

void skeleton_make(struct slice text, struct arena *arena, struct skeleton *ret)
{
	*ret = (struct skeleton){ 0 };
	if (slice_has_prefix(text, "\xef\xbb\xbf"))
		text = slice_of(text.ptr + 3, text.len - 3);
	if (!text.len)
		return;
	struct lexer lexer = { .begin = text.ptr,
		.end = text.ptr + text.len,
		.doubt_end = text.ptr,
		.raw_end = text.ptr,
		.arena = arena,
		.skeleton = ret };
	for (const char *at = lexer.begin; (at = find(at, lexer.end, at_code)) < lexer.end;)
		at = step(&lexer, at);
	map_deinit(&lexer.seen);
}
