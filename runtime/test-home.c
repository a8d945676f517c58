#include "runtime/test-home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/path.h"
#include "files/home.h"
#include "store/pack.h"
#include "store/store_memory.h"
#include "store/tree.h"
#include "wire/job.h"
#include "worker/lookup_log.h"

static const char *const plain_env[] = { "PATH=/usr/bin:/bin", NULL };

void test_home_init(struct test_home *home, const char *template, const char *runner, const char *interposer)
{
	struct error err;
	*home = (struct test_home){ .interposer = interposer,
		.view = view_new(),
		.files = home_store_new(),
		.directories = store_memory_new(),
		.bucket = test_bucket_new() };
	snprintf(home->dir, sizeof(home->dir), "%s", template);
	assert_non_null(mkdtemp(home->dir));
	home->snapshot = snapshot_new(home->view, home->files);
	struct runner_options options = {
		.program = runner, .interposer = interposer, .tmpdir = arena_printf(&home->arena, "%s/.tmp", home->dir)
	};
	assert_int_equal(file_make_dirs(options.tmpdir, 0700, &err), 0);
	home->runner = runner_new(&options, &err);
	if (!home->runner)
		fail_msg("%s", err.text);
}

void test_home_free(struct test_home *home)
{
	struct error err;
	runner_free(home->runner);
	assert_int_equal(file_remove_tree(AT_FDCWD, home->dir, &err), 0);
	snapshot_free(home->snapshot);
	view_free(home->view);
	store_free(home->files);
	store_free(home->directories);
	if (!home->bucket_taken)
		bucket_free(&home->bucket->bucket);
	map_deinit(&home->stored);
	arena_deinit(&home->arena);
}

const char *test_home_path(struct test_home *home, const char *name)
{
	return name[0] == '/' ? name : arena_printf(&home->arena, "%s/%s", home->dir, name);
}

void test_home_write(struct test_home *home, const char *name, const char *text)
{
	struct error err;
	const char *path = test_home_path(home, name);
	if (file_make_dirs(path_dirname(&home->arena, path), 0755, &err) < 0 ||
		file_replace(path, slice_str(text), 0644, &err) < 0)
		fail_msg("%s", err.text);
}

void test_home_mirror(struct test_home *home, const char *path)
{
	struct error err = { 0 };
	int outcome = snapshot_add_toolchain(home->snapshot, view_arrive(home->view), path, &err);
	if (outcome != 0)
		fail_msg("%s: %d %s", path, outcome, err.text);
}

void test_home_run(struct test_home *home, const struct test_command *command, struct run_result *ret)
{
	struct error err;
	struct run_command run = { .argv = command->argv,
		.env = command->env ? command->env : plain_env,
		.cwd = command->cwd ? command->cwd : home->dir,
		.umask = 022,
		.tty = command->columns > 0,
		.columns = command->columns,
		.rows = command->rows };
	if (runner_run(home->runner, &run, ret, &err) < 0)
		fail_msg("%s", err.text);
	struct lookup_log log;
	const char *outputs[9] = { NULL };
	for (size_t i = 0; i < 8 && command->outputs[i]; i++)
		outputs[i] = test_home_path(home, command->outputs[i]);
	struct lookup_log_filter filter = { .outputs = outputs,
		.private_dir = arena_printf(&home->arena, "%s/.tmp", home->dir),
		.program = command->argv[0],
		.interposer = home->interposer };
	if (lookup_log_parse(slice_of(ret->trace, ret->trace_bytes), &filter, &home->arena, &log, &err) < 0)
		fail_msg("%s", err.text);
	home->lookups = log.lookups;
	for (size_t i = 0; i < log.lookups.n; i++) {
		const struct lookup *lookup = &log.lookups.v[i];
		if (lookup->kind == LOOKUP_SPECIAL)
			continue;
		uint64_t since = view_arrive(home->view);
		int outcome = lookup->kind == LOOKUP_LISTING
				      ? snapshot_add_listing(home->snapshot, since, lookup->path, &err)
				      : snapshot_add_toolchain(home->snapshot, since, lookup->path, &err);
		if (outcome != 0 && outcome != SNAPSHOT_SPECIAL)
			fail_msg("%s: %d %s", lookup->path, outcome, err.text);
	}
	/* libc's own. */
	test_home_mirror(home, "/etc/ld.so.cache");
	test_home_mirror(home, command->cwd ? command->cwd : home->dir);
}

/* What is below a Directory, itself included, into the pack. */
static void store_below(struct test_home *home, const struct digest *digest, struct pack_writer *writer);

static void store_blob(
	struct test_home *home, struct store *from, const struct digest *digest, struct pack_writer *writer)
{
	_cleanup_buf_ struct buf bytes = { 0 }, stored = { 0 };
	struct digest *key = arena_new(&home->arena, struct digest);
	struct error err = { 0 };
	*key = *digest;
	if (digest->size_bytes == 0 || map_put(&home->stored, digest_slice(key), key))
		return;
	if (store_get(from, digest, &bytes, &err) != 0)
		fail_msg("a blob of the snapshot: %s", err.text);
	if (digest->size_bytes < PACK_ALONE_BYTES) {
		pack_writer_add(writer, digest, buf_slice(&bytes));
		return;
	}
	char name[128];
	pack_alone_write(buf_slice(&bytes), &stored);
	pack_key_alone(digest, name);
	test_bucket_put(home->bucket, name, buf_slice(&stored));
}

static void store_below(struct test_home *home, const struct digest *digest, struct pack_writer *writer)
{
	_cleanup_buf_ struct buf message = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct tree_entry *entries;
	struct error err;
	size_t n;
	if (digest->size_bytes == 0 || map_get(&home->stored, digest_slice(digest)))
		return;
	store_blob(home, home->directories, digest, writer);
	assert_int_equal(store_get(home->directories, digest, &message, &err), 0);
	assert_int_equal(tree_parse_directory(buf_slice(&message), &arena, &entries, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		if (entries[i].kind == TREE_FILE)
			store_blob(home, home->files, &entries[i].digest, writer);
		else if (entries[i].kind == TREE_DIRECTORY)
			store_below(home, &entries[i].digest, writer);
	}
}

struct digest test_home_root(struct test_home *home)
{
	struct digest root;
	struct error err;
	char key[128];
	_cleanup_buf_ struct buf pack = { 0 };
	/* What commands found of their own making is gone again. */
	assert_true(snapshot_refresh(home->snapshot, view_arrive(home->view), &err) >= 0);
	assert_int_equal(tree_commit(snapshot_tree(home->snapshot), home->directories, &root, &err), 0);
	struct pack_writer *writer = pack_writer_new();
	store_below(home, &root, writer);
	if (pack_writer_count(writer) > 0) {
		pack_writer_end(writer, &pack);
		struct digest digest = digest_of(buf_slice(&pack));
		pack_key(digest.hash, key);
		test_bucket_put(home->bucket, key, buf_slice(&pack));
		struct pack_name *name = &home->packs[home->n_packs++];
		memcpy(name->hash, digest.hash, sizeof(name->hash));
		name->size_bytes = digest.size_bytes;
	}
	pack_writer_free(writer);
	return root;
}

Job__Job *test_home_job(struct test_home *home, const struct test_command *command, const struct digest *root)
{
	struct arena *arena = &home->arena;
	Job__Job *job = arena_new(arena, Job__Job);
	job__job__init(job);
	job->version = JOB_VERSION;
	job->id = (ProtobufCBinaryData){ 4, (uint8_t *)arena_strdup(arena, "id 1") };
	job->umask = 022;
	job->columns = command->columns;
	job->rows = command->rows;
	job->timeout_ms = command->timeout_ms;
	job->root = arena_new(arena, Reapi__Digest);
	reapi__digest__init(job->root);
	job->root->hash = arena_alloc(arena, DIGEST_HEX_CHARS + 1);
	digest_hex(root, job->root->hash);
	job->root->size_bytes = root->size_bytes;
	job->bucket = arena_new(arena, Job__Bucket);
	job__bucket__init(job->bucket);
	job->bucket->name = arena_strdup(arena, "bucket");

	Reapi__Command *to = job->command = arena_new(arena, Reapi__Command);
	reapi__command__init(to);
	while (command->argv[to->n_arguments])
		to->n_arguments++;
	to->arguments = (char **)command->argv;
	to->working_directory = arena_strdup(arena, command->cwd ? command->cwd : home->dir);
	const char *const *env = command->env ? command->env : plain_env;
	while (env[to->n_environment_variables])
		to->n_environment_variables++;
	to->environment_variables = arena_array(
		arena, Reapi__Command__EnvironmentVariable *, to->n_environment_variables + 1);
	for (size_t i = 0; i < to->n_environment_variables; i++) {
		Reapi__Command__EnvironmentVariable *variable = arena_new(arena, Reapi__Command__EnvironmentVariable);
		reapi__command__environment_variable__init(variable);
		variable->name = arena_strndup(arena, env[i], strcspn(env[i], "="));
		variable->value = arena_strdup(arena, strchr(env[i], '=') + 1);
		to->environment_variables[i] = variable;
	}
	to->output_paths = arena_array(arena, char *, 8);
	for (; to->n_output_paths < 8 && command->outputs[to->n_output_paths]; to->n_output_paths++)
		to->output_paths[to->n_output_paths] = (char *)test_home_path(
			home, command->outputs[to->n_output_paths]);

	job->packs = arena_array(arena, Job__Pack *, home->n_packs + 1);
	for (; job->n_packs < home->n_packs; job->n_packs++) {
		Job__Pack *pack = job->packs[job->n_packs] = arena_new(arena, Job__Pack);
		job__pack__init(pack);
		pack->hash = (ProtobufCBinaryData){ DIGEST_HASH_BYTES, home->packs[job->n_packs].hash };
		pack->size_bytes = home->packs[job->n_packs].size_bytes;
	}
	return job;
}
