#include "client/warnings.h"

#include <stdbool.h>
#include <string.h>

#include "base/slice.h"

static bool is_listed(struct slice name, const char *list)
{
	for (const char *at = list;; at++) {
		size_t n = strcspn(at, ",");
		if (n && slice_equal(name, slice_of(at, n)))
			return true;
		at += n;
		if (!*at)
			return false;
	}
}

static bool is_filtered(const char *arg, const char *list)
{
	struct slice name = slice_str(arg);
	if (!slice_has_prefix(name, "-W"))
		return false;
	name = slice_of(name.ptr + 2, name.len - 2);
	if (is_listed(name, list))
		return true;
	return slice_has_prefix(name, "no-") && is_listed(slice_of(name.ptr + 3, name.len - 3), list);
}

size_t warnings_filter(const char **argv, size_t argc, const char *list)
{
	if (!list || !*list || argc == 0)
		return argc;
	size_t kept = 1;
	for (size_t i = 1; i < argc; i++)
		if (strncmp(argv[i - 1], "-X", 2) == 0 || !is_filtered(argv[i], list))
			argv[kept++] = argv[i];
	argv[kept] = NULL;
	return kept;
}
