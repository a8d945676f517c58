/* The proof that an environment compiles: a C or a C++ file by each compiler of this machine, by the real llamacc and a daemon of its own, and the same on this machine
 * without them; the objects have to be equal, and the daemon has to say that they are Lambda's. */
#pragma once

#include "setup/scratch.h"

struct smoke_options {
	const char *llama, *llamacc; /* programs */
	const char *region, *bucket, *function;
	const char *profile; /* of AWS; NULL: as the environment says */
	const char *
		cache_dir; /* the user's: what is sent now need not be sent by the first build. NULL, or in use by another daemon: one of its own */
	const char *path;  /* where compilers are looked for, as PATH has it */
	char *const *environment;
};

struct smoke_report {
	unsigned n_compilers, n_good;
	bool own_cache;		 /* the user's was in use */
	int64_t first_object_ms; /* from the first llamacc to its object; 0: there was none */
};

/* A line for each compiler; one that fails is told with its reason. -1: none works, or the daemon doesn't; the reason is that of the first. No compiler at all is
 * no error. */
int smoke_test(
	struct scratch *scratch, const struct smoke_options *options, struct smoke_report *ret, struct error *err);
