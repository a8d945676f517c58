#include "files/links.h"

#include "base/arena.h"
#include "base/buf.h"

enum { LINKS_LIMIT = 40 }; /* the kernel's */

struct digest links_digest(const char *path, links_target_fn *target_of, void *ctx)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf done = { 0 }, text = { 0 };
	int n_links = 0;
	const char *rest = path, *own = NULL;
	for (;;) {
		rest += strspn(rest, "/");
		struct slice name = slice_of(rest, strcspn(rest, "/"));
		rest += name.len;
		if (name.len == 0)
			break;
		if (slice_equal_str(name, "."))
			continue;
		if (slice_equal_str(name, "..")) {
			while (done.len > 0 && done.ptr[--done.len] != '/')
				;
			if (done.ptr)
				done.ptr[done.len] = '\0';
			continue;
		}
		size_t parent = done.len;
		buf_append_char(&done, '/');
		buf_append_slice(&done, name);
		const char *target = target_of(ctx, done.ptr);
		if (!target)
			continue;
		if (++n_links > LINKS_LIMIT)
			break;
		/* What is left always ends with what is left of `path`: the first link with nothing behind it is its
		 * last component. */
		if (!own && rest[strspn(rest, "/")] == '\0')
			own = arena_strdup(&arena, target);
		rest = arena_printf(&arena, "%s/%s", target, rest);
		done.len = *target == '/' ? 0 : parent;
		done.ptr[done.len] = '\0';
	}
	if (n_links == 0)
		return (struct digest){ 0 };
	if (own)
		buf_append_str(&text, own);
	buf_append_char(&text, '\0');
	buf_append_str(&text, done.len ? done.ptr : "/");
	return digest_of(buf_slice(&text));
}
