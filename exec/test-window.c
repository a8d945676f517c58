#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exec/window.h"

static struct window window;
static struct window_slot slots[4096];
static unsigned first, next; /* slots under way */
static int64_t now;

static void begin_with(unsigned start, unsigned most)
{
	now = 1000;
	first = next = 0;
	window_init(&window, start, most, 42, now);
}

static unsigned fill(void)
{
	unsigned n = 0;
	while (window_wait(&window, now) == 0) {
		window_begin(&window, &slots[next++ % 4096], now);
		n++;
	}
	return n;
}

static void end_one(void)
{
	window_end(&window, &slots[first++ % 4096], true, now);
}

static int64_t refuse_one(const char *reason, int64_t retry_after_ms)
{
	return window_refused(&window, &slots[first++ % 4096], reason, retry_after_ms, now);
}

static void window__starts_small_and_doubles_while_nobody_refuses(void **state)
{
	begin_with(10, 1000);
	assert_int_equal(fill(), 10);
	assert_int_equal(window_wait(&window, now), WINDOW_ACCEPT_MS);
	unsigned expected = 10;
	for (int round = 0; round < 3; round++) {
		expected *= 2;
		now += WINDOW_ACCEPT_MS;
		assert_int_equal(fill(), expected);
	}
}

static void window__never_exceeds_its_most(void **state)
{
	begin_with(10, 25);
	for (int round = 0; round < 10; round++) {
		fill();
		now += WINDOW_ACCEPT_MS;
	}
	assert_int_equal(window.under_way, 25);
	assert_int_equal(window_wait(&window, now), -1);
	end_one();
	assert_int_equal(window_wait(&window, now), 0);
}

static void window__grows_by_answers_as_well(void **state)
{
	begin_with(2, 100);
	fill();
	end_one();
	assert_int_equal(window.size, 4);
	assert_int_equal(fill(), 3);
}

static void window__does_not_grow_when_it_is_not_needed(void **state)
{
	begin_with(100, 1000);
	for (int i = 0; i < 300; i++) {
		window_begin(&window, &slots[next++ % 4096], now);
		now += 10;
		end_one();
	}
	assert_int_equal(window.size, 100);
}

static void window__what_ended_untold_tells_nothing(void **state)
{
	begin_with(2, 100);
	fill();
	window_end(&window, &slots[first++], false, now);
	assert_int_equal(window.size, 2);
	assert_int_equal(window.under_way, 1);
}

static void window__a_refusal_halves_what_was_under_way_once_a_round(void **state)
{
	begin_with(64, 1000);
	fill();
	for (int i = 0; i < 8; i++)
		refuse_one("ConcurrentInvocationLimitExceeded", 0);
	assert_int_equal(window.size, 31);
	assert_int_equal(window.under_way, 56);
	while (window.under_way)
		end_one();
	now += 10;
	assert_int_equal(fill(), 31);
	now++;
	refuse_one("", 0); /* no reason at all counts as this one */
	assert_int_equal(window.size, 15);
}

static void window__never_closes_for_good(void **state)
{
	begin_with(1, 10);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(fill(), 1);
		now++;
		refuse_one("ConcurrentInvocationLimitExceeded", 0);
		assert_int_equal(window.size, 1);
		assert_in_range(window.paused_until_ms - now, 0, WINDOW_PAUSE_LIMIT_MS);
		now = window.paused_until_ms;
	}
}

static void window__after_a_refusal_it_grows_slowly(void **state)
{
	begin_with(20, 1000);
	fill();
	refuse_one("ReservedFunctionConcurrentInvocationLimitExceeded", 0);
	unsigned size = window.size;
	now += 10;
	while (window.under_way)
		end_one();
	fill();
	for (unsigned i = 0; i < size; i++) {
		end_one();
		fill();
	}
	assert_in_range(window.size, size + 1, size + 2);
}

static void window__retry_after_is_heeded(void **state)
{
	begin_with(10, 1000);
	fill();
	assert_in_range(refuse_one("ConcurrentInvocationLimitExceeded", 5000), 5000, 5000 + 2 * WINDOW_PAUSE_MS);
	/* Others run, and go on where one ends. */
	while (window.under_way > 1)
		end_one();
	assert_int_equal(window_wait(&window, now), 0);
	/* The last one ends so too: others try soon. */
	assert_in_range(refuse_one("ConcurrentInvocationLimitExceeded", 5000), 5000, 5000 + 4 * WINDOW_PAUSE_MS);
	assert_in_range(window_wait(&window, now), 0, 4 * WINDOW_PAUSE_MS);
	now = window.paused_until_ms;
	assert_int_equal(window_wait(&window, now), 0);
}

static void window__a_quota_of_requests_pauses_and_leaves_the_size(void **state)
{
	begin_with(10, 1000);
	fill();
	refuse_one("CallerRateLimitExceeded", 1000);
	assert_int_equal(window.size, 10);
	assert_true(window_wait(&window, now) >= 1000);
}

static void window__asks_for_new_environments_at_lambdas_rate(void **state)
{
	begin_with(3000, 3000);
	assert_int_equal(fill(), WINDOW_ENVIRONMENTS);
	int64_t wait = window_wait(&window, now);
	assert_in_range(wait, 1, 20);
	now += 1000;
	assert_int_equal(fill(), 100);
	/* What ran before runs again without asking. */
	for (int i = 0; i < 500; i++)
		end_one();
	assert_int_equal(fill(), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window__starts_small_and_doubles_while_nobody_refuses),
		cmocka_unit_test(window__never_exceeds_its_most),
		cmocka_unit_test(window__grows_by_answers_as_well),
		cmocka_unit_test(window__does_not_grow_when_it_is_not_needed),
		cmocka_unit_test(window__what_ended_untold_tells_nothing),
		cmocka_unit_test(window__a_refusal_halves_what_was_under_way_once_a_round),
		cmocka_unit_test(window__never_closes_for_good),
		cmocka_unit_test(window__after_a_refusal_it_grows_slowly),
		cmocka_unit_test(window__retry_after_is_heeded),
		cmocka_unit_test(window__a_quota_of_requests_pauses_and_leaves_the_size),
		cmocka_unit_test(window__asks_for_new_environments_at_lambdas_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
