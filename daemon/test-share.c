#include "files/test-scratch.h"

#include <jansson.h>

#include "cache/segment.h"
#include "daemon/daemon_internal.h"
#include "daemon/share.h"
#include "exec/test-cloud.h"
#include "store/pack.h"
#include "store/store_memory.h"

/* One machine after the other, each with a cache and a content store of its own, and one bucket. */
struct fixture {
	struct scratch *scratch;
	struct daemon daemon;
	struct cloud cloud;
	struct share *share;
	struct digest key, kind;
	struct share_waiter waiter;
	unsigned woken;
	struct arena arena;
	struct share_found found;
	const char *endpoint; /* NULL: AWS's own */
	const char *base;  /* base_dir, or NULL */
	enum portable unportable; /* why a result is for this place only */
	const char *depfile, *targets; /* that a compilation gives beside its object, or NULL */
	const char *input; /* what the compilations read */
};

/* In the daemon's stead. */
void daemon_request_ended(struct daemon *daemon)
{
	assert_int_not_equal(daemon->n_requests, 0);
	if (--daemon->n_requests == 0 && daemon->leaving)
		share_flush(daemon->share);
}

static void woke(struct share_waiter *waiter)
{
	container_of(waiter, struct fixture, waiter)->woken++;
}

static void run(struct fixture *f)
{
	uv_run(&f->daemon.loop, UV_RUN_DEFAULT);
}

static void leave_machine(struct fixture *f)
{
	struct daemon *daemon = &f->daemon;
	cloud_cancel_all(&f->cloud);
	run(f);
	share_free(f->share);
	cache_close(daemon->cache);
	view_free(daemon->view);
	store_free(daemon->content);
	stats_free(daemon->stats);
	free(daemon->cache_dir);
}

static void on_machine(struct fixture *f, const char *name, bool write)
{
	struct daemon *daemon = &f->daemon;
	struct error err;
	if (f->share)
		leave_machine(f);
	scratch_mkdir(f->scratch, name);
	daemon->cache_dir = strdup(scratch_path(f->scratch, name));
	daemon->cache = cache_open(daemon->cache_dir, CACHE_READWRITE, NULL);
	daemon->view = view_new();
	daemon->content = store_memory_new();
	daemon->stats = stats_new(scratch_path(f->scratch, "stats"));
	daemon->leaving = false;
	daemon->n_requests = 0;
	struct s3_bucket bucket = { cloud_aws(&f->cloud), "bucket", "" };
	f->share = daemon->share = share_new(daemon, &bucket, f->endpoint ? f->endpoint : "", write, NULL, &err);
	assert_non_null(f->share);
	f->woken = 0;
	list_init(&f->waiter.link);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	scratch_setup((void **)&f->scratch);
	uv_loop_init(&f->daemon.loop);
	cloud_init(&f->cloud, &f->daemon.loop);
	f->waiter.fn = woke;
	f->key = digest_of(slice_str("key"));
	f->kind = digest_of(slice_str("kind"));
	f->input = "input.c";
	scratch_write(f->scratch, f->input, "int x;");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	leave_machine(f);
	cloud_deinit(&f->cloud);
	arena_deinit(&f->arena);
	assert_int_equal(uv_loop_close(&f->daemon.loop), 0);
	scratch_teardown((void **)&f->scratch);
	free(f);
	return 0;
}

static struct share_key shared_key(const struct fixture *f)
{
	return (struct share_key){ f->key, f->base, digest_of(slice_str("below")), 1, f->unportable, NULL };
}

/* A compilation of input.c that gave `object`; its pack is put from here, or is there if `kept`. */
static void publish(struct fixture *f, const char *object, const struct digest *kept)
{
	struct daemon *daemon = &f->daemon;
	struct lookup lookup = { .path = scratch_path(f->scratch, f->input), .kind = LOOKUP_FILE };
	const char *depfile = f->depfile ? f->depfile : "";
	struct cache_output outputs[] = { { .label = "0", .digest = digest_of(slice_str(object)) },
		{ .label = "1", .digest = digest_of(slice_str(depfile)) } };
	struct cache_result result = { .outputs = outputs, .n_outputs = f->depfile ? 2 : 1, .depfile_targets = f->depfile ? f->targets : "" };
	assert_int_equal(view_observe(daemon->view, view_arrive(daemon->view), &lookup, NULL), 0);
	assert_int_equal(store_put(daemon->content, &outputs[0].digest, slice_str(object), NULL), 0);
	assert_int_equal(store_put(daemon->content, &outputs[1].digest, slice_str(depfile), NULL), 0);
	struct share_key key = shared_key(f);
	share_publish(f->share, &key, &(struct lookups){ &lookup, 1 }, &result, kept ? kept : &(struct digest){ 0 });
}

static void publish_all(struct fixture *f)
{
	run(f);
	share_flush(f->share);
	run(f);
	assert_int_equal(f->daemon.n_requests, 0);
}

static int find(struct fixture *f)
{
	arena_deinit(&f->arena);
	f->arena = (struct arena)ARENA_INIT;
	struct share_key key = shared_key(f);
	struct cache_why why;
	return share_find(f->share, view_arrive(f->daemon.view), &key, &f->kind, &f->arena, &f->found, &why);
}

/* Whether the cache and the content store have it then. */
static bool fetch(struct fixture *f, const char *object)
{
	struct daemon *daemon = &f->daemon;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	struct cache_result result;
	struct digest digest = digest_of(slice_str(object));
	assert_int_equal(find(f), 0);
	struct share_key key = shared_key(f);
	share_fetch(f->share, &f->found, &key, &f->waiter);
	assert_int_equal(f->woken, 0);
	run(f);
	assert_int_equal(f->woken, 1);
	assert_int_equal(daemon->n_requests, 0);
	if (cache_get(daemon->cache, daemon->view, view_arrive(daemon->view), &f->key, &f->kind, &arena, &result, NULL,
		    NULL) != 0)
		return false;
	assert_true(digest_equal(&result.outputs[0].digest, &digest));
	return store_get(daemon->content, &digest, &got, NULL) == 0 && slice_equal(buf_slice(&got), slice_str(object));
}

static uint64_t rejected(struct fixture *f)
{
	_cleanup_buf_ struct buf text = { 0 };
	stats_print(f->daemon.stats, NULL, &text);
	const char *at = strstr(buf_str(&text), "\"rejected\": ");
	assert_non_null(at);
	return strtoull(at + strlen("\"rejected\": "), NULL, 10);
}

static void share__a_result_is_had_by_another_machine(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	publish(f, "object", NULL);
	publish_all(f);
	assert_int_equal(cloud_count(&f->cloud, "share/"), 1);
	assert_int_equal(cloud_count(&f->cloud, "pack/"), 1);
	on_machine(f, "b", false);
	assert_true(share_wait(f->share, &f->waiter));
	run(f);
	assert_int_equal(f->woken, 1);
	f->woken = 0;
	assert_false(share_wait(f->share, &f->waiter));
	assert_true(fetch(f, "object"));
	assert_int_equal(f->cloud.gets, 2);
	assert_int_equal(rejected(f), 0);
	/* The segments stay: nothing is fetched again. */
	on_machine(f, "b", false);
	run(f);
	assert_int_equal(find(f), 0);
	assert_int_equal(f->cloud.gets, 2);
}

static void share__what_was_compiled_of_something_else_is_a_miss(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	publish(f, "object", NULL);
	publish_all(f);
	on_machine(f, "b", false);
	run(f);
	scratch_write(f->scratch, "input.c", "long y;");
	assert_int_equal(find(f), CACHE_MISS);
	assert_int_equal(rejected(f), 0);
}

static void share__the_youngest_result_is_the_one(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	publish(f, "old", NULL);
	run(f);
	publish(f, "new", NULL);
	publish_all(f);
	on_machine(f, "b", false);
	run(f);
	assert_true(fetch(f, "new"));
}

/* Compiled below one/ on one machine, wanted below two/ on another, whose other key says nothing. */
static void move_to_another_checkout(struct fixture *f, const char *object)
{
	scratch_mkdir(f->scratch, "one");
	scratch_mkdir(f->scratch, "two");
	scratch_write(f->scratch, "one/input.c", "int x;");
	scratch_write(f->scratch, "two/input.c", "int x;");
	on_machine(f, "a", true);
	f->input = "one/input.c";
	f->base = scratch_path(f->scratch, "one");
	publish(f, object, NULL);
	publish_all(f);
	on_machine(f, "b", false);
	run(f);
	unlink(scratch_path(f->scratch, "one/input.c"));
	f->base = scratch_path(f->scratch, "two");
	f->key = digest_of(slice_str("another key"));
}

static void share__below_a_base_directory_another_checkout_finds_it(void **state)
{
	struct fixture *f = *state;
	move_to_another_checkout(f, "object");
	assert_true(fetch(f, "object"));
	scratch_write(f->scratch, "two/input.c", "long y;");
	assert_int_equal(find(f), CACHE_MISS);
	f->base = NULL;
	assert_int_equal(find(f), CACHE_MISS);
}

static void share__an_object_that_contains_the_path_stays_where_it_is(void **state)
{
	struct fixture *f = *state;
	move_to_another_checkout(f, scratch_path(f->scratch, "one"));
	assert_int_equal(find(f), CACHE_MISS);
	scratch_write(f->scratch, "one/input.c", "int x;");
	f->base = scratch_path(f->scratch, "one");
	f->key = digest_of(slice_str("key"));
	assert_int_equal(find(f), 0);
}

static uint64_t skipped(struct fixture *f, enum portable why)
{
	_cleanup_buf_ struct buf text = { 0 };
	assert_true(share_why_unportable(f->share, &f->key, &text));
	assert_memory_equal(text.ptr, portable_name(why), strlen(portable_name(why)));
	stats_print(f->daemon.stats, NULL, &text);
	json_t *all = json_loads(strchr(text.ptr, '{'), 0, NULL);
	uint64_t n = (uint64_t)json_integer_value(
		json_object_get(json_object_get(json_object_get(all, "share"), "skipped"), portable_name(why)));
	json_decref(all);
	return n;
}

static void share__why_a_result_stays_is_counted_and_remembered(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	f->base = scratch_path(f->scratch, "");
	f->unportable = PORTABLE_OPTION;
	publish(f, "object", NULL);
	publish_all(f);
	assert_int_equal(skipped(f, PORTABLE_OPTION), 1);
	f->unportable = PORTABLE;
	publish(f, scratch_path(f->scratch, "x.c"), NULL);
	publish_all(f);
	assert_int_equal(skipped(f, PORTABLE_CONTAINS_PATH), 1);
	f->depfile = "x.o: no dependency file of a compiler's";
	f->targets = "=x.o";
	publish(f, "object", NULL);
	publish_all(f);
	assert_int_equal(skipped(f, PORTABLE_DEPFILE), 1);
}

/* `depfile` names one/ or two/ by their places; in the arena. */
static const char *placed(struct fixture *f, const char *name)
{
	const char *place = scratch_path(f->scratch, name);
	return arena_printf(&f->arena, "%s/x.o: %s/input.c \\\n %s/a/rather/long/name/of/a/header/that/is/on/a/line/of/its/own.h\n", place, place, place);
}

static void share__a_dependency_file_moves_with_its_checkout(void **state)
{
	struct fixture *f = *state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	f->depfile = arena_strdup(&arena, placed(f, "one"));
	f->targets = arena_printf(&arena, "=%s/x.o", scratch_path(f->scratch, "one"));
	move_to_another_checkout(f, "object");
	assert_true(fetch(f, "object"));
	struct cache_result result;
	assert_int_equal(cache_get(f->daemon.cache, f->daemon.view, view_arrive(f->daemon.view), &f->key, &f->kind, &arena, &result, NULL, NULL), 0);
	assert_int_equal(store_get(f->daemon.content, &result.outputs[1].digest, &got, NULL), 0);
	assert_string_equal(buf_str(&got), placed(f, "two"));
	assert_string_equal(result.depfile_targets, arena_printf(&arena, "=%s/x.o", scratch_path(f->scratch, "two")));
	assert_string_equal(result.base, "");
}

static void share__who_only_reads_puts_nothing(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", false);
	publish(f, "object", NULL);
	publish_all(f);
	assert_int_equal(f->cloud.puts, 0);
}

static void share__a_pack_that_a_worker_has_put_is_not_put_again(void **state)
{
	struct fixture *f = *state;
	struct digest object = digest_of(slice_str("object"));
	struct pack_writer *writer = pack_writer_new();
	_cleanup_buf_ struct buf pack = { 0 };
	char key[128];
	pack_writer_add(writer, &object, slice_str("object"));
	pack_writer_end(writer, &pack);
	pack_writer_free(writer);
	struct digest digest = digest_of(buf_slice(&pack));
	pack_key(digest.hash, key);
	cloud_put(&f->cloud, key, buf_slice(&pack));
	on_machine(f, "a", true);
	publish(f, "object", &digest);
	publish_all(f);
	assert_int_equal(f->cloud.puts, 1);
	on_machine(f, "b", false);
	run(f);
	assert_true(fetch(f, "object"));
}

static void share__who_leaves_publishes_what_waits(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	publish(f, "object", NULL);
	f->daemon.leaving = true;
	run(f);
	assert_int_equal(f->daemon.n_requests, 0);
	assert_int_equal(cloud_count(&f->cloud, "share/"), 1);
}

static void share__a_bucket_of_that_name_elsewhere_is_another(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	publish(f, "object", NULL);
	publish_all(f);
	on_machine(f, "a", false);
	run(f);
	assert_int_equal(find(f), 0);
	cloud_lose(&f->cloud, "share/");
	on_machine(f, "a", false);
	run(f);
	assert_int_equal(find(f), 0); /* known since */
	f->endpoint = "https://s3.example";
	on_machine(f, "a", false);
	run(f);
	assert_int_equal(find(f), CACHE_MISS);
}

/* One machine publishes a result, objects come to harm, and another machine begins. */
static void publish_and_harm(struct fixture *f, void (*harm)(struct cloud *cloud, const char *prefix), const char *prefix)
{
	on_machine(f, "a", true);
	publish(f, "object", NULL);
	publish_all(f);
	harm(&f->cloud, prefix);
	on_machine(f, "b", false);
}

static void share__a_damaged_segment_is_rejected_once(void **state)
{
	struct fixture *f = *state;
	publish_and_harm(f, cloud_damage, "share/");
	assert_true(share_wait(f->share, &f->waiter));
	run(f);
	assert_int_equal(f->woken, 1);
	assert_int_equal(find(f), CACHE_MISS);
	assert_int_equal(rejected(f), 1);
}

static void share__a_damaged_pack_is_rejected(void **state)
{
	struct fixture *f = *state;
	publish_and_harm(f, cloud_damage, "pack/");
	run(f);
	assert_false(fetch(f, "object"));
	assert_int_equal(rejected(f), 1);
}

static void share__a_pack_without_what_the_result_names_is_rejected(void **state)
{
	struct fixture *f = *state;
	struct pack_writer *writer = pack_writer_new();
	_cleanup_buf_ struct buf pack = { 0 };
	char key[128];
	pack_writer_end(writer, &pack);
	pack_writer_free(writer);
	struct digest digest = digest_of(buf_slice(&pack));
	pack_key(digest.hash, key);
	cloud_put(&f->cloud, key, buf_slice(&pack));
	on_machine(f, "a", true);
	publish(f, "object", &digest);
	publish_all(f);
	on_machine(f, "b", false);
	run(f);
	assert_false(fetch(f, "object"));
	assert_int_equal(rejected(f), 1);
}

static void share__a_pack_that_has_expired_is_a_miss(void **state)
{
	struct fixture *f = *state;
	publish_and_harm(f, cloud_lose, "pack/");
	run(f);
	assert_false(fetch(f, "object"));
	assert_int_equal(rejected(f), 0);
}

static void share__a_segment_of_the_far_future_hides_none(void **state)
{
	struct fixture *f = *state;
	struct segment_writer *writer = segment_writer_new();
	_cleanup_buf_ struct buf object = { 0 };
	char key[128], hex[DIGEST_HEX_CHARS + 1];
	segment_writer_end(writer, &object);
	segment_writer_free(writer);
	struct digest digest = digest_of(buf_slice(&object));
	digest_hex(&digest, hex);
	snprintf(key, sizeof(key), "share/ffffffffffff-%s", hex);
	cloud_put(&f->cloud, key, buf_slice(&object));
	on_machine(f, "b", false);
	run(f);
	on_machine(f, "a", true);
	publish(f, "object", NULL);
	publish_all(f);
	on_machine(f, "b", false);
	run(f);
	assert_int_equal(find(f), 0);
}

static void share__a_bucket_that_is_ill_holds_nobody_up(void **state)
{
	struct fixture *f = *state;
	f->cloud.fail_lists = 1;
	on_machine(f, "a", true);
	assert_true(share_wait(f->share, &f->waiter));
	run(f);
	assert_int_equal(f->woken, 1);
	assert_false(share_wait(f->share, &f->waiter));
	f->cloud.fail_puts = 2;
	publish(f, "one", NULL);
	publish_all(f);
	publish(f, "two", NULL);
	publish_all(f);
	assert_int_equal(cloud_count(&f->cloud, "share/"), 0);
}

static void share__who_leaves_waits_for_no_answer(void **state)
{
	struct fixture *f = *state;
	f->cloud.hold_lists = true;
	on_machine(f, "a", false);
	assert_true(share_wait(f->share, &f->waiter));
	assert_int_equal(f->daemon.n_requests, 0);
	f->daemon.leaving = true;
	share_tick(f->share);
	assert_int_equal(f->woken, 1);
	f->cloud.hold_lists = false;
}

static void share__who_does_not_wait_any_more_is_not_called(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	assert_true(share_wait(f->share, &f->waiter));
	share_leave(&f->waiter);
	publish(f, "object", NULL);
	publish_all(f);
	on_machine(f, "b", false);
	run(f);
	assert_int_equal(find(f), 0);
	struct share_key key = shared_key(f);
	share_fetch(f->share, &f->found, &key, &f->waiter);
	share_leave(&f->waiter);
	run(f);
	assert_int_equal(f->woken, 0);
	assert_int_equal(f->daemon.n_requests, 0);
}

/* The sanitizer judges. */
static void share__segments_on_their_way_are_forgotten_with_it(void **state)
{
	struct fixture *f = *state;
	on_machine(f, "a", true);
	for (int i = 0; i < 12; i++) {
		publish(f, "object", NULL);
		publish_all(f);
		cloud_put(&f->cloud,
			"share/000000000001-0000000000000000000000000000000000000000000000000000000000000000",
			slice_str("no"));
	}
	f->cloud.s3_delay_ms = 1;
	on_machine(f, "b", false);
	while (f->cloud.gets == 0)
		uv_run(&f->daemon.loop, UV_RUN_ONCE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(share__a_result_is_had_by_another_machine),
		TEST(share__what_was_compiled_of_something_else_is_a_miss),
		TEST(share__the_youngest_result_is_the_one),
		TEST(share__below_a_base_directory_another_checkout_finds_it),
		TEST(share__why_a_result_stays_is_counted_and_remembered),
		TEST(share__a_dependency_file_moves_with_its_checkout),
		TEST(share__an_object_that_contains_the_path_stays_where_it_is),
		TEST(share__who_only_reads_puts_nothing),
		TEST(share__a_pack_that_a_worker_has_put_is_not_put_again),
		TEST(share__who_leaves_publishes_what_waits),
		TEST(share__a_bucket_of_that_name_elsewhere_is_another),
		TEST(share__a_damaged_segment_is_rejected_once),
		TEST(share__a_damaged_pack_is_rejected),
		TEST(share__a_pack_without_what_the_result_names_is_rejected),
		TEST(share__a_pack_that_has_expired_is_a_miss),
		TEST(share__a_segment_of_the_far_future_hides_none),
		TEST(share__a_bucket_that_is_ill_holds_nobody_up),
		TEST(share__who_leaves_waits_for_no_answer),
		TEST(share__who_does_not_wait_any_more_is_not_called),
		TEST(share__segments_on_their_way_are_forgotten_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
