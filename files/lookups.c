#include "files/lookups.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
	[LOOKUP_ABSENT] = "absent",
	[LOOKUP_FILE] = "file",
	[LOOKUP_DIRECTORY] = "directory",
	[LOOKUP_LISTING] = "listing",
	[LOOKUP_LINK] = "link",
	[LOOKUP_SPECIAL] = "special",
};

const char *lookup_kind_name(enum lookup_kind kind)
{
	assert(kind >= LOOKUP_ABSENT && kind <= LOOKUP_SPECIAL);
	return kind_names[kind];
}

int lookup_compare(const void *a, const void *b)
{
	const struct lookup *one = a, *two = b;
	int order = strcmp(one->path, two->path);
	return order != 0 ? order : (int)one->kind - (int)two->kind;
}

void lookups_sort(struct lookups *lookups)
{
	if (lookups->n == 0)
		return;
	qsort(lookups->v, lookups->n, sizeof(*lookups->v), lookup_compare);
	struct lookup *last = lookups->v;
	for (struct lookup *l = last + 1; l < lookups->v + lookups->n; l++)
		if (lookup_compare(last, l) != 0 || !digest_equal(&last->digest, &l->digest))
			*++last = *l;
	lookups->n = (size_t)(last - lookups->v) + 1;
}
