#include "compiler/depfile.h"

#include <string.h>

#include "compiler/strlist.h"

/* The two styles in which the compilers break lines (gcc: make_write of libcpp/mkdeps.cc; clang: outputDependencyFile of DependencyFile.cpp). */
enum style { STYLE_GCC, STYLE_CLANG };
#define GCC_COLUMNS   72
#define CLANG_COLUMNS 75

struct scanner {
	const char *at, *end;
};

/* The length of a line continuation at `at`: a backslash and a newline; else 0. */
static size_t continuation(const char *at, const char *end)
{
	if (end - at >= 2 && at[0] == '\\' && at[1] == '\n')
		return 2;
	return end - at >= 3 && at[0] == '\\' && at[1] == '\r' && at[2] == '\n' ? 3 : 0;
}

/* Skip blanks and continued lines. */
static void skip_blanks(struct scanner *s)
{
	while (s->at < s->end) {
		size_t n = *s->at == ' ' || *s->at == '\t' ? 1 : continuation(s->at, s->end);
		if (!n)
			return;
		s->at += n;
	}
}

/* The next word as it is written, up to an unquoted blank, a newline or a continuation; empty at the end of the line. */
static struct slice next_word(struct scanner *s)
{
	skip_blanks(s);
	const char *start = s->at;
	size_t backslashes = 0;
	for (; s->at < s->end; s->at++) {
		char c = *s->at;
		if (c == '\n' || c == '\r' || (c == '\\' && continuation(s->at, s->end)) || ((c == ' ' || c == '\t') && backslashes % 2 == 0))
			break;
		backslashes = c == '\\' ? backslashes + 1 : 0;
	}
	return slice_of(start, (size_t)(s->at - start));
}

/* The name that a word stands for; returns its length. `to` has room for the word, or is NULL. */
static size_t unquote(struct slice word, char *to)
{
	size_t n = 0, i = 0;
	if (!memchr(word.ptr, '\\', word.len) && !memchr(word.ptr, '$', word.len)) {
		if (to)
			memcpy(to, word.ptr, word.len);
		return word.len;
	}
	while (i < word.len) {
		size_t backslashes = 0;
		while (i + backslashes < word.len && word.ptr[i + backslashes] == '\\')
			backslashes++;
		i += backslashes;
		char c = i < word.len ? word.ptr[i] : '\0';
		if (c == ' ' || c == '\t' || (backslashes && i == word.len && backslashes % 2 == 0))
			backslashes /= 2; /* make's rule for blanks: 2N+1 backslashes are N and the blank */
		else if (c == '#' && backslashes)
			backslashes--;
		else if (c == '$' && i + 1 < word.len && word.ptr[i + 1] == '$')
			i++;
		for (; backslashes; backslashes--, n++) {
			if (to)
				to[n] = '\\';
		}
		if (i < word.len) {
			if (to)
				to[n] = word.ptr[i];
			n++;
			i++;
		}
	}
	return n;
}

static bool ends_line(const struct scanner *s)
{
	return s->at == s->end || *s->at == '\n' || *s->at == '\r';
}

int depfile_parse(struct slice text, struct arena *arena, struct depfile *ret, struct error *err)
{
	struct strlist inputs = { 0 };
	struct scanner s = { text.ptr, text.ptr + text.len };

	if (text.len && memchr(text.ptr, '\0', text.len))
		return error_set(err, 0, "a dependency file with a NUL byte");
	while (s.at < s.end) {
		bool targets = true, any = false;
		for (;;) {
			struct slice word = next_word(&s);
			if (!word.len)
				break;
			any = true;
			if (targets) {
				targets = word.ptr[word.len - 1] != ':';
				continue;
			}
			char *name = arena_alloc(arena, word.len + 1);
			name[unquote(word, name)] = '\0';
			strlist_add(&inputs, arena, name);
		}
		if (any && targets)
			return error_set(err, 0, "a dependency file with a line that is no rule");
		if (s.at < s.end)
			s.at++;
	}
	*ret = (struct depfile){ inputs.items, inputs.n };
	return 0;
}

/* The words of the first rule: `stored` must begin with the targets; returns what follows the rule (its newline first), or an empty slice. */
static struct slice split_rule(struct slice stored, const char *const *targets, size_t n_targets, struct arena *arena,
	struct slice **words_ret, size_t *n_ret)
{
	struct scanner s = { stored.ptr, stored.ptr + stored.len };
	for (size_t i = 0; i < n_targets; i++) {
		size_t n = strlen(targets[i]);
		if (i > 0)
			skip_blanks(&s);
		if ((size_t)(s.end - s.at) < n || memcmp(s.at, targets[i], n) != 0)
			return slice_of(NULL, 0);
		s.at += n;
	}
	if (s.at == s.end || *s.at != ':')
		return slice_of(NULL, 0);
	s.at++;

	size_t n = 0, capacity = 64;
	struct slice *words = arena_array(arena, struct slice, capacity);
	for (struct slice word; (word = next_word(&s)).len;) {
		if (n == capacity) {
			struct slice *more = arena_array(arena, struct slice, capacity * 2);
			memcpy(more, words, n * sizeof(*words));
			words = more;
			capacity *= 2;
		}
		words[n++] = word;
	}
	if (s.at == s.end || !ends_line(&s))
		return slice_of(NULL, 0);
	*words_ret = words;
	*n_ret = n;
	return slice_of(s.at, (size_t)(s.end - s.at));
}

static void render_gcc(
	const char *const *targets, size_t n_targets, const struct slice *words, size_t n, struct buf *to)
{
	size_t column = 0;
	for (size_t i = 0; i < n_targets + n; i++) {
		struct slice word = i < n_targets ? slice_str(targets[i]) : words[i - n_targets];
		if (i == n_targets) {
			buf_append_char(to, ':');
			column++;
		}
		if (column) {
			if (column + word.len > GCC_COLUMNS) {
				buf_append_str(to, " \\\n");
				column = 0;
			}
			buf_append_char(to, ' ');
			column++;
		}
		column += word.len;
		buf_append_slice(to, word);
	}
	if (n == 0)
		buf_append_char(to, ':');
}

static void render_clang(
	const char *const *targets, size_t n_targets, const struct slice *words, size_t n, struct buf *to)
{
	size_t columns = 0;
	for (size_t i = 0; i < n_targets; i++) {
		size_t length = strlen(targets[i]);
		if (columns == 0) {
			columns = length;
		} else if (columns + length + 2 > CLANG_COLUMNS) {
			columns = length + 2;
			buf_append_str(to, " \\\n  ");
		} else {
			columns += length + 1;
			buf_append_char(to, ' ');
		}
		buf_append_str(to, targets[i]);
	}
	buf_append_char(to, ':');
	columns++;
	for (size_t i = 0; i < n; i++) {
		size_t length = unquote(words[i], NULL); /* clang counts before it quotes */
		if (columns + length + 1 + 2 > CLANG_COLUMNS) {
			buf_append_str(to, " \\\n ");
			columns = 2;
		}
		buf_append_char(to, ' ');
		buf_append_slice(to, words[i]);
		columns += length + 1;
	}
}

/* What a stored text is rendered anew for. */
struct rendering {
	const char *const *targets;
	size_t n_targets;
	const struct slice *words;
	size_t n;
	struct slice rest;
};

static void render(enum style style, const struct rendering *to_render, struct buf *to)
{
	if (style == STYLE_GCC)
		render_gcc(to_render->targets, to_render->n_targets, to_render->words, to_render->n, to);
	else
		render_clang(to_render->targets, to_render->n_targets, to_render->words, to_render->n, to);
	buf_append_slice(to, to_render->rest);
}

/* Which compiler wrote `stored`, which `old` stands for, shows in the text: its style reproduces every byte. When both do (no line is broken), they must
 * also agree on `new`; NULL: that is the old one. */
static int render_alike(struct slice stored, const struct rendering *old, const struct rendering *new, struct buf *ret)
{
	_cleanup_buf_ struct buf found = { 0 };
	bool any = false;
	for (enum style style = STYLE_GCC; style <= STYLE_CLANG && !(any && !new); style++) {
		_cleanup_buf_ struct buf again = { 0 };
		render(style, old, &again);
		if (!slice_equal(buf_slice(&again), stored))
			continue;
		if (new) {
			buf_reset(&again);
			render(style, new, &again);
		}
		if (any && !slice_equal(buf_slice(&again), buf_slice(&found)))
			return DEPFILE_UNSURE;
		any = true;
		buf_reset(&found);
		buf_append_slice(&found, buf_slice(&again));
	}
	if (!any)
		return DEPFILE_UNSURE;
	buf_append_slice(ret, buf_slice(&found));
	return 0;
}

/* The first rule of `stored`, and the others as they are. */
static int take_apart(struct slice stored, const char *const *targets, size_t n_targets, struct arena *arena, struct rendering *ret)
{
	struct slice *words;
	size_t n;
	if (n_targets == 0 || stored.len == 0)
		return DEPFILE_UNSURE;
	struct slice rest = split_rule(stored, targets, n_targets, arena, &words, &n);
	*ret = (struct rendering){ targets, n_targets, words, n, rest };
	return rest.len ? 0 : DEPFILE_UNSURE;
}

int depfile_retarget(struct slice stored, const char *const *old_targets, size_t n_old, const char *const *new_targets,
	size_t n_new, struct buf *ret)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct rendering old, new;
	if (n_new == 0 || take_apart(stored, old_targets, n_old, &arena, &old) != 0)
		return DEPFILE_UNSURE;
	new = old;
	new.targets = new_targets;
	new.n_targets = n_new;
	return render_alike(stored, &old, old_targets == new_targets && n_old == n_new ? NULL : &new, ret);
}

/* A path as it is written, below `to` if it was below `from`. */
static struct slice move(struct slice word, const char *from, const char *to, struct arena *arena)
{
	size_t n = strlen(from), n_to = strlen(to);
	if (word.len < n || memcmp(word.ptr, from, n) != 0 || (word.len > n && word.ptr[n] != '/' && word.ptr[n] != ':'))
		return word;
	char *moved = arena_alloc(arena, n_to + word.len - n + 1);
	memcpy(moved, to, n_to);
	memcpy(moved + n_to, word.ptr + n, word.len - n);
	return slice_of(moved, n_to + word.len - n);
}

/* The phony rules of -MP, each on a line of its own, and the newline before them. */
static struct slice move_rules(struct slice rest, const char *from, const char *to, struct arena *arena)
{
	_cleanup_buf_ struct buf moved = { 0 };
	while (rest.len > 0) {
		const char *newline = memchr(rest.ptr, '\n', rest.len);
		size_t n = newline ? (size_t)(newline - rest.ptr) : rest.len;
		buf_append_slice(&moved, move(slice_of(rest.ptr, n), from, to, arena));
		if (newline)
			buf_append_char(&moved, '\n');
		rest = slice_of(rest.ptr + n + !!newline, rest.len - n - !!newline);
	}
	return slice_of(arena_strndup(arena, buf_str(&moved), moved.len), moved.len);
}

int depfile_rebase(struct slice stored, const char *const *old_targets, size_t n_old, const char *const *new_targets, size_t n_new, const char *from,
	const char *to, struct buf *ret)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct rendering old, new;
	if (n_new == 0 || take_apart(stored, old_targets, n_old, &arena, &old) != 0)
		return DEPFILE_UNSURE;
	struct slice *words = arena_array(&arena, struct slice, old.n + 1);
	for (size_t i = 0; i < old.n; i++)
		words[i] = move(old.words[i], from, to, &arena);
	new = (struct rendering){ new_targets, n_new, words, old.n, move_rules(old.rest, from, to, &arena) };
	return render_alike(stored, &old, &new, ret);
}
