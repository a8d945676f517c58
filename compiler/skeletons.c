#include "compiler/skeletons.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"

enum {
	TEXT_LIMIT_BYTES = 64 << 20,
	KEPT_LIMIT_BYTES = 128 << 20, /* of skeletons, roughly */
};

struct kept {
	struct digest digest; /* the key */
	struct skeleton skeleton;
};

struct skeletons {
	struct arena arena; /* everything kept */
	struct map map;	    /* digest → struct kept */
	size_t size_bytes;
	struct view *view;
};

struct skeletons *skeletons_new(struct view *view)
{
	struct skeletons *skeletons = calloc(1, sizeof(*skeletons));
	if (!skeletons)
		abort();
	skeletons->view = view;
	return skeletons;
}

static void forget_everything(struct skeletons *skeletons)
{
	map_deinit(&skeletons->map);
	arena_deinit(&skeletons->arena);
	skeletons->size_bytes = 0;
}

void skeletons_free(struct skeletons *skeletons)
{
	if (!skeletons)
		return;
	forget_everything(skeletons);
	free(skeletons);
}

static size_t size_of(const struct skeleton *s)
{
	size_t size = sizeof(struct kept) + s->n_items * sizeof(s->items[0]) + s->n_macros * sizeof(s->macros[0]);
	for (size_t i = 0; i < s->n_items; i++)
		size += strlen(s->items[i].name) + 16;
	for (size_t i = 0; i < s->n_macros; i++)
		size += strlen(s->macros[i].name) + strlen(s->macros[i].body) + 48;
	return size;
}

static int read_text(const char *path, const struct digest *digest, struct buf *ret, struct error *err)
{
	if (file_read(path, TEXT_LIMIT_BYTES, ret, err) < 0)
		return -1;
	struct digest now = digest_of(buf_slice(ret));
	return digest_equal(&now, digest) ? 0 : error_set(err, 0, "%s changes while it is read", path);
}

const struct skeleton *skeletons_get(struct skeletons *skeletons, const char *path, const struct digest *digest, struct error *err)
{
	struct kept *kept = map_get(&skeletons->map, digest_slice(digest));
	if (kept)
		return &kept->skeleton;
	_cleanup_buf_ struct buf read = { 0 };
	struct slice text;
	if (!view_text(skeletons->view, digest, &text)) {
		if (read_text(path, digest, &read, err) < 0)
			return NULL;
		text = buf_slice(&read);
	}
	kept = arena_new(&skeletons->arena, struct kept);
	kept->digest = *digest;
	/* Programs and libraries are looked up too; they are no texts, whatever strings they hold. */
	if (!slice_has_prefix(text, "\177ELF"))
		skeleton_make(text, &skeletons->arena, &kept->skeleton);
	skeletons->size_bytes += size_of(&kept->skeleton);
	map_put(&skeletons->map, digest_slice(&kept->digest), kept);
	return &kept->skeleton;
}

void skeletons_keep_bounds(struct skeletons *skeletons)
{
	if (skeletons->size_bytes > KEPT_LIMIT_BYTES)
		forget_everything(skeletons);
}
