/* A home whose commands are run and observed, a bucket with all that they looked up, and jobs made of them. For tests only; what can't be done fails the
 * test. */
#pragma once

#include "base/arena.h"
#include "files/lookups.h"
#include "files/snapshot.h"
#include "files/view.h"
#include "runtime/packs.h"
#include "runtime/test-bucket.h"
#include "wire/job.pb-c.h"
#include "worker/runner.h"

struct test_home {
	struct arena arena;
	char dir[64]; /* "/tmp/llama-home-XXXXXX": the project is in there */
	struct view *view;
	struct snapshot *snapshot;
	struct store *files, *directories;
	struct runner *runner;
	const char *interposer;
	struct test_bucket *bucket;
	bool bucket_taken; /* somebody else frees it */
	struct map stored; /* hashes of what is in the bucket */
	struct pack_name packs[64];
	size_t n_packs;
	struct lookups lookups; /* of the last command; in the arena */
};

void test_home_init(struct test_home *home, const char *template, const char *runner, const char *interposer);
void test_home_free(struct test_home *home);

/* A path in the project, in the arena. */
const char *test_home_path(struct test_home *home, const char *name);
void test_home_write(struct test_home *home, const char *name, const char *text);

/* A command as everybody gets it, with its outputs, which are paths in the project. */
struct test_command {
	const char *const *argv;
	const char *const *env; /* NULL: just a PATH */
	const char *cwd;	/* NULL: the project */
	const char *outputs[8]; /* names in the project */
	unsigned columns, rows;
	int64_t timeout_ms;
};

/* Run it at home; what it looked up enters the snapshot. Its outputs stay where they are. */
void test_home_run(struct test_home *home, const struct test_command *command, struct run_result *ret);
void test_home_mirror(struct test_home *home, const char *path);

/* The snapshot's root, after what is new of it was put into the bucket as a pack. */
struct digest test_home_root(struct test_home *home);

/* The command as a job on `root`. Overlays and the like may be added; all in the arena. */
Job__Job *test_home_job(struct test_home *home, const struct test_command *command, const struct digest *root);
