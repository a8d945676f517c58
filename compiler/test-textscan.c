#include "compiler/test-support.h"

#include "compiler/textscan.h"

/* d date or time, t timestamp, u unresolved, <name> embedded */
static void textscan__finds_what_the_dependency_scan_omits(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "int x; #include <a.h>\n", "" },
		{ "char *s = __DATE__;", "d" },
		{ "char *s = __TIME__;", "d" },
		{ "char *s = __TIMESTAMP__;", "t" },
		{ "__TIME __TIMER __DATE", "" },
		{ "__TIMER__ __TIME__ __TIMESTAMP__", "dt" },
		{ "\t.incbin \"data.bin\"\n", "<data.bin>" },
		{ "\t.incbin \"data.bin\",1,2\n.include \"x/y.inc\"\n", "<data.bin><x/y.inc>" },
		{ "asm(\".incbin \\\"data.bin\\\"\\n\");", "<data.bin>" },
		{ "asm(\".section x\\n.incbin \\\"a\\\"\\n\" \"\\t.incbin \\\"b\\\"\");", "<a><b>" },
		{ "asm(\".incbin \" NAME \"\\n\");", "u" },
		{ "asm(\".incbin \\\"\" NAME \"\\\"\\n\");", "u" },
		{ "asm(R\"(.incbin \"data.bin\")\");", "u" },
		{ "\t.incbin NAME\n", "u" },
		{ "\t.incbin \\name\n", "u" },
		{ "\t.incbin \"open\n", "u" },
		{ ".incbin", "" },
		{ "struct s x = { .include = 1, .incbin=2 };", "" },
		{ "x.include; foo->include; .include_dirs; a.incbin.b", "" },
		{ "#embed \"e.bin\" limit(3)\n", "<e.bin>" },
		{ "#  embed \"e.bin\"\n", "<e.bin>" },
		{ "# embed <e.bin>\n", "u" },
		{ "/* the `.include` directive */", "" },
		{ "0123456789abcde__DATE__", "d" },
		{ "0123456789abcdef0123456789__TIMESTAMP__", "t" },
		{ "#embedded \"x\"\nembed \"y\"", "" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf got = { 0 };
		struct textscan scan;
		textscan(slice_str(rows[i].text), &arena, &scan);
		buf_printf(&got, "%s%s%s", scan.date_time ? "d" : "", scan.timestamp ? "t" : "",
			scan.unresolved ? "u" : "");
		for (size_t k = 0; k < scan.n_embedded; k++)
			buf_printf(&got, "<%s>", scan.embedded[k]);
		if (strcmp(buf_str(&got), rows[i].want) != 0)
			fail_msg("%s\n  gave %s, not %s", rows[i].text, buf_str(&got), rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(textscan__finds_what_the_dependency_scan_omits) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
