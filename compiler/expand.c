#include "compiler/expand.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"

/* How it works: a state is what is finished of a line of tokens, and what is still to be looked at. The work list begins with the given
 * tokens; a macro call in a state gives as many new states as it has definitions, times the ways its arguments expand. */

enum {
	STATES_LIMIT = 256, /* altogether, those of arguments too; then what is left stays as it is */
	STEPS_LIMIT = 64,   /* calls replaced on the way to one state: ends recursion */
	NESTING_LIMIT = 16, /* of calls in arguments */
	TOKENS_LIMIT = 512, /* of one line */
	TEXT_LIMIT = 4096,  /* of one token that was made of others, in bytes; no file has a longer name */
	ARGUMENTS_LIMIT = 32,
	DEFINITIONS_LIMIT = 32, /* of one name */
};

enum token_kind { TOKEN_OTHER, TOKEN_NAME, TOKEN_STRING };

struct token {
	struct slice text;
	enum token_kind kind;
	bool spaced; /* white space stands before it */
	bool painted; /* a name that isn't to be expanded again */
};

struct tokens {
	struct token *v; /* in the arena, never changed once shared */
	size_t n;
};

struct state {
	struct state *next;
	struct tokens done, rest;
	unsigned steps;
};

struct expansion {
	const struct definitions *definitions;
	struct arena *arena;
	unsigned n_states;
	bool exhausted;
};

/* Definitions */

struct definition {
	struct definition *next; /* of the same name */
	const struct skeleton_macro *macro;
};

void definitions_deinit(struct definitions *definitions)
{
	map_deinit(&definitions->map);
	arena_deinit(&definitions->arena);
}

static bool same_macro(const struct skeleton_macro *a, const struct skeleton_macro *b)
{
	return !a->parameters == !b->parameters && strcmp(a->body, b->body) == 0 &&
	       (!a->parameters || strcmp(a->parameters, b->parameters) == 0);
}

static void add(struct definitions *definitions, const struct skeleton_macro *macro)
{
	struct slice name = slice_str(macro->name);
	struct definition *first = map_get(&definitions->map, name);
	size_t n = 0;
	for (struct definition *d = first; d; d = d->next)
		if (same_macro(d->macro, macro) || ++n == DEFINITIONS_LIMIT)
			return;
	struct definition *definition = arena_new(&definitions->arena, struct definition);
	*definition = (struct definition){ first ? first->next : NULL, macro };
	if (first)
		first->next = definition;
	else
		map_put(&definitions->map, name, definition);
}

void definitions_add(struct definitions *definitions, const struct skeleton_macro *macros, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(definitions, &macros[i]);
}

/* Tokens */

static bool starts_name(char c)
{
	return isalpha((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool continues_name(char c)
{
	return starts_name(c) || isdigit((unsigned char)c);
}

static size_t token_length(const char *s, enum token_kind *kind)
{
	size_t n = 1;
	*kind = TOKEN_OTHER;
	if (starts_name(s[0])) {
		*kind = TOKEN_NAME;
		while (continues_name(s[n]))
			n++;
	} else if (isdigit((unsigned char)s[0]) || (s[0] == '.' && isdigit((unsigned char)s[1]))) {
		while (continues_name(s[n]) || s[n] == '.' || ((s[n] == '+' || s[n] == '-') && strchr("eEpP", s[n - 1])))
			n++;
	} else if (s[0] == '"' || s[0] == '\'') {
		*kind = TOKEN_STRING;
		while (s[n] && s[n] != s[0])
			n += s[n] == '\\' && s[n + 1] ? 2 : 1;
		n += s[n] == s[0];
	} else if (strncmp(s, "%:%:", 4) == 0) {
		n = 4;
	} else if (strncmp(s, "...", 3) == 0) {
		n = 3;
	} else if (strncmp(s, "##", 2) == 0 || strncmp(s, "%:", 2) == 0) {
		n = 2;
	}
	return n;
}

static struct tokens tokenize(const char *s, struct arena *arena)
{
	struct tokens tokens = { arena_array(arena, struct token, strlen(s) + 1), 0 };
	bool spaced = false;
	while (*s) {
		if (isspace((unsigned char)*s)) {
			spaced = true;
			s++;
			continue;
		}
		struct token *token = &tokens.v[tokens.n++];
		size_t n = token_length(s, &token->kind);
		token->text = slice_of(s, n);
		token->spaced = spaced;
		spaced = false;
		s += n;
	}
	return tokens;
}

static bool is(const struct token *token, const char *text)
{
	return token->kind == TOKEN_OTHER && slice_equal_str(token->text, text);
}

static bool is_hash(const struct token *token)
{
	return is(token, "#") || is(token, "%:");
}

static bool is_paste(const struct token *token)
{
	return is(token, "##") || is(token, "%:%:");
}

/* Cut where it is too long to be a name. */
static void spell(const struct tokens *tokens, struct buf *to)
{
	for (size_t i = 0; i < tokens->n && to->len < TEXT_LIMIT; i++) {
		if (i > 0 && tokens->v[i].spaced)
			buf_append_char(to, ' ');
		buf_append_slice(to, tokens->v[i].text);
	}
}

static const char *take_text(struct buf *buf, struct arena *arena)
{
	const char *text = arena_strndup(arena, buf_str(buf), buf->len);
	buf_deinit(buf);
	return text;
}

static struct tokens joined(struct arena *arena, const struct tokens *a, const struct tokens *b)
{
	struct tokens all = { arena_alloc(arena, (a->n + b->n) * sizeof(*all.v)), a->n + b->n };
	if (a->n)
		memcpy(all.v, a->v, a->n * sizeof(*all.v));
	if (b->n)
		memcpy(all.v + a->n, b->v, b->n * sizeof(*all.v));
	return all;
}

static struct tokens tail(const struct tokens *tokens, size_t from)
{
	return (struct tokens){ tokens->v + from, tokens->n - from };
}

/* Calls */

struct call {
	struct tokens arguments[ARGUMENTS_LIMIT]; /* as written */
	size_t n;
	size_t length; /* tokens, the name included */
};

/* The arguments of the call whose name is the first token. False: there is no call. */
static bool read_call(const struct tokens *rest, struct call *ret)
{
	if (rest->n < 2 || !is(&rest->v[1], "("))
		return false;
	size_t depth = 1, start = 2;
	ret->n = 0;
	for (size_t i = 2; i < rest->n; i++) {
		const struct token *token = &rest->v[i];
		depth += is(token, "(");
		depth -= is(token, ")");
		if (depth != 0 && (depth != 1 || !is(token, ",")))
			continue;
		if (ret->n == ARGUMENTS_LIMIT)
			return false;
		ret->arguments[ret->n++] = (struct tokens){ rest->v + start, i - start };
		start = i + 1;
		if (depth == 0) {
			ret->length = i + 1;
			return true;
		}
	}
	return false;
}

/* The parameters of a definition, and what of a call belongs to each. */
struct binding {
	struct slice names[ARGUMENTS_LIMIT];
	struct tokens raw[ARGUMENTS_LIMIT], expanded[ARGUMENTS_LIMIT];
	size_t n;
};

static bool bind(const char *parameters, const struct call *call, struct binding *ret)
{
	bool variadic = false;
	ret->n = 0;
	for (const char *at = parameters; *at;) {
		at += strspn(at, " \t");
		struct slice name = slice_of(at, strcspn(at, ","));
		at += name.len + (at[name.len] == ',');
		while (name.len && isspace((unsigned char)name.ptr[name.len - 1]))
			name.len--;
		variadic = slice_has_suffix(name, "...");
		if (variadic)
			name = name.len == 3 ? slice_str("__VA_ARGS__") : slice_of(name.ptr, name.len - 3);
		if (ret->n == ARGUMENTS_LIMIT)
			return false;
		ret->names[ret->n] = name;
		ret->raw[ret->n] = ret->n < call->n ? call->arguments[ret->n] : (struct tokens){ 0 };
		ret->n++;
	}
	if (variadic && call->n > ret->n) {
		struct tokens *rest = &ret->raw[ret->n - 1];
		const struct tokens *last = &call->arguments[call->n - 1];
		rest->n = (size_t)(last->v + last->n - rest->v);
		return true;
	}
	return call->n == ret->n || (variadic && call->n + 1 == ret->n) ||
	       (ret->n == 0 && call->n == 1 && call->arguments[0].n == 0);
}

static const struct tokens *find_bound(const struct tokens *of, const struct binding *binding, const struct token *token)
{
	for (size_t i = 0; token->kind == TOKEN_NAME && i < binding->n; i++)
		if (slice_equal(binding->names[i], token->text))
			return &of[i];
	return NULL;
}

static struct token stringified(const struct tokens *argument, struct arena *arena)
{
	struct buf text = { 0 }, quoted = { 0 };
	spell(argument, &text);
	buf_append_char(&quoted, '"');
	bool literal = false;
	for (size_t i = 0; i < text.len && quoted.len < TEXT_LIMIT; i++) {
		/* Only what stands in a literal is escaped. */
		char c = text.ptr[i];
		if (c == '"' || (c == '\\' && literal))
			buf_append_char(&quoted, '\\');
		if (c == '"' && (i == 0 || text.ptr[i - 1] != '\\'))
			literal = !literal;
		buf_append_char(&quoted, c);
	}
	buf_append_char(&quoted, '"');
	buf_deinit(&text);
	size_t n = quoted.len;
	return (struct token){ .text = slice_of(take_text(&quoted, arena), n), .kind = TOKEN_STRING };
}

static void append(struct tokens *to, const struct tokens *more, bool spaced)
{
	for (size_t i = 0; i < more->n && to->n < TOKENS_LIMIT; i++) {
		to->v[to->n] = more->v[i];
		if (i == 0)
			to->v[to->n].spaced = spaced;
		to->n++;
	}
}

/* The last token of `to` and the first that is appended become one. */
static void paste(struct tokens *to, const struct tokens *more, struct arena *arena)
{
	if (to->n == 0 || more->n == 0 || to->v[to->n - 1].text.len > TEXT_LIMIT) {
		append(to, more, false);
		return;
	}
	struct token *last = &to->v[to->n - 1];
	const char *text = arena_printf(arena, "%.*s%.*s", (int)last->text.len, last->text.ptr, (int)more->v[0].text.len,
		more->v[0].text.ptr);
	enum token_kind kind;
	token_length(text, &kind);
	*last = (struct token){ slice_str(text), kind, last->spaced, false };
	struct tokens others = tail(more, 1);
	append(to, &others, others.n && others.v[0].spaced);
}

static struct tokens substitute(const struct skeleton_macro *macro, const struct binding *binding, struct arena *arena)
{
	struct tokens body = tokenize(macro->body, arena);
	struct tokens ret = { arena_alloc(arena, TOKENS_LIMIT * sizeof(*ret.v)), 0 };
	for (size_t i = 0; i < body.n && ret.n < TOKENS_LIMIT; i++) {
		struct token token = body.v[i];
		bool pastes = i > 0 && is_paste(&body.v[i - 1]), pasted = i + 1 < body.n && is_paste(&body.v[i + 1]);
		if (is_paste(&token))
			continue;
		struct tokens piece = { &token, 1 };
		const struct tokens *bound = NULL;
		if (binding && is_hash(&token) && i + 1 < body.n && (bound = find_bound(binding->raw, binding, &body.v[i + 1]))) {
			struct token text = stringified(bound, arena);
			text.spaced = token.spaced;
			token = text;
			i++;
		} else if (binding &&
			   (bound = find_bound(pastes || pasted ? binding->raw : binding->expanded, binding, &token))) {
			piece = *bound;
		} else if (token.kind == TOKEN_NAME && slice_equal_str(token.text, macro->name)) {
			token.painted = true;
		}
		if (pastes)
			paste(&ret, &piece, arena);
		else
			append(&ret, &piece, token.spaced);
	}
	return ret;
}

/* The work list */

static bool is_spent(struct expansion *x)
{
	if (x->n_states >= STATES_LIMIT)
		x->exhausted = true;
	return x->n_states >= STATES_LIMIT;
}

static void push(struct expansion *x, struct state **work, const struct state *from, const struct tokens *replacement, size_t used)
{
	if (is_spent(x) || from->steps == STEPS_LIMIT || from->done.n + replacement->n + from->rest.n > TOKENS_LIMIT) {
		x->exhausted = true;
		return;
	}
	x->n_states++;
	struct tokens after = tail(&from->rest, used);
	if (replacement->n)
		replacement->v[0].spaced = from->rest.v[0].spaced;
	struct state *state = arena_new(x->arena, struct state);
	*state = (struct state){ *work, from->done, joined(x->arena, replacement, &after), from->steps + 1 };
	*work = state;
}

static struct state *expand_tokens(struct expansion *x, struct tokens tokens, unsigned nesting);

/* All ways to expand the arguments from the `at`-th on. */
static void call_with(struct expansion *x, struct state **work, const struct state *from, const struct skeleton_macro *macro,
	const struct call *call, struct binding *binding, size_t at, unsigned nesting)
{
	if (is_spent(x))
		return;
	if (at == binding->n) {
		struct tokens replacement = substitute(macro, binding, x->arena);
		push(x, work, from, &replacement, call->length);
		return;
	}
	for (struct state *way = expand_tokens(x, binding->raw[at], nesting + 1); way; way = way->next) {
		binding->expanded[at] = way->done;
		call_with(x, work, from, macro, call, binding, at + 1, nesting);
	}
}

/* Replace the macro that the `at`-th token of what is left to do names. False: it stays as it is. */
static bool replace(struct expansion *x, struct state **work, const struct state *state, size_t at, unsigned nesting)
{
	struct call call;
	struct binding binding;
	if (is_spent(x))
		return false;
	const struct definition *definition = map_get(&x->definitions->map, state->rest.v[at].text);
	if (!definition)
		return false;
	struct tokens before = { state->rest.v, at };
	struct state here = { NULL, joined(x->arena, &state->done, &before), tail(&state->rest, at), state->steps };
	bool is_call = read_call(&here.rest, &call), replaced = false;
	for (; definition; definition = definition->next) {
		const struct skeleton_macro *macro = definition->macro;
		if (!macro->parameters) {
			struct tokens replacement = substitute(macro, NULL, x->arena);
			push(x, work, &here, &replacement, 1);
			replaced = true;
		} else if (is_call && bind(macro->parameters, &call, &binding)) {
			call_with(x, work, &here, macro, &call, &binding, 0, nesting);
			replaced = true;
		}
	}
	return replaced;
}

/* Every way to expand `tokens`, as states with nothing left to do. */
static struct state *expand_tokens(struct expansion *x, struct tokens tokens, unsigned nesting)
{
	struct state *first = arena_new(x->arena, struct state), *work = first, *finished = NULL;
	first->rest = tokens;
	x->n_states++;
	if (nesting == NESTING_LIMIT) {
		x->exhausted = true;
		first->done = tokens;
		return first;
	}
	while (work) {
		struct state *state = work;
		work = work->next;
		bool replaced = false;
		for (size_t at = 0; at < state->rest.n && !replaced; at++)
			if (state->rest.v[at].kind == TOKEN_NAME && !state->rest.v[at].painted)
				replaced = replace(x, &work, state, at, nesting);
		if (replaced)
			continue;
		state->done = joined(x->arena, &state->done, &state->rest);
		state->rest = (struct tokens){ 0 };
		state->next = finished;
		finished = state;
	}
	return finished;
}

/* Names */

static bool name_of(const struct tokens *tokens, struct arena *arena, struct expand_name *ret)
{
	if (tokens->n == 0)
		return false;
	const struct token *first = &tokens->v[0];
	if (first->kind == TOKEN_STRING && first->text.len > 2 && first->text.ptr[0] == '"') {
		*ret = (struct expand_name){ SKELETON_QUOTE, arena_strndup(arena, first->text.ptr + 1, first->text.len - 2) };
		return true;
	}
	if (!is(first, "<"))
		return false;
	size_t end = 1;
	while (end < tokens->n && !is(&tokens->v[end], ">"))
		end++;
	if (end == tokens->n || end == 1)
		return false;
	struct tokens inside = { tokens->v + 1, end - 1 };
	struct buf text = { 0 };
	if (inside.v[0].spaced)
		buf_append_char(&text, ' ');
	spell(&inside, &text);
	*ret = (struct expand_name){ SKELETON_ANGLE, take_text(&text, arena) };
	return true;
}

/* The operand of .incbin or .include, from adjacent literals of C, or from one that is the assembler's. */
static bool operand_of(const struct tokens *tokens, struct arena *arena, struct expand_name *ret)
{
	_cleanup_buf_ struct buf text = { 0 };
	for (size_t i = 0; i < tokens->n && tokens->v[i].kind == TOKEN_STRING && tokens->v[i].text.ptr[0] == '"'; i++) {
		struct slice literal = tokens->v[i].text;
		for (size_t k = 1; k + 1 < literal.len; k++) {
			bool escaped = literal.ptr[k] == '\\' && k + 2 < literal.len;
			char c = literal.ptr[k += escaped];
			buf_append_char(&text, !escaped ? c : c == 'n' ? '\n' : c == 't' ? '\t' : c);
		}
	}
	const char *name = buf_str(&text);
	name += strspn(name, " \t");
	bool quoted = *name == '"';
	name += quoted;
	size_t n = strcspn(name, quoted ? "\"" : "\n");
	if (n == 0 || (quoted && name[n] != '"'))
		return false;
	*ret = (struct expand_name){ SKELETON_QUOTE, arena_strndup(arena, name, n) };
	return true;
}

size_t expand(enum skeleton_kind kind, const char *tokens, const struct definitions *definitions, struct arena *arena, struct expand_name *ret,
	bool *exhausted)
{
	_cleanup_arena_ struct arena scratch = ARENA_INIT;
	struct expansion x = { definitions, &scratch, 0, false };
	size_t n = 0;
	for (struct state *way = expand_tokens(&x, tokenize(tokens, &scratch), 0); way; way = way->next) {
		struct expand_name name;
		if (!(kind == SKELETON_ASSEMBLER ? operand_of : name_of)(&way->done, arena, &name))
			continue;
		bool known = false;
		for (size_t i = 0; i < n && !known; i++)
			known = ret[i].form == name.form && strcmp(ret[i].name, name.name) == 0;
		if (known)
			continue;
		if (n == EXPAND_NAMES_LIMIT) {
			x.exhausted = true;
			break;
		}
		ret[n++] = name;
	}
	if (exhausted)
		*exhausted = x.exhausted;
	return n;
}

bool expand_is_defined(const char *tokens, const struct definitions *definitions)
{
	enum token_kind kind;
	size_t n = *tokens ? token_length(tokens, &kind) : 0;
	return n == 0 || kind != TOKEN_NAME || map_get(&definitions->map, slice_of(tokens, n));
}
