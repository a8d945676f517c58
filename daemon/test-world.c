#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/world.h"
#include "wire/frame.h"

/* That `output` is what `command` makes without us. */
static void expect_as_plain(struct world *world, const char *command, const char *output)
{
	_cleanup_buf_ struct buf script = { 0 };
	buf_printf(&script, "%s -o plain && cmp %s plain", command, output);
	world_shell(world, script.ptr);
}

static void world__what_was_executed_is_a_hit_the_next_time(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "int f(void) { int unused; return 1; }\n");
	expect_executed(world, "gcc -g -O2 -Wall -c a.c");
	world_shell(
		world, "mv a.o executed.o && gcc -g -O2 -Wall -c a.c -o plain.o 2>plain.txt && cmp executed.o plain.o");
	assert_non_null(strstr(world_messages(world), "unused"));
	expect_hit(world, "gcc -g -O2 -Wall -c a.c");
	assert_non_null(strstr(world_messages(world), "unused"));
	world_shell(world, "cmp a.o plain.o && cmp ../messages plain.txt");
	assert_int_equal(world_stat(world, "requests"), 2);
}

static void world__an_edited_header_is_a_miss(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "#include \"a.h\"\nint f(void) { return VALUE; }\n");
	world_write(world, "a.h", "#define VALUE 1\n");
	expect_executed(world, "gcc -c a.c");
	world_write(world, "a.h", "#define VALUE 2\n");
	expect_executed(world, "gcc -c a.c");
	expect_as_plain(world, "gcc -c a.c", "a.o");
	world_write(world, "a.h", "#define VALUE 1\n");
	expect_hit(world, "gcc -c a.c");
}

static void world__a_header_that_appears_earlier_is_a_miss(void **state)
{
	struct world *world = world_new("");
	world_shell(world, "mkdir first second");
	world_write(world, "a.c", "#include <a.h>\nint f(void) { return VALUE; }\n");
	world_write(world, "second/a.h", "#define VALUE 1\n");
	expect_executed(world, "gcc -Ifirst -Isecond -c a.c");
	expect_hit(world, "gcc -Ifirst -Isecond -c a.c");
	world_write(world, "first/a.h", "#define VALUE 2\n");
	expect_executed(world, "gcc -Ifirst -Isecond -c a.c");
	world_remove(world, "first/a.h");
	expect_hit(world, "gcc -Ifirst -Isecond -c a.c");
}

static void world__the_date_is_never_kept(void **state)
{
	struct world *world = world_new("");
	world_write(world, "date.c", "const char *s = __DATE__;\n");
	world_write(world, "a.c", "const char *s = S;\n");
	expect_local(world, "gcc -c date.c", "date_time");
	expect_local(world, "gcc -c -DS=__TIME__ a.c", "date_time");
	expect_local(world, "gcc -c -D S=__TIMESTAMP__ a.c", "date_time");
	expect_executed(world, "gcc -c -DS=0 -Wno-builtin-macro-redefined -D__DATE__=\"redacted\" a.c");
	expect_executed(world, "SOURCE_DATE_EPOCH=1 gcc -c date.c");
	expect_executed(world, "SOURCE_DATE_EPOCH=1 gcc -c -DS=__TIME__ a.c");
	expect_local(world, "SOURCE_DATE_EPOCH=1 clang -c date.c", "date_time");
	/* Whether that is newer is said in a warning. */
	world_write(world, "parse.y", "");
	world_write(world, "parse.c", "#pragma GCC dependency \"parse.y\"\n");
	expect_local(world, "gcc -c parse.c", "date_time");
	world_write(world, "includes.c", "#include \"parse.c\"\n");
	expect_executed(world, "gcc -c includes.c");
	expect_executed(world, "gcc -c includes.c");
	/* Nothing in the text tells, but the compiler asks what time it is. */
	world_write(world, "pasted.c", "#define CAT(a, b) a##b\nint n = sizeof CAT(__TI, ME__);\n");
	expect_executed(world, "gcc -c pasted.c");
	expect_executed(world, "gcc -c pasted.c");
	expect_executed(world, "SOURCE_DATE_EPOCH=1 gcc -c pasted.c");
	expect_hit(world, "SOURCE_DATE_EPOCH=1 gcc -c pasted.c");
}

/* What the first program counted is none of the second's. */
static void world__counts_of_an_earlier_program_go_with_its_object(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "int main(void) { return 0; }\n");
	expect_executed(world, "gcc --coverage -c a.c");
	world_shell(world, "gcc --coverage a.o -o program && ./program && test -e a.gcda");
	expect_hit(world, "gcc --coverage -c a.c");
	world_shell(world, "! test -e a.gcda");
	/* The stamp says it, unless it is always the same. */
	world_shell(world, "touch a.gcda");
	expect_executed(world, "gcc --coverage -O1 -c a.c");
	world_shell(world, "test -e a.gcda");
	expect_executed(world, "gcc --coverage -frandom-seed=1 -c a.c");
	world_shell(world, "! test -e a.gcda");
}

/* The directory is one of those that gcc looks for before it reads anything, and forgets when they aren't there. */
static void world__a_search_directory_of_the_compiler_that_appears_is_a_miss(void **state)
{
	struct world *world = world_new("");
	world_shell(world, "d=$(dirname $(gcc -print-libgcc-file-name)) && mkdir -p own/bin own/${d#/usr/} later && "
			   "ln -s $d/* own/${d#/usr/} && cp $(readlink -f $(command -v gcc)) own/bin/gcc");
	world_write(world, "later/a.h", "#define VALUE 1\n");
	world_write(world, "a.c", "#include <a.h>\nint f(void) { return VALUE; }\n");
	expect_executed(world, "own/bin/gcc -idirafter later -c a.c");
	expect_hit(world, "own/bin/gcc -idirafter later -c a.c");
	world_shell(world, "m=$(gcc -dumpmachine) && mkdir -p own/$m/include && echo '#define VALUE 2' >own/$m/include/a.h");
	world_write(world, "unrelated", "");
	expect_executed(world, "own/bin/gcc -idirafter later -c a.c");
	expect_as_plain(world, "own/bin/gcc -idirafter later -c a.c", "a.o");
	world_shell(world, "rm -r own/$(gcc -dumpmachine)");
	expect_hit(world, "own/bin/gcc -idirafter later -c a.c");
}

static void world__dependency_files_are_made_for_each_target(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "#include \"a.h\"\n");
	world_write(world, "a.h", "");
	expect_executed(world, "gcc -MMD -c a.c -o one.o");
	expect_hit(world, "gcc -MMD -c a.c -o two.o");
	world_shell(world, "mv two.d hit.d && gcc -MMD -c a.c -o two.o && cmp two.d hit.d");
}

/* They are hashed elsewhere while the request waits. */
static void world__large_inputs_are_inputs_like_others(void **state)
{
	struct world *world = world_new("");
	world_shell(world, "head -c 3000000 /dev/zero | tr '\\0' '\\n' >large.c && cp large.c large.h && cp large.c blob");
	world_shell(world, "echo '#include \"large.h\"' >>large.c && echo '__asm__(\".incbin \\\"blob\\\"\"); int n = VALUE;' >>large.c");
	world_shell(world, "echo '#define VALUE 1' >>large.h");
	world_settle(world);
	expect_executed(world, "gcc -c large.c");
	expect_hit(world, "gcc -c large.c");
	world_shell(world, "for i in blob large.c large.h; do cp $i copy && mv copy $i; done");
	world_settle(world);
	expect_hit(world, "gcc -c large.c");
	world_shell(world, "sed -i 's/VALUE 1/VALUE 2/' large.h");
	world_settle(world);
	expect_executed(world, "gcc -c large.c");
	expect_as_plain(world, "gcc -c large.c", "large.o");
	world_shell(world, "printf x | dd of=blob conv=notrunc status=none");
	world_settle(world);
	expect_executed(world, "gcc -c large.c");
	expect_as_plain(world, "gcc -c large.c", "large.o");
}

static void world__a_client_that_dies_while_its_source_is_hashed_is_forgotten(void **state)
{
	struct world *world = world_new("");
	world_shell(world, "truncate -s 1G huge.c");
	struct client client = world_start(world, "gcc -c huge.c");
	world_wait_status(world, "requests", 1);
	world_kill(world, client);
	world_wait_status(world, "requests", 0);
	assert_int_equal(world_stat(world, "cancelled"), 1);
	assert_string_equal(world_list(world), "huge.c ");
}

/* A unit of so many functions: a thousand take a second or so. */
static void write_slow_unit(struct world *world, const char *name, const char *start, int functions)
{
	_cleanup_buf_ struct buf text = { 0 };
	buf_append_str(&text, start);
	for (int i = 0; i < functions; i++)
		buf_printf(&text,
			"int f%d(int *p, int n) { for (int i = 0; i < n; i++) p[i] = p[i] * %d + n / p[n - i]; return "
			"*p; }\n",
			i, i);
	world_write(world, name, buf_str(&text));
}

static void world__a_client_that_dies_leaves_nothing_behind(void **state)
{
	struct world *world = world_new("");
	write_slow_unit(world, "slow.c", "", 20000);
	struct client client = world_start(world, "gcc -O2 -S slow.c");
	world_wait_name(world, "llama-");
	world_kill(world, client);
	world_wait_status(world, "requests", 0);
	assert_string_equal(world_list(world), "slow.c ");
	assert_int_equal(world_stat(world, "cancelled"), 1);
	assert_int_equal(world_status(world, "running"), 0);
}

static void world__clients_that_die_while_they_wait_free_the_way(void **state)
{
	struct world *world = world_new("");
	write_slow_unit(world, "slow.c", "", 20000);
	world_write(world, "a.c", "int a;\n");
	expect_executed(world, "gcc -c a.c"); /* the compiler is known from now on */
	struct client clients[4];
	for (size_t i = 0; i < 4; i++)
		clients[i] = world_start(world, "gcc -O2 -S slow.c");
	world_wait_status(world, "waiting", 2);
	assert_int_equal(world_status(world, "running"), 2);
	for (size_t i = 4; i-- > 0;)
		world_kill(world, clients[i]);
	world_wait_status(world, "requests", 0);
	expect_hit(world, "gcc -c a.c");
	assert_string_equal(world_list(world), "a.c a.o slow.c ");
}

/* Whatever the daemon is about to do for them: look, wait, scan, run, check, answer. */
static void die_at_any_moment(struct world *world)
{
	enum { CLIENTS = 40 };
	char command[64];
	world_write(world, "a.c", "#include <stdio.h>\nint f(void) { return puts(\"\"); }\n");
	for (int i = 0; i < CLIENTS; i++) {
		struct client clients[2];
		for (int k = 0; k < 2; k++) {
			snprintf(command, sizeof(command), "gcc -DN=%d -O2 %s a.c", i / 2,
				i % 5 ? "-c" : "-fplugin=x -c");
			clients[k] = world_start(world, command);
		}
		usleep((unsigned)i * 3000 % 100000);
		world_kill(world, clients[i % 2]);
		world_kill(world, clients[!(i % 2)]);
	}
	world_wait_status(world, "requests", 0);
	assert_int_equal(world_status(world, "running"), 0);
	assert_int_equal(world_status(world, "waiting"), 0);
	assert_null(strstr(world_list(world), "llama-"));
	struct outcome outcome = world_compile(world, "gcc -O2 -c a.c");
	assert_string_equal(outcome.decision, "done");
	world_shell(world, "mv a.o got.o && gcc -O2 -c a.c && cmp a.o got.o");
}

static void world__clients_may_die_at_any_moment(void **state)
{
	die_at_any_moment(world_new("verify = 2"));
}

static void world__clients_may_die_at_any_moment_of_the_sandbox(void **state)
{
	die_at_any_moment(world_new("sandbox = auto\nverify = 2"));
}

static void world__links_are_local_and_hold_a_core(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "int main(void) { return 0; }\n");
	expect_local(world, "gcc a.c -o program", "link");
	world_shell(world, "./program");
	assert_int_equal(world_stat(world, "local.reasons.link"), 1);
	world_wait_status(world, "requests", 0);
	assert_int_equal(world_status(world, "running"), 0);
}

/* The first command waits for a reader of its output, who waits for the second. */
static void world__a_command_that_only_waits_loses_its_core(void **state)
{
	struct world *world = world_new("jobs = 1");
	world_write(world, "a.c", "int f(void) { return 0; }\n");
	world_shell(world, "mkfifo out");
	expect_executed(world, "gcc -c a.c");
	struct client waits = world_start(world, "gcc -E a.c -o out");
	world_wait_status(world, "running", 1);
	expect_executed(world, "gcc -O1 -c a.c");
	expect_local(world, "gcc -E a.c -o a.i", "preprocess_only");
	world_shell(world, "cat out >read && cmp read a.i");
	assert_string_equal(world_finish(world, waits).decision, "local:preprocess_only");
	world_wait_status(world, "requests", 0);
	assert_int_equal(world_status(world, "running"), 0);
}

static void world__an_error_is_the_compiler_s_own(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "int f(void) { return undeclared; }\n");
	struct outcome outcome = world_compile(world, "gcc -c a.c");
	assert_string_equal(outcome.decision, "local:compile_error_retry");
	assert_int_equal(outcome.exit_code, 1);
	assert_non_null(strstr(world_messages(world), "undeclared"));
	assert_string_equal(world_list(world), "a.c ");
	assert_int_equal(world_stat(world, "compile_errors"), 1);
}

static void world__garbage_ends_its_connection_only(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct world *world = world_new("");
	assert_true(world_sends_garbage(world, text, sizeof(text)));
	_cleanup_buf_ struct buf frame = { 0 };
	frame_put_committed(&frame);
	frame.ptr[6] = FRAME_REQUEST; /* of no bytes */
	assert_true(world_sends_garbage(world, frame.ptr, frame.len));
	frame.ptr[6] = FRAME_DONE; /* not for a client to send */
	assert_true(world_sends_garbage(world, frame.ptr, frame.len));
	frame.ptr[6] = 77;
	assert_true(world_sends_garbage(world, frame.ptr, frame.len));
	world_write(world, "a.c", "int a;\n");
	expect_executed(world, "gcc -c a.c");
}

static void world__another_protocol_version_makes_room_for_a_new_daemon(void **state)
{
	struct world *world = world_new("");
	_cleanup_buf_ struct buf frame = { 0 };
	frame_put_committed(&frame);
	frame.ptr[4] = FRAME_VERSION + 1;
	assert_true(world_sends_garbage(world, frame.ptr, frame.len));
	world_expect_departure(world);
}

static void world__verification_compiles_again_and_compares(void **state)
{
	struct world *world = world_new("verify = 1");
	world_write(world, "a.c", "int a;\n");
	expect_executed(world, "gcc -c a.c");
	assert_int_equal(world_stat(world, "verify.checked"), 1);
	world_expect(world, "gcc -c a.c", "verify.checked"); /* the hit is checked too */
	assert_int_equal(world_stat(world, "hits.local"), 1);
	assert_int_equal(world_stat(world, "verify.differed"), 0);
	expect_as_plain(world, "gcc -c a.c", "a.o");
}

static void world__a_readonly_cache_gives_and_takes_nothing(void **state)
{
	struct world *world = world_new("");
	world_write(world, "old.c", "int a;\n");
	world_write(world, "new.c", "int b;\n");
	expect_executed(world, "gcc -c old.c");
	world_restart(world, "cache = readonly");
	expect_hit(world, "gcc -c old.c");
	expect_executed(world, "gcc -c new.c");
	expect_executed(world, "gcc -c new.c");
	world_restart(world, "cache = off");
	expect_executed(world, "gcc -c old.c");
	world_shell(world, "test $(find ../cache/content -type f | wc -l) = 1");
}

static void world__the_cache_survives_a_restart(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "int a;\n");
	expect_executed(world, "gcc -c a.c");
	world_restart(world, "");
	expect_hit(world, "gcc -c a.c");
	assert_int_equal(world_stat(world, "executed.inplace"), 1); /* the statistics too */
}

static void world__a_daemon_without_work_leaves(void **state)
{
	struct world *world = world_new("idle_timeout = 1s");
	world_write(world, "a.c", "int a;\n");
	expect_executed(world, "gcc -c a.c");
	world_expect_departure(world);
}

static void world__a_daemon_told_to_stop_finishes_its_jobs(void **state)
{
	struct world *world = world_new("");
	write_slow_unit(world, "slow.c", "", 500);
	struct client client = world_start(world, "gcc -O2 -S slow.c");
	world_wait_name(world, "llama-");
	world_stop(world);
	assert_string_equal(world_finish(world, client).decision, "done");
	world_expect_departure(world);
	assert_string_equal(world_list(world), "slow.c slow.s ");
}

static void world__many_clients_at_once_all_get_their_object(void **state)
{
	enum { UNITS = 24 };
	struct client clients[UNITS];
	char command[64], name[32];
	struct world *world = world_new("");
	for (int i = 0; i < UNITS; i++) {
		snprintf(name, sizeof(name), "u%d.c", i);
		snprintf(command, sizeof(command), "echo 'int u%d = %d;' >u%d.c", i, i, i);
		world_shell(world, command);
	}
	for (int i = 0; i < UNITS; i++) {
		snprintf(command, sizeof(command), "gcc -c u%d.c", i);
		clients[i] = world_start(world, command);
	}
	for (int i = 0; i < UNITS; i++)
		assert_string_equal(world_finish(world, clients[i]).decision, "done");
	assert_int_equal(world_stat(world, "requests"), UNITS);
	world_shell(world, "for u in *.c; do gcc -c $u -o plain.o && cmp ${u%.c}.o plain.o || exit 1; done");
}

static void world__a_header_edited_while_it_is_compiled_is_not_kept(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.h", "#define VALUE 1\n");
	write_slow_unit(world, "slow.c", "#include \"a.h\"\nint value = VALUE;\n", 500);
	struct client client = world_start(world, "gcc -O2 -S slow.c");
	world_wait_name(world, "llama-");
	world_write(world, "a.h", "#define VALUE 2\n");
	assert_string_equal(world_finish(world, client).decision, "done");
	expect_executed(world, "gcc -O2 -S slow.c");
	expect_as_plain(world, "gcc -O2 -S slow.c", "slow.s");
	world_write(world, "a.h", "#define VALUE 1\n");
	expect_executed(world, "gcc -O2 -S slow.c");
	expect_as_plain(world, "gcc -O2 -S slow.c", "slow.s");
}

static void world__native_code_is_for_this_machine(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "int f(int n) { return n * 3; }\n");
	expect_executed(world, "gcc -march=native -O2 -c a.c");
	world_shell(world, "mv a.o executed.o && gcc -march=native -O2 -c a.c && cmp a.o executed.o");
	expect_hit(world, "gcc -march=native -O2 -c a.c");
}

/* What it reads beside the compiler's inputs, nobody sees. */
static void world__a_static_compiler_is_local(void **state)
{
	struct world *world = world_new("");
	world_write(world, "wrapper.c", "#include <unistd.h>\n"
					"int main(int c, char **v) { return execv(v[0] = \"/usr/bin/gcc\", v); }\n");
	world_shell(world, "mkdir bin && gcc -static wrapper.c -o bin/gcc && gcc -c wrapper.c -o plain.o");
	expect_local(world, "bin/gcc -c wrapper.c", "unobserved");
	expect_executed(world, "gcc -c wrapper.c");
	world_shell(world, "cmp wrapper.o plain.o");
}

static void world__a_damaged_blob_is_compiled_again(void **state)
{
	struct world *world = world_new("");
	world_write(world, "a.c", "int f(int n) { return n * 3; }\n");
	expect_executed(world, "gcc -c a.c");
	world_shell(world, "for f in ../cache/content/*/*; do chmod u+w $f && printf x | dd of=$f bs=1 seek=64 "
			   "conv=notrunc 2>/dev/null; done");
	expect_executed(world, "gcc -c a.c");
	expect_as_plain(world, "gcc -c a.c", "a.o");
	expect_hit(world, "gcc -c a.c");
	world_shell(world, "rm -rf ../cache/content");
	expect_executed(world, "gcc -c a.c");
	world_shell(world, "cmp a.o plain");
}

static void world__there_is_one_daemon(void **state)
{
	struct world *world = world_new("");
	assert_int_equal(world_second_daemon(world), SECOND_DAEMON);
	world_write(world, "a.c", "int a;\n");
	expect_executed(world, "gcc -c a.c");
	world_shell(world, "rm ../run/*.sock");
	world_expect_departure(world); /* nobody can reach it any more */
}

static void world__in_namespaces_the_sandbox_executes(void **state)
{
	struct world *world = world_new("sandbox = namespaces");
	if (strcmp(world_status_text(world, "sandbox"), "namespaces") != 0) {
		print_message("namespaces: %s\n", world_status_text(world, "sandbox_why"));
		skip();
	}
	world_write(world, "a.c", "#include <stdio.h>\n#include \"a.h\"\nint f(void) { return puts(TEXT); }\n");
	world_write(world, "a.h", "#define TEXT \"one\"\n");
	world_expect(world, "gcc -g -O2 -c a.c", "executed.sandbox");
	world_shell(world, "mv a.o executed.o && gcc -g -O2 -c a.c && cmp a.o executed.o");
	expect_hit(world, "gcc -g -O2 -c a.c");
	world_write(world, "a.h", "#define TEXT \"two\"\n");
	world_expect(world, "gcc -g -O2 -c a.c", "executed.sandbox");
	world_shell(world, "mv a.o executed.o && gcc -g -O2 -c a.c && cmp a.o executed.o");
	assert_int_equal(world_stat(world, "local.total"), 0);
	/* No time zones there */
	world_write(world, "pasted.c", "#define CAT(a, b) a##b\nint n = sizeof CAT(__TI, ME__);\n");
	expect_local(world, "gcc -c pasted.c", "date_time");
}

static void world__replayed_jobs_take_no_cores(void **state)
{
	enum { CLIENTS = 40 };
	char directory[] = "/tmp/llama-test-recordings-XXXXXX", settings[160], command[64];
	struct client clients[CLIENTS];
	struct world *world = world_new("sandbox = namespaces");
	if (strcmp(world_status_text(world, "sandbox"), "namespaces") != 0)
		skip();
	assert_non_null(mkdtemp(directory));
	snprintf(settings, sizeof(settings), "sandbox = namespaces\ndev_record = %s", directory);
	world_restart(world, settings);
	world_write(world, "a.c", "#include <stdio.h>\nint f(void) { return puts(\"\"); }\n");
	world_expect(world, "gcc -O2 -c a.c", "executed.sandbox");
	world_shell(world, "mv a.o recorded.o && gcc -O2 -c a.c && cmp a.o recorded.o");

	/* The same job; then many others, which are all in flight on two cores. */
	snprintf(settings, sizeof(settings), "sandbox = namespaces\ncache = off\ndev_replay = %s\ndev_replay_latency_ms = 3000", directory);
	world_restart(world, settings);
	world_expect(world, "gcc -O2 -c a.c", "executed.sandbox");
	world_shell(world, "cmp a.o recorded.o");
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(command, sizeof(command), "gcc -c -o u%d.o a.c", i);
		clients[i] = world_start(world, command);
	}
	world_wait_status(world, "running", CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		assert_string_equal(world_finish(world, clients[i]).decision, "done");
	assert_int_equal(world_stat(world, "executed.sandbox"), CLIENTS + 2);
	assert_int_equal(world_stat(world, "local.total"), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, directory, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(world__what_was_executed_is_a_hit_the_next_time, world_end),
		cmocka_unit_test_teardown(world__an_edited_header_is_a_miss, world_end),
		cmocka_unit_test_teardown(world__a_header_that_appears_earlier_is_a_miss, world_end),
		cmocka_unit_test_teardown(world__the_date_is_never_kept, world_end),
		cmocka_unit_test_teardown(world__counts_of_an_earlier_program_go_with_its_object, world_end),
		cmocka_unit_test_teardown(world__a_search_directory_of_the_compiler_that_appears_is_a_miss, world_end),
		cmocka_unit_test_teardown(world__dependency_files_are_made_for_each_target, world_end),
		cmocka_unit_test_teardown(world__large_inputs_are_inputs_like_others, world_end),
		cmocka_unit_test_teardown(world__a_client_that_dies_while_its_source_is_hashed_is_forgotten, world_end),
		cmocka_unit_test_teardown(world__a_client_that_dies_leaves_nothing_behind, world_end),
		cmocka_unit_test_teardown(world__clients_that_die_while_they_wait_free_the_way, world_end),
		cmocka_unit_test_teardown(world__clients_may_die_at_any_moment, world_end),
		cmocka_unit_test_teardown(world__clients_may_die_at_any_moment_of_the_sandbox, world_end),
		cmocka_unit_test_teardown(world__links_are_local_and_hold_a_core, world_end),
		cmocka_unit_test_teardown(world__a_command_that_only_waits_loses_its_core, world_end),
		cmocka_unit_test_teardown(world__an_error_is_the_compiler_s_own, world_end),
		cmocka_unit_test_teardown(world__garbage_ends_its_connection_only, world_end),
		cmocka_unit_test_teardown(world__another_protocol_version_makes_room_for_a_new_daemon, world_end),
		cmocka_unit_test_teardown(world__verification_compiles_again_and_compares, world_end),
		cmocka_unit_test_teardown(world__a_readonly_cache_gives_and_takes_nothing, world_end),
		cmocka_unit_test_teardown(world__the_cache_survives_a_restart, world_end),
		cmocka_unit_test_teardown(world__a_daemon_without_work_leaves, world_end),
		cmocka_unit_test_teardown(world__a_daemon_told_to_stop_finishes_its_jobs, world_end),
		cmocka_unit_test_teardown(world__many_clients_at_once_all_get_their_object, world_end),
		cmocka_unit_test_teardown(world__a_header_edited_while_it_is_compiled_is_not_kept, world_end),
		cmocka_unit_test_teardown(world__native_code_is_for_this_machine, world_end),
		cmocka_unit_test_teardown(world__a_static_compiler_is_local, world_end),
		cmocka_unit_test_teardown(world__a_damaged_blob_is_compiled_again, world_end),
		cmocka_unit_test_teardown(world__there_is_one_daemon, world_end),
		cmocka_unit_test_teardown(world__in_namespaces_the_sandbox_executes, world_end),
		cmocka_unit_test_teardown(world__replayed_jobs_take_no_cores, world_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
