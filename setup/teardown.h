/* Taking an environment away: nothing of it is left, in the account or in the configuration. Whatever is gone already is passed over, so it can be run again. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct teardown_options {
	const char *name;	      /* of the environment; NULL: the default one */
	const char *region, *profile; /* of AWS; NULL: as its own tools would find them */
	bool is_configured;	      /* the configuration names this environment's function */
	const char *bucket;	      /* and this bucket; or NULL */
	bool yes;
	const char *llama; /* program */
	const char *config_file;
	char *const *environment; /* environ */
};

enum teardown_outcome { TEARDOWN_DECLINED = 1 };

/* The configuration loses the environment, unless its bucket is another one that exists: then it speaks of an environment elsewhere, called the same.
 * 0: nothing is left. -1: `err` says what is, and why. */
int teardown(const struct teardown_options *options, struct error *err);
