/* From an account to an environment that compiles. Every step looks at what is there, and does what is missing: run again it changes nothing, interrupted
 * anywhere and run again it completes. What it does it tells on stdout (setup/talk.h). */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum {
	BOOTSTRAP_MEMORY_MB = 1769, /* one whole processor */
	BOOTSTRAP_TIMEOUT_S = 300,
	BOOTSTRAP_STORAGE_MB = 4096,
};

/* Dollars for a GB and a month in us-east-1; elsewhere it is some tenths more. */
#define ECR_DOLLARS 0.10
#define S3_DOLLARS  0.023

struct bootstrap_options {
	const char *name;	      /* of the environment; NULL: the default one */
	const char *region, *profile; /* of AWS; NULL: as its own tools would find them */
	const char *architecture;     /* NULL: this machine's, and no other will do */
	unsigned memory_mb;	      /* 0: as it is, at first BOOTSTRAP_MEMORY_MB or what the account allows */
	bool join;		      /* only use what somebody else has made */
	bool yes, dry_run;
	const char *llama, *llamacc, *runtime, *runner, *interposer; /* programs */
	const char *config_file;				     /* that the environment is written to */
	const char *cache_dir;					     /* of the daemon that will use it */
	char *const *environment;				     /* environ */
};

enum bootstrap_outcome { BOOTSTRAP_DECLINED = 1 };

/* 0: it compiles (or, with dry_run, the plan was shown). -1: `err` says what failed and what to do; what was made so far stays. */
int bootstrap(const struct bootstrap_options *options, struct error *err);

/* The most memory that a refusal of more (ERANGE of aws/functions.h) names, in MB; 0: it names none. */
unsigned bootstrap_allowed_memory(const char *refusal);
