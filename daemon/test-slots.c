#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/slots.h"

enum { WAITERS = 3 };

static struct slots slots;
static struct slot_waiter waiters[WAITERS];
static int granted[WAITERS], n_granted;

static void note(struct slot_waiter *waiter)
{
	granted[n_granted++] = (int)(waiter - waiters);
}

static int set_up(void **state)
{
	slots_init(&slots, 1);
	n_granted = 0;
	for (size_t i = 0; i < WAITERS; i++)
		slot_waiter_init(&waiters[i], note);
	return 0;
}

static void slots__a_free_slot_is_taken_at_once(void **state)
{
	assert_true(slots_take(&slots, &waiters[0]));
	assert_int_equal(slots.used, 1);
	assert_int_equal(n_granted, 0);
	slots_give(&slots);
	assert_int_equal(slots.used, 0);
	slots_deinit(&slots);
}

static void slots__who_came_first_is_served_first(void **state)
{
	assert_true(slots_take(&slots, &waiters[0]));
	assert_false(slots_take(&slots, &waiters[1]));
	assert_false(slots_take(&slots, &waiters[2]));
	assert_int_equal(slots.n_waiting, 2);
	slots_give(&slots);
	assert_int_equal(slots.used, 1);
	slots_give(&slots);
	assert_int_equal(n_granted, 2);
	assert_int_equal(granted[0], 1);
	assert_int_equal(granted[1], 2);
	slots_give(&slots);
	slots_deinit(&slots);
}

static void slots__who_left_is_passed_over(void **state)
{
	assert_true(slots_take(&slots, &waiters[0]));
	assert_false(slots_take(&slots, &waiters[1]));
	assert_false(slots_take(&slots, &waiters[2]));
	slots_leave(&slots, &waiters[1]);
	slots_leave(&slots, &waiters[1]);
	assert_int_equal(slots.n_waiting, 1);
	slots_give(&slots);
	assert_int_equal(n_granted, 1);
	assert_int_equal(granted[0], 2);
	slots_leave(&slots, &waiters[2]); /* holds it, waits no more */
	slots_give(&slots);
	slots_deinit(&slots);
}

/* As a request does that can't use its slot after all. */
static void give_again(struct slot_waiter *waiter)
{
	note(waiter);
	slots_give(&slots);
}

static void slots__a_slot_may_be_given_back_while_it_is_granted(void **state)
{
	slot_waiter_init(&waiters[1], give_again);
	assert_true(slots_take(&slots, &waiters[0]));
	assert_false(slots_take(&slots, &waiters[1]));
	assert_false(slots_take(&slots, &waiters[2]));
	slots_give(&slots);
	assert_int_equal(n_granted, 2);
	assert_int_equal(slots.used, 1);
	slots_give(&slots);
	slots_deinit(&slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(slots__a_free_slot_is_taken_at_once, set_up),
		cmocka_unit_test_setup(slots__who_came_first_is_served_first, set_up),
		cmocka_unit_test_setup(slots__who_left_is_passed_over, set_up),
		cmocka_unit_test_setup(slots__a_slot_may_be_given_back_while_it_is_granted, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
