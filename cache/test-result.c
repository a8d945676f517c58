#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/result.h"
#include "wire/reapi.pb-c.h"

static struct cache_output outputs[3];

static struct cache_result sample(void)
{
	outputs[0] = (struct cache_output){
		.label = "0", .digest = digest_of(slice_str("object")), .executable = true
	};
	outputs[1] = (struct cache_output){ .label = "1", .digest = digest_of(slice_str("depfile")) };
	outputs[2] = (struct cache_output){ .label = "2", .absent = true };
	return (struct cache_result){
		.outputs = outputs,
		.n_outputs = 3,
		.out = digest_of(slice_str("")),
		.err = digest_of(slice_str("warning")),
		.messages_kind = digest_of(slice_str("terminal")),
		.depfile_targets = "a.o b.o",
		.alias_signature = digest_of(slice_str("aliases")),
		.base = "/home/me/checkout",
	};
}

static void result__what_is_encoded_is_decoded(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf bytes = { 0 };
	struct cache_result before = sample(), after;
	result_encode(&before, &bytes);
	assert_int_equal(result_decode(buf_slice(&bytes), &arena, &after, NULL), 0);
	assert_int_equal(after.n_outputs, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(after.outputs[i].label, before.outputs[i].label);
		assert_int_equal(after.outputs[i].absent, before.outputs[i].absent);
		assert_int_equal(after.outputs[i].executable, before.outputs[i].executable);
		assert_true(digest_equal(&after.outputs[i].digest, &before.outputs[i].digest));
	}
	assert_true(digest_equal(&after.out, &before.out) && digest_equal(&after.err, &before.err));
	assert_true(digest_equal(&after.messages_kind, &before.messages_kind));
	assert_true(digest_equal(&after.alias_signature, &before.alias_signature));
	assert_string_equal(after.depfile_targets, "a.o b.o");
	assert_string_equal(after.base, "/home/me/checkout");
}

static void result__it_is_an_action_result(void **state)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	struct cache_result result = sample();
	result.exit_code = 3;
	result_encode(&result, &bytes);
	Reapi__ActionResult *message = reapi__action_result__unpack(NULL, bytes.len, (const uint8_t *)bytes.ptr);
	assert_int_equal(message->n_output_files, 2);
	assert_string_equal(message->output_files[0]->path, "0");
	assert_int_equal(message->exit_code, 3);
	assert_int_equal(message->stderr_digest->size_bytes, 7);
	reapi__action_result__free_unpacked(message, NULL);
}

static void result__an_action_result_of_others_lacks_our_facts(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct cache_result after;
	assert_int_equal(result_decode(slice_of(NULL, 0), &arena, &after, NULL), -1);
	assert_int_equal(result_decode(slice_str("\xff\xff"), &arena, &after, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(result__what_is_encoded_is_decoded),
		cmocka_unit_test(result__it_is_an_action_result),
		cmocka_unit_test(result__an_action_result_of_others_lacks_our_facts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
