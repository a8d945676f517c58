#include "compiler/deptarget.h"

#include <string.h>

#include "base/buf.h"
#include "base/path.h"

/* As both compilers quote. Make reads 2N+1 backslashes and a space as N backslashes and a space in the name; backslashes elsewhere stand for
 * themselves. */
static const char *quote(const char *name, struct arena *arena)
{
	_cleanup_buf_ struct buf text = { 0 };
	size_t backslashes = 0;
	for (const char *c = name; *c; c++) {
		if (*c == ' ' || *c == '\t') {
			for (; backslashes; backslashes--)
				buf_append_char(&text, '\\');
			buf_append_char(&text, '\\');
		} else if (*c == '#') {
			buf_append_char(&text, '\\');
		} else if (*c == '$') {
			buf_append_char(&text, '$');
		}
		backslashes = *c == '\\' ? backslashes + 1 : 0;
		buf_append_char(&text, *c);
	}
	return arena_strndup(arena, buf_str(&text), text.len);
}

const char **deptarget_render(
	enum compiler_family family, const struct deptarget *targets, size_t n, struct arena *arena)
{
	const char **ret = arena_array(arena, const char *, n + 1);
	size_t n_verbatim = 0;
	for (size_t i = 0; i < n; i++) {
		const char *name = targets[i].name;
		/* gcc (libcpp's apply_vpath) drops "./" at the start, of verbatim names too. */
		while (family == FAMILY_GCC && name[0] == '.' && name[1] == '/') {
			name += 2;
			while (*name == '/')
				name++;
		}
		ret[i] = targets[i].quoted ? quote(name, arena) : name;
		/* gcc keeps the verbatim names first: a late one changes places with the first quoted one. */
		if (family == FAMILY_GCC && !targets[i].quoted) {
			const char *late = ret[i];
			ret[i] = ret[n_verbatim];
			ret[n_verbatim++] = late;
		}
	}
	return ret;
}

const char *deptarget_default(const char *input, struct arena *arena)
{
	const char *base = path_basename(input);
	const char *dot = strrchr(base, '.');
	return arena_printf(arena, "%.*s.o", (int)(dot ? (size_t)(dot - base) : strlen(base)), base);
}
