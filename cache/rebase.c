#include "cache/rebase.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/path.h"
#include "cache/manifest.h"

static bool is_of_name(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || (c && strchr("_-.+~@%", c));
}

/* Whether a path begins at `at` of `text`, and its first `n` characters are whole names: "/src" is neither in "/src2" nor in "/old/src". */
static bool is_whole(const char *text, const char *at, size_t n)
{
	if (is_of_name(at[n]))
		return false;
	while (at > text && is_of_name(at[-1]))
		at--;
	return at == text || at[-1] != '/';
}

void text_rebase(const char *text, const char *from, const char *to, struct buf *ret)
{
	size_t n = strlen(from);
	const char *rest = text;
	for (const char *found; (found = strstr(rest, from)); rest = found + n) {
		buf_append(ret, rest, (size_t)(found - rest));
		buf_append_str(ret, is_whole(text, found, n) ? to : from);
	}
	buf_append_str(ret, rest);
}

static const char *move(const char *path, const char *from, const char *to, struct arena *arena)
{
	return path_is_below(path, from) ? arena_printf(arena, "%s%s", to, path + strlen(from)) : path;
}

int manifest_rebase(struct slice head, struct slice names, const char *from, const char *to, struct buf *head_ret, struct buf *names_ret,
	struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct manifest manifest;
	if (manifest_decode(head, &arena, &manifest, err) < 0 || manifest_decode_names(names, &manifest, err) < 0)
		return -1;
	size_t n = manifest.found.n;
	for (size_t i = 0; i < manifest.n_absences; i++)
		n += manifest.absences[i].n;
	struct lookups all = { arena_array(&arena, struct lookup, n + 1), 0 };
	for (size_t i = 0; i < manifest.found.n; i++)
		all.v[all.n++] = manifest.found.v[i];
	for (size_t i = 0; i < manifest.n_absences; i++) {
		struct lookups absent = manifest_absent_lookups(&manifest.absences[i], &arena);
		for (size_t k = 0; k < absent.n; k++)
			all.v[all.n++] = absent.v[k];
	}
	for (size_t i = 0; i < all.n; i++)
		all.v[i].path = move(all.v[i].path, from, to, &arena);
	lookups_sort(&all);
	return manifest_encode(manifest.result, &all, head_ret, names_ret, err);
}
