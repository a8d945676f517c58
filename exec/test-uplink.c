#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "event/work.h"
#include "exec/test-cloud.h"
#include "exec/uplink.h"
#include "store/pack.h"
#include "store/store_memory.h"
#include "store/tree.h"

static uv_loop_t loop;
static struct cloud cloud;
static char directory[64];
static struct store *directories, *files;
static struct tree *tree;
static struct uplink *uplink;
static unsigned notes;

/* What a waiter was told. */
struct told {
	struct uplink_waiter waiter;
	unsigned times;
	int outcome;
	size_t n_packs;
};

static struct told told[1000];

static void take_note(void *ctx, const char *text)
{
	notes++;
}

static struct uplink *open_uplink(const char *bucket)
{
	struct uplink_options options = {
		.bucket = { cloud_aws(&cloud), bucket, "" },
		.endpoint = "",
		.directories = directories,
		.files = files,
		.directory = directory,
		.note = take_note,
	};
	struct error err;
	struct uplink *ret = uplink_new(&loop, &options, &err);
	assert_non_null(ret);
	return ret;
}

static int set_up(void **state)
{
	uv_loop_init(&loop);
	cloud_init(&cloud, &loop);
	strcpy(directory, "/tmp/llama-test-uplink-XXXXXX");
	assert_non_null(mkdtemp(directory));
	directories = store_memory_new();
	files = store_memory_new();
	tree = tree_new();
	notes = 0;
	memset(told, 0, sizeof(told));
	uplink = open_uplink("bucket");
	return 0;
}

static int tear_down(void **state)
{
	uplink_stop(uplink);
	uv_run(&loop, UV_RUN_DEFAULT);
	uplink_free(uplink);
	tree_free(tree);
	store_free(directories);
	store_free(files);
	cloud_deinit(&cloud);
	file_remove_tree(AT_FDCWD, directory, NULL);
	return uv_loop_close(&loop);
}

static void begin_anew(const char *bucket)
{
	uplink_free(uplink);
	uplink = open_uplink(bucket);
}

/* As a machine that has never sent anything. */
static void forget_state(void)
{
	uplink_free(uplink);
	file_remove_tree(AT_FDCWD, directory, NULL);
	uplink = open_uplink("bucket");
}

static struct digest add_bytes(const char *path, struct slice bytes)
{
	struct error err;
	struct digest digest = digest_of(bytes);
	assert_int_equal(store_put(files, &digest, bytes, &err), 0);
	tree_set_file(tree, path, &digest, false, 1);
	return digest;
}

static struct digest add(const char *path, const char *text)
{
	return add_bytes(path, slice_str(text));
}

/* Bytes that don't compress. */
static struct digest add_noise(const char *path, size_t size, uint32_t seed)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	char *at = buf_reserve(&bytes, size);
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		at[i] = (char)(seed >> 24);
	}
	bytes.len = size;
	return add_bytes(path, buf_slice(&bytes));
}

static struct digest commit(void)
{
	struct digest root;
	struct error err;
	assert_int_equal(tree_commit(tree, directories, &root, &err), 0);
	return root;
}

static void hear(struct told *t, int outcome)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	t->times++;
	t->outcome = outcome;
	if (outcome == 0)
		uplink_packs(uplink, &t->waiter, &arena, &t->n_packs);
}

static void on_told(struct uplink_waiter *waiter, int outcome)
{
	hear(container_of(waiter, struct told, waiter), outcome);
}

static int ensure(unsigned i, struct digest root)
{
	told[i] = (struct told){ .waiter.fn = on_told };
	int outcome = uplink_ensure(uplink, &told[i].waiter, &root, NULL, 0);
	if (outcome != UPLINK_LATER)
		hear(&told[i], outcome);
	return outcome;
}

static void run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

static void run_until_puts(unsigned n)
{
	while (cloud.puts < n)
		uv_run(&loop, UV_RUN_ONCE);
}

static void uplink__sends_all_below_a_root_once(void **state)
{
	add("usr/include/a.h", "a");
	add("usr/include/b.h", "b");
	add("src/c.h", "");
	struct digest root = commit();
	assert_int_equal(ensure(0, root), UPLINK_LATER);
	assert_int_equal(told[0].times, 0);
	run();
	assert_int_equal(told[0].times, 1);
	assert_int_equal(told[0].outcome, 0);
	assert_int_equal(told[0].n_packs, 1);
	assert_int_equal(cloud.puts, 1);
	assert_int_equal(ensure(1, root), 0);
	assert_int_equal(cloud.puts, 1);
}

static void uplink__what_gathers_during_a_put_travels_in_the_next(void **state)
{
	cloud.hold_puts = true;
	for (unsigned i = 0; i < 100; i++) {
		char path[32];
		snprintf(path, sizeof(path), "src/%u.h", i);
		add(path, path);
		assert_int_equal(ensure(i, commit()), UPLINK_LATER);
	}
	run_until_puts(1);
	cloud_release_puts(&cloud);
	run();
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(told[i].times, 1);
		assert_int_equal(told[i].outcome, 0);
	}
	assert_int_equal(cloud.puts, 2);
	assert_int_equal(told[0].n_packs, 1);
	assert_int_equal(told[99].n_packs, 2);
}

static void uplink__a_thousand_waiters_share_one_way(void **state)
{
	add("src/a.h", "a");
	struct digest root = commit();
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(ensure(i, root), UPLINK_LATER);
	for (unsigned i = 0; i < 1000; i += 3)
		uplink_leave(&told[i].waiter);
	run();
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(told[i].times, i % 3 != 0);
	assert_int_equal(cloud.puts, 1);
}

static void uplink__large_blobs_stand_alone_and_full_packs_go_side_by_side(void **state)
{
	char path[32];
	for (unsigned i = 0; i < 9; i++) {
		snprintf(path, sizeof(path), "usr/lib/%u.so", i);
		add_noise(path, 6 << 20, i + 1);
	}
	struct digest alone = add_noise("usr/bin/cc1", PACK_ALONE_BYTES, 77);
	cloud.hold_puts = true;
	assert_int_equal(ensure(0, commit()), UPLINK_LATER);
	run_until_puts(4);
	cloud_release_puts(&cloud);
	run();
	assert_int_equal(told[0].outcome, 0);
	assert_int_equal(told[0].n_packs, 3);
	assert_int_equal(cloud_count(&cloud, "pack/"), 3);
	assert_int_equal(cloud_count(&cloud, "blob/"), 1);
	char key[128];
	pack_key_alone(&alone, key);
	assert_int_equal(cloud_count(&cloud, key), 1);
	assert_int_equal(cloud.most_puts, UPLINK_PARALLEL);
	assert_true(cloud.largest_put <= UPLINK_PACK_BYTES + (6 << 20) + 4096);
}

static void uplink__a_file_that_home_lost_is_told_to_those_who_need_it(void **state)
{
	add("src/a.h", "a");
	struct digest whole = commit();
	struct digest lost = digest_of(slice_str("lost"));
	tree_set_file(tree, "src/lost.h", &lost, false, 1);
	struct digest torn = commit();
	assert_int_equal(ensure(0, torn), UPLINK_LATER);
	assert_int_equal(ensure(1, whole), UPLINK_LATER);
	run();
	assert_int_equal(told[0].times, 1);
	assert_int_equal(told[0].outcome, UPLINK_MISSING);
	assert_true(digest_equal(&told[0].waiter.missing, &lost));
	assert_int_equal(told[1].outcome, 0);
	/* It came back. */
	add("src/lost.h", "lost");
	assert_int_equal(ensure(2, torn), UPLINK_LATER);
	run();
	assert_int_equal(told[2].outcome, 0);
}

static void uplink__nothing_is_sent_when_all_of_it_is_lost(void **state)
{
	add("a.h", "a");
	cloud.hold_puts = true;
	assert_int_equal(ensure(0, commit()), UPLINK_LATER);
	run_until_puts(1);
	struct digest lost = digest_of(slice_str("lost"));
	tree_set_file(tree, "lost.h", &lost, false, 1);
	struct digest root = commit();
	assert_int_equal(ensure(1, root), UPLINK_LATER);
	store_memory_clear(directories);
	cloud_release_puts(&cloud);
	run();
	assert_int_equal(told[0].outcome, 0);
	assert_int_equal(told[1].outcome, UPLINK_MISSING);
	assert_int_equal(cloud.puts, 1);
	assert_int_equal(ensure(1, root), UPLINK_MISSING);
	assert_true(digest_equal(&told[1].waiter.missing, &root));
}

static void uplink__a_failed_put_is_told_and_tried_again_by_the_next(void **state)
{
	add("src/a.h", "a");
	struct digest root = commit();
	cloud.fail_puts = 1;
	ensure(0, root);
	ensure(1, root);
	run();
	assert_int_equal(told[0].outcome, -1);
	assert_string_equal(told[0].waiter.err.text, "S3 is ill: Input/output error");
	assert_int_equal(told[1].outcome, -1);
	assert_int_equal(ensure(0, root), UPLINK_LATER);
	run();
	assert_int_equal(told[0].outcome, 0);
}

static void uplink__remembers_over_a_restart(void **state)
{
	add("src/a.h", "a");
	add_noise("usr/bin/cc1", PACK_ALONE_BYTES, 1);
	struct digest root = commit();
	ensure(0, root);
	run();
	unsigned puts = cloud.puts;
	begin_anew("bucket");
	assert_int_equal(ensure(1, root), 0);
	assert_int_equal(told[1].n_packs, 1);
	assert_int_equal(cloud.puts, puts);
	begin_anew("another");
	assert_int_equal(ensure(2, root), UPLINK_LATER);
	run();
	begin_anew("another");
	assert_int_equal(ensure(3, root), 0);
}

static void uplink__what_another_machine_has_sent_is_asked_for_and_not_sent(void **state)
{
	add("src/a.h", "a");
	add_noise("usr/bin/cc1", PACK_ALONE_BYTES, 1);
	struct digest root = commit();
	ensure(0, root);
	run();
	assert_int_equal(cloud.puts, 2);
	assert_int_equal(cloud.found, 0);
	forget_state();
	ensure(1, root);
	run();
	assert_int_equal(told[1].outcome, 0);
	assert_int_equal(cloud.found, 1);
	assert_int_equal(cloud.puts, 3); /* the pack, which is small */
	/* A bucket that doesn't say is sent to. */
	cloud.refuse_heads = true;
	forget_state();
	ensure(2, root);
	run();
	assert_int_equal(told[2].outcome, 0);
	assert_int_equal(cloud.puts, 5);
	assert_int_equal(cloud.exists, 3);
}

/* Whatever stands in the state file: it is read for what it is worth, and all goes on. */
static void uplink__a_damaged_state_costs_a_put_and_no_more(void **state)
{
	add("src/a.h", "a");
	struct digest root = commit();
	ensure(0, root);
	run();
	_cleanup_buf_ struct buf path = { 0 }, good = { 0 };
	struct error err;
	buf_printf(&path, "%s/known", directory);
	struct stat st;
	assert_int_equal(stat(path.ptr, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(file_read(path.ptr, 1 << 20, &good, &err), 0);
	for (size_t cut = 0; cut < good.len; cut += 7) {
		assert_int_equal(file_replace(path.ptr, slice_of(good.ptr, cut), 0600, &err), 0);
		begin_anew("bucket");
		assert_int_equal(ensure(1, root), UPLINK_LATER);
		run();
		assert_int_equal(told[1].outcome, 0);
	}
	for (size_t at = 0; at < good.len; at += 5) {
		good.ptr[at] ^= 0x10;
		assert_int_equal(file_replace(path.ptr, buf_slice(&good), 0600, &err), 0);
		good.ptr[at] ^= 0x10;
		begin_anew("bucket");
		ensure(1, root);
		run();
		assert_int_equal(told[1].outcome, 0);
	}
	assert_int_equal(cloud_count(&cloud, "pack/"), 1);
	assert_true(cloud.exists > 0);
}

static void uplink__what_is_too_old_is_sent_again(void **state)
{
	add("src/a.h", "a");
	struct digest root = commit();
	ensure(0, root);
	run();
	uplink_free(uplink);
	struct uplink_options options = {
		.bucket = { cloud_aws(&cloud), "bucket", "" },
		.endpoint = "",
		.directories = directories,
		.files = files,
		.directory = directory,
		.max_age_s = -1,
	};
	struct error err;
	uplink = uplink_new(&loop, &options, &err);
	assert_int_equal(ensure(1, root), UPLINK_LATER);
	run();
}

static void uplink__what_a_worker_misses_is_written_over(void **state)
{
	struct digest a = add("src/a.h", "a");
	struct digest root = commit();
	ensure(0, root);
	run();
	uint64_t as_of = told[0].waiter.as_of;
	uplink_forget(uplink, &a, 1, as_of);
	assert_int_equal(ensure(1, root), UPLINK_LATER);
	run();
	assert_int_equal(told[1].outcome, 0);
	assert_int_equal(cloud.overwritten, 1);
	/* Another worker says so too, late: it has been mended since. */
	uplink_forget(uplink, &a, 1, as_of);
	assert_int_equal(ensure(2, root), 0);
	/* Of what was never known there is nothing to forget. */
	struct digest other = digest_of(slice_str("other"));
	uplink_forget(uplink, &other, 1, UINT64_MAX);
	uplink_forget(uplink, &a, 1, told[2].waiter.as_of);
	begin_anew("bucket");
	assert_int_equal(ensure(3, root), UPLINK_LATER);
	run();
}

static struct digest grow(unsigned i)
{
	char path[32];
	snprintf(path, sizeof(path), "src/%u.h", i);
	add(path, path);
	return commit();
}

static void uplink__small_packs_are_merged(void **state)
{
	struct digest root;
	for (unsigned i = 0; i < 40; i++) {
		root = grow(i);
		ensure(i, root);
		run();
		assert_int_equal(told[i].outcome, 0);
		assert_in_range(told[i].n_packs, 1, UPLINK_SMALL_PACKS + 1);
		/* In the middle the uplink begins anew, and merges what an earlier one sent. */
		if (i == 20)
			begin_anew("bucket");
	}
	assert_int_equal(notes, 0);
	begin_anew("bucket");
	assert_int_equal(ensure(0, root), 0);
	assert_in_range(told[0].n_packs, 1, UPLINK_SMALL_PACKS + 1);
}

static size_t kept_packs(char *name)
{
	_cleanup_buf_ struct buf path = { 0 };
	buf_printf(&path, "%s/packs", directory);
	_cleanup_closedir_ DIR *dir = opendir(path.ptr);
	size_t n = 0;
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (name)
			snprintf(name, 256, "%s/%s", path.ptr, e->d_name);
	}
	return n;
}

static void uplink__only_packs_that_may_be_merged_are_kept(void **state)
{
	for (unsigned i = 0; i < 9; i++) {
		ensure(i, grow(i));
		run();
	}
	assert_int_equal(kept_packs(NULL), 1);
	_cleanup_buf_ struct buf path = { 0 };
	struct error err;
	buf_printf(&path, "%s/packs/left-over", directory);
	assert_int_equal(file_replace(path.ptr, slice_str("x"), 0600, &err), 0);
	begin_anew("bucket");
	assert_int_equal(kept_packs(NULL), 1);
}

static void uplink__a_damaged_kept_pack_prevents_one_merge(void **state)
{
	char name[256];
	struct error err;
	ensure(0, grow(0));
	run();
	assert_int_equal(kept_packs(name), 1);
	assert_int_equal(file_replace(name, slice_str("damaged"), 0600, &err), 0);
	for (unsigned i = 1; i < 20; i++) {
		struct digest root = grow(i);
		ensure(i, root);
		run();
		assert_int_equal(told[i].outcome, 0);
	}
	assert_int_equal(notes, 1);
}

static void uplink__a_merge_that_cannot_be_sent_costs_nobody_anything(void **state)
{
	for (unsigned i = 0; i < UPLINK_SMALL_PACKS + 4; i++) {
		if (i == UPLINK_SMALL_PACKS) /* this pack goes, and the merge after it doesn't */
			cloud.hold_puts = true;
		ensure(i, grow(i));
		if (i == UPLINK_SMALL_PACKS) {
			run_until_puts(UPLINK_SMALL_PACKS + 1);
			cloud.fail_puts = 1;
			cloud_release_puts(&cloud);
		}
		run();
		assert_int_equal(told[i].outcome, 0);
	}
	assert_int_equal(notes, 1);
}

static void uplink__begins_anew_before_it_knows_too_much(void **state)
{
	struct digest root;
	for (unsigned i = 0; i < 30; i++) {
		char path[32];
		snprintf(path, sizeof(path), "lib/%u", i % 2);
		add_noise(path, PACK_ALONE_BYTES, i);
		root = grow(i);
		ensure(i, root);
		run();
		assert_int_equal(told[i].outcome, 0);
	}
	assert_int_equal(ensure(0, root), 0);
}

static void uplink__stops_in_the_middle(void **state)
{
	add_noise("usr/bin/cc1", PACK_ALONE_BYTES, 1);
	add("src/a.h", "a");
	struct digest root = commit();
	cloud.hold_puts = true;
	ensure(0, root);
	run_until_puts(1);
	uplink_leave(&told[0].waiter);
	uplink_stop(uplink);
	run();
	assert_int_equal(told[0].times, 0);
	assert_int_equal(ensure(1, root), -1);
}

static void uplink__files_beside_the_root_go_too(void **state)
{
	add("src/a.h", "a");
	struct digest root = commit(), extra = add("src/big.c", "source");
	told[0] = (struct told){ .waiter.fn = on_told };
	assert_int_equal(uplink_ensure(uplink, &told[0].waiter, &root, &extra, 1), UPLINK_LATER);
	run();
	assert_int_equal(told[0].outcome, 0);
	assert_int_equal(uplink_ensure(uplink, &told[0].waiter, &root, &extra, 1), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(uplink__sends_all_below_a_root_once),
		TEST(uplink__what_gathers_during_a_put_travels_in_the_next),
		TEST(uplink__a_thousand_waiters_share_one_way),
		TEST(uplink__large_blobs_stand_alone_and_full_packs_go_side_by_side),
		TEST(uplink__a_file_that_home_lost_is_told_to_those_who_need_it),
		TEST(uplink__nothing_is_sent_when_all_of_it_is_lost),
		TEST(uplink__a_failed_put_is_told_and_tried_again_by_the_next),
		TEST(uplink__remembers_over_a_restart),
		TEST(uplink__what_another_machine_has_sent_is_asked_for_and_not_sent),
		TEST(uplink__a_damaged_state_costs_a_put_and_no_more),
		TEST(uplink__what_is_too_old_is_sent_again),
		TEST(uplink__what_a_worker_misses_is_written_over),
		TEST(uplink__small_packs_are_merged),
		TEST(uplink__only_packs_that_may_be_merged_are_kept),
		TEST(uplink__a_damaged_kept_pack_prevents_one_merge),
		TEST(uplink__a_merge_that_cannot_be_sent_costs_nobody_anything),
		TEST(uplink__begins_anew_before_it_knows_too_much),
		TEST(uplink__stops_in_the_middle),
		TEST(uplink__files_beside_the_root_go_too),
	};
	work_set_threads(4);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
