/* The targets of a dependency file, as the compilers write them. */
#pragma once

#include "compiler/command.h"

struct deptarget {
	const char *name;
	bool quoted; /* -MQ, or a default: make's special characters are quoted; -MT is written as it is */
};

/* The texts that will stand before the colon, in order; `n` of them, NULL-terminated. */
const char **deptarget_render(
	enum compiler_family family, const struct deptarget *targets, size_t n, struct arena *arena);

/* The target when nothing names one: the object's name in the cwd (even for -S). */
const char *deptarget_default(const char *input, struct arena *arena);
