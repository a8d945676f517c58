#include "files/test-scratch.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "event/work.h"
#include "files/hashing.h"

/* One who asks for the digests of files, as a step that is done again. */
struct asker {
	struct hashing_waiter waiter;
	struct hashing *hashing;
	struct view *view;
	uint64_t since;
	const char *paths[2];
	struct digest digests[2];
	struct error err; /* of the last question that failed */
	int n_asked;	  /* how often the step was done */
	bool answered;	  /* the last one was good: what came of it is true */
};

struct fixture {
	struct scratch *scratch;
	uv_loop_t loop;
	struct view *view;
	struct hashing *hashing;
	struct asker a, b;
	sem_t gate; /* of the only thread, while it is held */
};

/* Where the clock was asked: a file was opened there and then. */
static atomic_ulong reader;
/* What happens to a file that was opened, before its first byte is read. */
static const char *_Atomic append_to;

static int64_t clock_of_readings(void)
{
	atomic_store(&reader, pthread_self());
	const char *path = atomic_exchange(&append_to, NULL);
	if (path) {
		int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (write(fd, "more", 4) != 4)
			abort();
		close(fd);
	}
	return scratch_late();
}

static void ask(struct asker *asker)
{
	struct error err;
	asker->n_asked++;
	hashing_begin(asker->hashing);
	for (size_t i = 0; i < 2 && asker->paths[i]; i++)
		if (view_digest(asker->view, asker->since, asker->paths[i], &asker->digests[i], NULL, &err) != 0)
			asker->err = err;
	asker->answered = !hashing_wait(asker->hashing, &asker->waiter);
}

static void ask_again(struct hashing_waiter *waiter)
{
	ask(container_of(waiter, struct asker, waiter));
}

static void begin_to_ask(struct fixture *f, struct asker *asker, const char *path, const char *other)
{
	*asker = (struct asker){ .hashing = f->hashing, .view = f->view, .since = view_arrive(f->view), .paths = { path, other } };
	list_init(&asker->waiter.link);
	asker->waiter.fn = ask_again;
	ask(asker);
}

static void wait_at_gate(void *ctx)
{
	sem_wait(&((struct fixture *)ctx)->gate);
}

static void nothing(void *ctx)
{
}

/* Until let_go() no reading begins. */
static void hold(struct fixture *f)
{
	work_start(&f->loop, wait_at_gate, nothing, f);
}

static void run(struct fixture *f)
{
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
}

static void let_go(struct fixture *f)
{
	sem_post(&f->gate);
	run(f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	scratch_setup((void **)&f->scratch);
	uv_loop_init(&f->loop);
	sem_init(&f->gate, 0, 0);
	f->view = view_new();
	view_set_clock(f->view, clock_of_readings);
	f->hashing = hashing_new(&f->loop, f->view);
	atomic_store(&reader, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	hashing_free(f->hashing);
	view_free(f->view);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	sem_destroy(&f->gate);
	scratch_teardown((void **)&f->scratch);
	free(f);
	return 0;
}

static const char *large_text(struct fixture *f, char c)
{
	char *text = arena_alloc(&f->scratch->arena, VIEW_LARGE_BYTES + 1);
	memset(text, c, VIEW_LARGE_BYTES);
	text[VIEW_LARGE_BYTES] = '\0';
	return text;
}

static const char *write_large(struct fixture *f, const char *path, char c)
{
	return scratch_write(f->scratch, path, large_text(f, c));
}

static void assert_digest(struct digest digest, const char *text)
{
	struct digest expected = digest_of(slice_str(text));
	assert_true(digest_equal(&digest, &expected));
}

static unsigned long hashes(const struct fixture *f)
{
	return view_counters(f->view).hashes;
}

static void hashing__a_large_file_is_read_on_another_thread(void **state)
{
	struct fixture *f = *state;
	begin_to_ask(f, &f->a, write_large(f, "large", 'a'), NULL);
	assert_false(f->a.answered);
	assert_int_equal(f->a.err.code, EAGAIN);
	run(f);
	assert_true(f->a.answered);
	assert_int_equal(f->a.n_asked, 2);
	assert_digest(f->a.digests[0], large_text(f, 'a'));
	assert_int_equal(hashes(f), 1);
	assert_true(atomic_load(&reader) != 0 && atomic_load(&reader) != pthread_self());
}

static void hashing__a_small_file_is_read_at_once(void **state)
{
	struct fixture *f = *state;
	begin_to_ask(f, &f->a, scratch_write(f->scratch, "small", "text"), NULL);
	assert_true(f->a.answered);
	assert_digest(f->a.digests[0], "text");
	assert_true(atomic_load(&reader) == pthread_self());
}

static void hashing__who_does_not_wait_reads_at_once(void **state)
{
	struct fixture *f = *state;
	struct digest digest;
	begin_to_ask(f, &f->a, scratch_write(f->scratch, "small", "text"), NULL);
	assert_int_equal(view_digest(f->view, view_arrive(f->view), write_large(f, "large", 'a'), &digest, NULL, NULL), 0);
	assert_digest(digest, large_text(f, 'a'));
	assert_true(atomic_load(&reader) == pthread_self());
}

static void hashing__all_files_of_a_step_are_waited_for(void **state)
{
	struct fixture *f = *state;
	begin_to_ask(f, &f->a, write_large(f, "one", 'a'), write_large(f, "two", 'b'));
	run(f);
	assert_true(f->a.answered);
	assert_int_equal(f->a.n_asked, 2);
	assert_digest(f->a.digests[0], large_text(f, 'a'));
	assert_digest(f->a.digests[1], large_text(f, 'b'));
}

static void hashing__two_who_want_one_file_wait_for_one_reading(void **state)
{
	struct fixture *f = *state;
	const char *large = write_large(f, "large", 'a');
	hold(f);
	begin_to_ask(f, &f->a, large, NULL);
	begin_to_ask(f, &f->b, large, NULL);
	assert_true(!f->a.answered && !f->b.answered);
	let_go(f);
	assert_true(f->a.answered && f->b.answered);
	assert_digest(f->a.digests[0], large_text(f, 'a'));
	assert_digest(f->b.digests[0], large_text(f, 'a'));
	assert_int_equal(f->a.n_asked + f->b.n_asked, 4);
	assert_int_equal(hashes(f), 1);
}

/* What changed just now may change once more in the same tick of the clock: such a reading is no answer for who came after it was begun. */
static void hashing__a_racy_reading_serves_only_who_had_arrived(void **state)
{
	struct fixture *f = *state;
	const char *large = write_large(f, "large", 'a');
	view_set_clock(f->view, clock_realtime_ns);
	view_set_racy(f->view, 1000000);
	hold(f);
	begin_to_ask(f, &f->a, large, NULL);
	begin_to_ask(f, &f->b, large, NULL);
	let_go(f);
	assert_true(f->a.answered && f->b.answered);
	assert_int_equal(f->a.n_asked, 2);
	assert_int_equal(f->b.n_asked, 3);
	assert_int_equal(hashes(f), 2);
}

static void hashing__who_is_gone_is_not_called(void **state)
{
	struct fixture *f = *state;
	const char *large = write_large(f, "large", 'a');
	hold(f);
	begin_to_ask(f, &f->a, large, NULL);
	begin_to_ask(f, &f->b, large, NULL);
	hashing_leave(&f->a.waiter);
	let_go(f);
	assert_int_equal(f->a.n_asked, 1);
	assert_true(f->b.answered);
	/* Not even where nobody waits any more; what was read is known all the same. */
	const char *other = write_large(f, "other", 'b');
	begin_to_ask(f, &f->a, other, NULL);
	hashing_leave(&f->a.waiter);
	run(f);
	assert_int_equal(f->a.n_asked, 1);
	begin_to_ask(f, &f->a, other, NULL);
	assert_true(f->a.answered);
	assert_int_equal(hashes(f), 2);
}

static void hashing__what_changes_while_it_is_read_is_read_again(void **state)
{
	struct fixture *f = *state;
	const char *large = write_large(f, "large", 'a');
	atomic_store(&append_to, large);
	begin_to_ask(f, &f->a, large, NULL);
	run(f);
	assert_true(f->a.answered);
	assert_int_equal(f->a.n_asked, 2);
	assert_digest(f->a.digests[0], arena_printf(&f->scratch->arena, "%smore", large_text(f, 'a')));
	/* It was the view that read it the second time: it doesn't put off anybody a second time. */
	assert_true(atomic_load(&reader) == pthread_self());
}

static void hashing__what_took_the_files_place_is_what_is_told(void **state)
{
	struct fixture *f = *state;
	const char *large = write_large(f, "large", 'a');
	hold(f);
	begin_to_ask(f, &f->a, large, NULL);
	assert_int_equal(rename(write_large(f, "new", 'b'), large), 0);
	begin_to_ask(f, &f->b, large, NULL);
	let_go(f);
	assert_digest(f->a.digests[0], large_text(f, 'b'));
	assert_digest(f->b.digests[0], large_text(f, 'b'));
	assert_int_equal(hashes(f), 1);
}

static void hashing__an_edit_after_the_reading_is_seen_by_who_comes_after_it(void **state)
{
	struct fixture *f = *state;
	const char *large = write_large(f, "large", 'a');
	begin_to_ask(f, &f->a, large, NULL);
	run(f);
	assert_int_equal(rename(write_large(f, "new", 'b'), large), 0);
	begin_to_ask(f, &f->b, large, NULL);
	assert_false(f->b.answered);
	run(f);
	assert_digest(f->b.digests[0], large_text(f, 'b'));
}

static void hashing__what_cannot_be_read_is_told_by_the_view(void **state)
{
	struct fixture *f = *state;
	const char *large = write_large(f, "large", 'a');
	hold(f);
	begin_to_ask(f, &f->a, large, NULL);
	assert_int_equal(unlink(large), 0);
	let_go(f);
	assert_true(f->a.answered);
	assert_int_equal(f->a.n_asked, 2);
	assert_int_equal(f->a.err.code, ENOENT);
	assert_int_equal(hashes(f), 0);
}

static void hashing__a_list_of_look_ups_is_read_for_what_comes_after(void **state)
{
	struct fixture *f = *state;
	struct lookup v[] = {
		{ .path = write_large(f, "large", 'a'), .kind = LOOKUP_FILE },
		{ .path = scratch_path(f->scratch, "absent"), .kind = LOOKUP_ABSENT },
	};
	begin_to_ask(f, &f->a, NULL, NULL);
	hashing_begin_with(f->hashing, f->a.since, &(struct lookups){ v, 2 });
	assert_true(hashing_wait(f->hashing, &f->a.waiter));
	run(f);
	assert_int_equal(view_observe(f->view, f->a.since, &v[0], NULL), 0);
	assert_digest(v[0].digest, large_text(f, 'a'));
	assert_int_equal(hashes(f), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hashing__a_large_file_is_read_on_another_thread),
		TEST(hashing__a_small_file_is_read_at_once),
		TEST(hashing__who_does_not_wait_reads_at_once),
		TEST(hashing__all_files_of_a_step_are_waited_for),
		TEST(hashing__two_who_want_one_file_wait_for_one_reading),
		TEST(hashing__a_racy_reading_serves_only_who_had_arrived),
		TEST(hashing__who_is_gone_is_not_called),
		TEST(hashing__what_changes_while_it_is_read_is_read_again),
		TEST(hashing__what_took_the_files_place_is_what_is_told),
		TEST(hashing__an_edit_after_the_reading_is_seen_by_who_comes_after_it),
		TEST(hashing__what_cannot_be_read_is_told_by_the_view),
		TEST(hashing__a_list_of_look_ups_is_read_for_what_comes_after),
	};
	work_set_threads(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
