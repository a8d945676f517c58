#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "wire/frame.h"

static struct slice only_payload(const struct buf *frame, enum frame_type expected)
{
	enum frame_type type;
	struct slice payload;
	size_t used;
	assert_int_equal(frame_next(buf_slice(frame), &type, &payload, &used, NULL), 0);
	assert_int_equal(type, expected);
	assert_int_equal(used, frame->len);
	return payload;
}

static const char *some_argv[] = { "/usr/bin/gcc", "-c", "odd \"name\"\n.c", "", "-o", "\xc3\xa9.o", NULL };
static const char *some_env[] = { "LANG=C", "PWD=/src", NULL };

static struct frame_request some_request(void)
{
	return (struct frame_request){
		.compiler = "/usr/bin/gcc",
		.cwd = "/src",
		.argv = { some_argv, 6 },
		.env = { some_env, 2 },
		.umask = 022,
		.stdio = FRAME_STDIN_CLOSED | FRAME_STDERR_TTY,
		.columns = 132,
		.rows = 50,
		.root_dev = 0x0102030405060708,
		.root_ino = 2,
		.mount_ns = UINT64_MAX,
	};
}

static void assert_strings(const struct frame_strings *got, const struct frame_strings *expected)
{
	assert_int_equal(got->n, expected->n);
	for (size_t i = 0; i < got->n; i++)
		assert_string_equal(got->v[i], expected->v[i]);
	assert_null(got->v[got->n]);
}

static void assert_request(const struct frame_request *got, const struct frame_request *expected)
{
	assert_string_equal(got->compiler, expected->compiler);
	assert_string_equal(got->cwd, expected->cwd);
	assert_strings(&got->argv, &expected->argv);
	assert_strings(&got->env, &expected->env);
	assert_int_equal(got->umask, expected->umask);
	assert_int_equal(got->stdio, expected->stdio);
	assert_int_equal(got->columns, expected->columns);
	assert_int_equal(got->rows, expected->rows);
	assert_true(got->root_dev == expected->root_dev);
	assert_true(got->root_ino == expected->root_ino);
	assert_true(got->mount_ns == expected->mount_ns);
}

static void frame__a_request_arrives_as_it_was_sent(void **state)
{
	_cleanup_buf_ struct buf frame = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct frame_request sent = some_request(), got;
	frame_put_request(&frame, &sent);
	assert_int_equal(frame_get_request(only_payload(&frame, FRAME_REQUEST), &arena, &got, NULL), 0);
	assert_request(&got, &sent);
}

static void frame__done_carries_binary_output_and_renames(void **state)
{
	_cleanup_buf_ struct buf frame = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct frame_rename renames[] = { { "/b/.x.1", "/b/x.o" }, { "", "/b/gone.o" } };
	struct frame_done sent = { 4, "sandbox", slice_of("a\0b", 3), slice_str("warning"), renames, 2 }, got;
	frame_put_done(&frame, &sent);
	assert_int_equal(frame_get_done(only_payload(&frame, FRAME_DONE), &arena, &got, NULL), 0);
	assert_int_equal(got.exit_code, 4);
	assert_string_equal(got.decision, "sandbox");
	assert_true(slice_equal(got.out, sent.out));
	assert_true(slice_equal(got.err, sent.err));
	assert_int_equal(got.n_renames, 2);
	assert_string_equal(got.renames[0].temporary, "/b/.x.1");
	assert_string_equal(got.renames[0].target, "/b/x.o");
	assert_string_equal(got.renames[1].temporary, "");
	assert_string_equal(got.renames[1].target, "/b/gone.o");
}

static void frame__local_and_committed_and_control_arrive(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf local_frame = { 0 };
	struct frame_local local;
	frame_put_local(&local_frame, &(struct frame_local){ "link" });
	assert_int_equal(frame_get_local(only_payload(&local_frame, FRAME_LOCAL), &arena, &local, NULL), 0);
	assert_string_equal(local.reason, "link");

	_cleanup_buf_ struct buf committed = { 0 };
	frame_put_committed(&committed);
	assert_int_equal(only_payload(&committed, FRAME_COMMITTED).len, 0);

	for (int with = 0; with < 2; with++) {
		_cleanup_buf_ struct buf frame = { 0 };
		struct frame_control sent = { "explain", { some_argv, 6 }, with, some_request() }, got;
		frame_put_control(&frame, &sent);
		assert_int_equal(frame_get_control(only_payload(&frame, FRAME_CONTROL), &arena, &got, NULL), 0);
		assert_string_equal(got.verb, "explain");
		assert_strings(&got.args, &sent.args);
		assert_int_equal(got.has_request, with);
		if (with)
			assert_request(&got.request, &sent.request);
	}

	_cleanup_buf_ struct buf reply_frame = { 0 };
	struct frame_control_reply reply;
	frame_put_control_reply(&reply_frame, &(struct frame_control_reply){ 3, slice_str("{}\n") });
	assert_int_equal(
		frame_get_control_reply(only_payload(&reply_frame, FRAME_CONTROL_REPLY), &arena, &reply, NULL), 0);
	assert_int_equal(reply.status, 3);
	assert_true(slice_equal_str(reply.text, "{}\n"));
}

static void frame__a_stream_is_cut_into_its_frames(void **state)
{
	_cleanup_buf_ struct buf stream = { 0 };
	frame_put_local(&stream, &(struct frame_local){ "stdin" });
	size_t first = stream.len;
	frame_put_committed(&stream);
	enum frame_type type;
	struct slice payload;
	size_t used;
	for (size_t n = 0; n < first; n++)
		assert_int_equal(frame_next(slice_of(stream.ptr, n), &type, &payload, &used, NULL), FRAME_INCOMPLETE);
	assert_int_equal(frame_next(buf_slice(&stream), &type, &payload, &used, NULL), 0);
	assert_int_equal(used, first);
	assert_int_equal(type, FRAME_LOCAL);
	struct slice rest = slice_of(stream.ptr + used, stream.len - used);
	assert_int_equal(frame_next(rest, &type, &payload, &used, NULL), 0);
	assert_int_equal(type, FRAME_COMMITTED);
}

static void frame__foreign_headers_are_refused(void **state)
{
	_cleanup_buf_ struct buf good = { 0 };
	frame_put_committed(&good);
	const struct {
		size_t at;
		const char *bytes;
		size_t n;
		int code;
	} spoils[] = {
		{ 0, "GET ", 4, 0 },
		{ 4, "\x01\x00", 2, EPROTONOSUPPORT },
		{ 4, "\x03\x00", 2, EPROTONOSUPPORT },
		{ 6, "\x00\x00", 2, 0 },
		{ 6, "\x07\x00", 2, 0 },
		{ 8, "\x01\x00\x00\x10", 4, EMSGSIZE },
	};
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		char frame[FRAME_HEADER_BYTES];
		memcpy(frame, good.ptr, sizeof(frame));
		memcpy(frame + spoils[i].at, spoils[i].bytes, spoils[i].n);
		enum frame_type type;
		struct slice payload;
		size_t used;
		struct error err;
		assert_int_equal(frame_next(slice_of(frame, sizeof(frame)), &type, &payload, &used, &err), -1);
		assert_int_equal(err.code, spoils[i].code);
	}
}

/* Every prefix and every extension of a payload, in memory of exactly its size, so that a sanitizer sees a read too
 * far. */
static void frame__payloads_of_a_wrong_length_are_malformed(void **state)
{
	_cleanup_buf_ struct buf frame = { 0 };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct frame_request sent = some_request(), got;
	frame_put_request(&frame, &sent);
	struct slice payload = only_payload(&frame, FRAME_REQUEST);
	for (size_t n = 0; n <= payload.len + 1; n++) {
		if (n == payload.len)
			continue;
		char *exact = calloc(1, n ? n : 1);
		memcpy(exact, payload.ptr, n < payload.len ? n : payload.len);
		struct error err;
		assert_int_equal(frame_get_request(slice_of(exact, n), &arena, &got, &err), -1);
		assert_int_equal(err.code, EBADMSG);
		free(exact);
	}
}

static void frame__a_boundless_count_allocates_nothing(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct frame_done got;
	const char payload[] = "\0\0\0\0"
			       "\0\0\0\0"
			       "\0\0\0\0"
			       "\0\0\0\0"
			       "\xff\xff\xff\xff";
	assert_int_equal(frame_get_done(slice_of(payload, 20), &arena, &got, NULL), -1);
}

static void frame__a_string_with_a_nul_is_malformed(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct frame_local got;
	assert_int_equal(frame_get_local(slice_of("\3\0\0\0a\0b", 7), &arena, &got, NULL), -1);
	assert_int_equal(frame_get_local(slice_of("\3\0\0\0a-b", 7), &arena, &got, NULL), 0);
}

static void frame__only_variables_that_reach_compilers_matter(void **state)
{
	const char *yes[] = { "LANG=C", "LC_ALL=C", "LC_=", "LANGUAGE=", "PATH=/bin", "PWD=/",
		"GCC_COLORS=", "GCC_EXEC_PREFIX=/x", "CLANG_CONFIG=", "CCC_OVERRIDE_OPTIONS=+x", "LD_PRELOAD=x",
		"CPATH=", "SOURCE_DATE_EPOCH=1", "TZ=UTC", "TMPDIR=/t", "TERM=xterm", "LLAMACC_VERBOSE=1",
		"NO_COLOR=", "CLICOLOR_FORCE=1", "COLUMNS=80", "PATH" };
	const char *no[] = { "HOME=/root", "PATHS=/bin", "LANGX=C", "PAT=x", "ASAN_OPTIONS=x", "LLAMA_JOBS=3", "", "=x",
		"MAKEFLAGS=-j", "XGCC_=1" };
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(frame_env_matters(yes[i]));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(frame_env_matters(no[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame__a_request_arrives_as_it_was_sent),
		cmocka_unit_test(frame__done_carries_binary_output_and_renames),
		cmocka_unit_test(frame__local_and_committed_and_control_arrive),
		cmocka_unit_test(frame__a_stream_is_cut_into_its_frames),
		cmocka_unit_test(frame__foreign_headers_are_refused),
		cmocka_unit_test(frame__payloads_of_a_wrong_length_are_malformed),
		cmocka_unit_test(frame__a_boundless_count_allocates_nothing),
		cmocka_unit_test(frame__a_string_with_a_nul_is_malformed),
		cmocka_unit_test(frame__only_variables_that_reach_compilers_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
