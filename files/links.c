#include "files/links.h"

#include "base/arena.h"
#include "base/buf.h"

enum { LINKS_LIMIT = 40 }; /* the kernel's */

struct digest links_digest(const char *path, links_target_fn *target_of, void *ctx)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf done = { 0 }, text = { 0 };
	int n_links = 0;
	const char *rest = path, *own = "";
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
		bool last = rest[strspn(rest, "/")] == '\0';
		rest = arena_printf(&arena, "%s/%s", target, rest);
		if (last && n_links == 1)
			own = arena_strdup(&arena, target);
		done.len = *target == '/' ? 0 : parent;
		done.ptr[done.len] = '\0';
	}
	if (n_links == 0)
		return (struct digest){ 0 };
	buf_append(&text, own, strlen(own) + 1);
	buf_append_str(&text, done.len ? done.ptr : "/");
	return digest_of(buf_slice(&text));
}
