#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "worker/lookup_log.h"

/* A log under construction, as interposers would write it. */
struct log {
	union {
		struct trace_header header;
		char bytes[4096];
	};
};

static void log_init(struct log *log)
{
	memset(log, 0, sizeof(*log));
	uint32_t at = sizeof(log->header);
	log->header = (struct trace_header){ .magic = TRACE_MAGIC,
		.size = sizeof(log->bytes),
		.started = 1,
		.executed = 1,
		.redirects = at,
		.records = at,
		.used = at };
}

static void log_add(struct log *log, enum trace_op op, const char *path)
{
	uint32_t word = trace_word(op, (uint32_t)strlen(path));
	memcpy(log->bytes + log->header.used, &word, 4);
	memcpy(log->bytes + log->header.used + 4, path, strlen(path));
	log->header.used += trace_record_size((uint32_t)strlen(path));
}

static int log_parse(
	struct log *log, const struct lookup_log_filter *filter, struct arena *arena, struct lookup_log *ret)
{
	static const struct lookup_log_filter none;
	struct error err;
	return lookup_log_parse(slice_of(log->bytes, sizeof(log->bytes)), filter ? filter : &none, arena, ret, &err);
}

static void expect(const struct lookup_log *log, size_t i, const char *path, enum lookup_kind kind)
{
	assert_true(i < log->lookups.n);
	assert_string_equal(log->lookups.v[i].path, path);
	assert_int_equal(log->lookups.v[i].kind, kind);
}

static void lookup_log__doubles_collapse_and_paths_are_squeezed(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct log log;
	struct lookup_log parsed;
	log_init(&log);
	log_add(&log, TRACE_FOUND, "/usr/include/stdio.h");
	log_add(&log, TRACE_LOADED, "/usr//include/./stdio.h");
	log_add(&log, TRACE_ABSENT, "/usr/include/../gone.h");
	log_add(&log, TRACE_DIRECTORY, "/home/u/");
	log_add(&log, TRACE_LISTED, "/home/u");
	log_add(&log, TRACE_LINK, "/home/u/.");
	log_add(&log, TRACE_DIRECTORY, "//");
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), 0);
	assert_true(parsed.complete);
	assert_false(parsed.clock);
	log.header.clock = 1;
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), 0);
	assert_true(parsed.clock);
	assert_int_equal(parsed.lookups.n, 6);
	expect(&parsed, 0, "/", LOOKUP_DIRECTORY);
	expect(&parsed, 1, "/home/u", LOOKUP_DIRECTORY);
	expect(&parsed, 2, "/home/u", LOOKUP_LISTING);
	expect(&parsed, 3, "/home/u", LOOKUP_LINK);
	expect(&parsed, 4, "/usr/include/../gone.h", LOOKUP_ABSENT);
	expect(&parsed, 5, "/usr/include/stdio.h", LOOKUP_FILE);
}

static void lookup_log__what_the_job_wrote_before_is_no_input(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct log log;
	struct lookup_log parsed;
	log_init(&log);
	log_add(&log, TRACE_ABSENT, "/w/x.s");
	log_add(&log, TRACE_WRITTEN, "/w/x.s");
	log_add(&log, TRACE_FOUND, "/w/x.s");
	log_add(&log, TRACE_WRITTEN, "/w/./x.s");
	log_add(&log, TRACE_WRITTEN, "/w/a");
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), 0);
	assert_int_equal(parsed.lookups.n, 1);
	expect(&parsed, 0, "/w/x.s", LOOKUP_ABSENT);
	assert_int_equal(parsed.n_written, 2);
	assert_string_equal(parsed.written[0], "/w/a");
	assert_string_equal(parsed.written[1], "/w/x.s");
}

static void lookup_log__outputs_and_private_files_are_no_inputs(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *outputs[] = { "/w//x.o", "/w/.x.o.tmp", NULL };
	struct lookup_log_filter filter = { .outputs = outputs, .private_dir = "/.llama" };
	struct log log;
	struct lookup_log parsed;
	log_init(&log);
	log_add(&log, TRACE_FOUND, "/w/x.o");
	log_add(&log, TRACE_WRITTEN, "/w/x.o");
	log_add(&log, TRACE_ABSENT, "/w/.x.o.tmp");
	log_add(&log, TRACE_LOADED, "/.llama/interpose.so");
	log_add(&log, TRACE_WRITTEN, "/.llama/tmp/cc1.s");
	assert_int_equal(log_parse(&log, &filter, &arena, &parsed), 0);
	assert_int_equal(parsed.lookups.n, 0);
	assert_int_equal(parsed.n_written, 1);
	assert_string_equal(parsed.written[0], "/w/x.o");
}

static void lookup_log__only_the_usual_of_proc_and_dev_is_left_out(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct log log;
	struct lookup_log parsed;
	log_init(&log);
	log_add(&log, TRACE_SPECIAL, "/dev/null");
	log_add(&log, TRACE_LINK, "/proc/self/exe");
	log_add(&log, TRACE_FOUND, "/proc/cpuinfo");
	log_add(&log, TRACE_FOUND, "/proc/uptime");
	log_add(&log, TRACE_FOUND, "/proc/self/environ");
	log_add(&log, TRACE_SPECIAL, "/dev/stdin");
	log_add(&log, TRACE_FOUND, "/developer/x.h");
	log_add(&log, TRACE_FOUND, "/srv/x.h");
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), 0);
	assert_int_equal(parsed.lookups.n, 5);
	expect(&parsed, 0, "/dev/stdin", LOOKUP_SPECIAL);
	expect(&parsed, 1, "/developer/x.h", LOOKUP_FILE);
	expect(&parsed, 2, "/proc/self/environ", LOOKUP_SPECIAL);
	expect(&parsed, 3, "/proc/uptime", LOOKUP_SPECIAL);
	expect(&parsed, 4, "/srv/x.h", LOOKUP_FILE);
}

static void lookup_log__a_program_without_interposer_makes_it_incomplete(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct log log;
	struct lookup_log parsed;
	log_init(&log);
	log.header.executed = 2;
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), 0);
	assert_false(parsed.complete);
	log.header.executed = 1;
	log.header.overflow = 1;
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), 0);
	assert_false(parsed.complete);
}

static void lookup_log__a_torn_record_makes_it_incomplete(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct log log;
	struct lookup_log parsed;
	log_init(&log);
	log_add(&log, TRACE_FOUND, "/a");
	log.header.used += 12;
	log_add(&log, TRACE_FOUND, "/b");
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), 0);
	assert_false(parsed.complete);
	assert_int_equal(parsed.lookups.n, 1);
}

static void lookup_log__nonsense_is_refused(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct log log;
	struct lookup_log parsed;
	log_init(&log);
	log.header.magic++;
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), -1);
	log_init(&log);
	log.header.records = 8192;
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), -1);
	log_init(&log);
	log_add(&log, TRACE_OPS, "/a");
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), -1);
	log_init(&log);
	log_add(&log, TRACE_FOUND, "relative");
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), -1);
	log_init(&log);
	log_add(&log, TRACE_FOUND, "/a");
	log.header.used -= 4;
	assert_int_equal(log_parse(&log, NULL, &arena, &parsed), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookup_log__doubles_collapse_and_paths_are_squeezed),
		cmocka_unit_test(lookup_log__what_the_job_wrote_before_is_no_input),
		cmocka_unit_test(lookup_log__outputs_and_private_files_are_no_inputs),
		cmocka_unit_test(lookup_log__only_the_usual_of_proc_and_dev_is_left_out),
		cmocka_unit_test(lookup_log__a_program_without_interposer_makes_it_incomplete),
		cmocka_unit_test(lookup_log__a_torn_record_makes_it_incomplete),
		cmocka_unit_test(lookup_log__nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
