#include "compiler/watch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* A name that is no file: it isn't there, or is a directory. */
struct vain {
	bool is_directory;
	char name[];
};

static void *must_calloc(size_t size)
{
	void *object = calloc(1, size);
	if (!object)
		abort();
	return object;
}

void watches_init(struct watches *watches, struct view *view)
{
	*watches = (struct watches){ .view = view };
}

static void clear(struct watch *watch)
{
	const struct map_entry *e;
	for (size_t at = 0; (e = map_next(&watch->names, &at));)
		free(e->value);
	map_deinit(&watch->names);
}

void watches_deinit(struct watches *watches)
{
	const struct map_entry *e;
	for (size_t at = 0; (e = map_next(&watches->by_path, &at));) {
		clear(e->value);
		free(e->value);
	}
	map_deinit(&watches->by_path);
}

uint64_t watches_moment(struct watches *watches)
{
	return ++watches->clock;
}

static struct watch *get_watch(struct watches *watches, struct slice path)
{
	struct watch *watch = map_get(&watches->by_path, path);
	if (watch)
		return watch;
	watch = must_calloc(sizeof(*watch) + path.len + 1);
	memcpy(watch->path, path.ptr, path.len);
	watch->path_len = (uint32_t)path.len;
	map_put(&watches->by_path, slice_of(watch->path, path.len), watch);
	return watch;
}

/* Whether all the names are as they are kept. */
static bool is_unchanged(struct watches *watches, uint64_t since, struct watch *watch)
{
	_cleanup_buf_ struct buf path = { 0 };
	const struct map_entry *e;
	for (size_t at = 0; (e = map_next(&watch->names, &at));) {
		buf_reset(&path);
		const struct vain *vain = e->value;
		buf_printf(&path, "%s/%s", watch->path_len == 1 ? "" : watch->path, vain->name);
		if (vain->is_directory ? view_stat(watches->view, since, path.ptr, true).kind != VIEW_DIRECTORY
				       : !view_is_absent(watches->view, since, path.ptr))
			return false;
	}
	return true;
}

void watch_check(struct watches *watches, uint64_t since, struct watch *watch)
{
	if (watch->checked_at >= since)
		return;
	watch->checked_at = since;
	uint64_t state = view_names_state(watches->view, since, &watch->place, watch->path);
	if (state != 0 && state == watch->state)
		return;
	bool was_directory = watch->is_directory;
	watch->is_directory = state != 0 || view_stat(watches->view, since, watch->path, true).kind == VIEW_DIRECTORY;
	watch->state = state;
	if (was_directory == watch->is_directory && is_unchanged(watches, since, watch))
		return;
	watch->changed_at = watches_moment(watches);
	clear(watch);
}

static void remember(struct watch *watch, struct slice name, bool is_directory)
{
	struct vain *vain = map_get(&watch->names, name);
	if (!vain) {
		vain = must_calloc(sizeof(*vain) + name.len + 1);
		memcpy(vain->name, name.ptr, name.len);
		map_put(&watch->names, slice_of(vain->name, name.len), vain);
	}
	vain->is_directory = is_directory;
}

bool watches_absent(struct watches *watches, uint64_t since, const char *path, size_t len, bool strictly, struct watch **ret)
{
	const char *slash = memrchr(path, '/', len);
	assert(slash);
	struct slice directory = slice_of(path, slash == path ? 1 : (size_t)(slash - path));
	struct slice name = slice_of(slash + 1, (size_t)(path + len - slash - 1));
	struct watch *watch = get_watch(watches, directory);
	watch_check(watches, since, watch);
	if (!watch->is_directory) {
		/* Either it isn't there, which is watched further up, or something else is in its place. */
		if (directory.len == 1 || !watches_absent(watches, since, watch->path, watch->path_len, true, ret))
			*ret = watch;
		return true;
	}
	const struct vain *vain = map_get(&watch->names, name);
	if (!vain || (vain->is_directory && strictly)) {
		bool is_directory = false;
		if (slice_equal_str(name, ".."))
			return false;
		if (!view_is_absent(watches->view, since, path)) {
			is_directory = !strictly && view_stat(watches->view, since, path, true).kind == VIEW_DIRECTORY;
			if (!is_directory)
				return false;
		}
		remember(watch, name, is_directory);
	}
	*ret = watch;
	return true;
}
