#include "daemon/texts.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"

enum { TEXT_LIMIT_BYTES = 64 << 20 };

struct text {
	struct digest digest; /* the key */
	struct textscan scan;
};

struct texts {
	struct arena arena;
	struct map map; /* digest → struct text, in the arena */
	struct buf bytes; /* of the file being read; kept for its memory */
};

struct texts *texts_new(void)
{
	struct texts *texts = calloc(1, sizeof(*texts));
	if (!texts)
		abort();
	return texts;
}

void texts_free(struct texts *texts)
{
	if (!texts)
		return;
	buf_deinit(&texts->bytes);
	map_deinit(&texts->map);
	arena_deinit(&texts->arena);
	free(texts);
}

const struct textscan *texts_get(struct texts *texts, const char *path, const struct digest *digest, struct error *err)
{
	struct text *text = map_get(&texts->map, digest_slice(digest));
	if (text)
		return &text->scan;
	buf_reset(&texts->bytes);
	if (file_read(path, TEXT_LIMIT_BYTES, &texts->bytes, err) < 0)
		return NULL;
	struct digest now = digest_of(buf_slice(&texts->bytes));
	if (!digest_equal(&now, digest)) {
		error_set(err, 0, "%s changes while it is read", path);
		return NULL;
	}
	text = arena_new(&texts->arena, struct text);
	text->digest = *digest;
	/* Programs are looked up too; they are no texts, whatever strings they hold. */
	if (!slice_has_prefix(buf_slice(&texts->bytes), "\177ELF"))
		textscan(buf_slice(&texts->bytes), &texts->arena, &text->scan);
	map_put(&texts->map, digest_slice(&text->digest), text);
	return &text->scan;
}
