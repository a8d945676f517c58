#include <stdio.h>
#include <stdlib.h>

#include "compiler/test-support.h"

#include "compiler/skeleton.h"

struct row {
	const char *text, *want;
};

/* "a.h" include, n next, e embed, s assembler, each of "quoted", <angled> or `tokens`; then #name(parameters)=body, and the flags d, t, o */
static void render(const struct skeleton *skeleton, struct buf *to)
{
	static const char *const kinds[] = { "", "n", "e", "s" }, *const open = "\"<`", *const close = "\">`";
	for (size_t i = 0; i < skeleton->n_items; i++) {
		const struct skeleton_item *item = &skeleton->items[i];
		buf_printf(to, " %s%c%s%c", kinds[item->kind], open[item->form], item->name, close[item->form]);
	}
	for (size_t i = 0; i < skeleton->n_macros; i++) {
		const struct skeleton_macro *macro = &skeleton->macros[i];
		buf_printf(to, " #%s", macro->name);
		if (macro->parameters)
			buf_printf(to, "(%s)", macro->parameters);
		buf_printf(to, "=%s", macro->body);
	}
	buf_printf(to, "%s%s%s", skeleton->date_time ? " d" : "", skeleton->timestamp ? " t" : "",
		skeleton->once ? " o" : "");
	buf_append_str(to, skeleton->measures_file ? " m" : "");
}

static void expect_bytes(const char *text, size_t size, const char *want)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	struct skeleton skeleton;
	/* At the end of its own memory, so that a sanitizer sees one byte too many. */
	char *exact = malloc(size ? size : 1);
	assert_non_null(exact);
	if (size)
		memcpy(exact, text, size);
	skeleton_make(slice_of(exact, size), &arena, &skeleton);
	free(exact);
	render(&skeleton, &got);
	const char *line = got.len ? buf_str(&got) + 1 : "";
	if (strcmp(line, want) != 0)
		fail_msg("%s\n  gave %s\n  not  %s", text, line, want);
}

static void expect_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_bytes(rows[i].text, strlen(rows[i].text), rows[i].want);
}

#define EXPECT_ROWS(rows) expect_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void skeleton__sees_where_a_file_name_is_measured(void **state)
{
	static const struct row rows[] = {
		{ "f(__FILE__, __LINE__);", "" },
		{ "int n = sizeof(__FILE__);", "m" },
		{ "int n = sizeof __FILE__;", "m" },
		{ "int n = strlen ( __BASE_FILE__ );", "m" },
		{ "char c = __FILE__ [0];", "m" },
		{ "#define ID path_hash(__FILE__)", "#ID=path_hash(__FILE__) m" },
		{ "/* sizeof(__FILE__) */ \"sizeof(__FILE__)\"", "" },
		{ "(__FILE__)", "" },
		{ "__FILE__", "" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__finds_what_directives_name(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "int x;\n", "" },
		{ "#include \"a.h\"\n#include <b/c.h>\n", "\"a.h\" <b/c.h>" },
		{ "#include \"a.h\"", "\"a.h\"" },
		{ "#include<a.h>\n#include\"b.h\"\n", "<a.h> \"b.h\"" },
		{ "#include <a.h>\n#include <a.h>\n#include \"a.h\"\n", "<a.h> \"a.h\"" },
		{ "#include_next <limits.h>\n", "n<limits.h>" },
		{ "#import <a.h>\n", "<a.h> o" },
		{ "#embed \"e.bin\" limit(3)\n#embed <f.bin>\n", "e\"e.bin\" e<f.bin>" },
		{ "#pragma GCC dependency \"parse.y\" old\n#pragma GCC poison \"x\"\n", "\"parse.y\" t" },
		{ "#pragma clang dependency <parse.y>\n", "<parse.y> t" },
		{ "_Pragma(\"GCC dependency \\\"parse.y\\\"\")\n", "t" },
		{ " \t\f\v# \t include \t <a.h> junk\n", "<a.h>" },
		{ "#if 0\n#include <a.h>\n#else\n#include <b.h>\n#endif\n", "<a.h> <b.h>" },
		{ "#include <sys/*.h>\n#include <a//b.h>\n#include <c.h>\n", "<sys/*.h> <a//b.h> <c.h>" },
		{ "#include \"a\\b.h\"\n", "\"a\\b.h\"" },
		{ "#include \"stra\303\237e \346\227\245.h\"\n", "\"stra\303\237e \346\227\245.h\"" },
		{ "#include \"open\n#include <a.h>\n", "<a.h>" },
		{ "#include \"\"\n#include <>\n#include\n#\n#include", "" },
		{ "#included <a.h>\n#xinclude <a.h>\n#embedded \"x\"\n", "" },
		{ "x #include <a.h>\n", "" },
		{ "# __DATE__\n#pragma __TIMESTAMP__\n", "d t" },
		{ "#ifdef X\n#elifdef Y\n#line 3 \"x.c\"\n#ident \"y\"\n#undef Z\n# 3 \"z.c\"\n", "" },
		{ "#line 3 \"x.c\"\n#include <a.h>\n", "<a.h>" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__joins_lines_as_compilers_do(void **state)
{
	static const struct row rows[] = {
		{ "#inc\\\nlude <a\\\n.h>\n", "<a.h>" },
		{ "#\\\n\\\ninclude \\\n \"a.h\"\n", "\"a.h\"" },
		{ "# include \\  \t\n <a.h>\n", "<a.h>" },
		{ "#include \\\r\n <a.h>\r\n#include <b.h>\r\n", "<a.h> <b.h>" },
		{ "\\\n#include <a.h>\n", "<a.h>" },
		{ " \\\r\n \\\n#include <a.h>\n", "<a.h>" },
		{ "x \\\n#include <a.h>\n", "" },
		{ "#define X a \\\n#include <a.h>\n#include <b.h>\n", "<b.h> #X=a #include <a.h>" },
		{ "#include <a.h>\r#include <b.h>\r", "<a.h> <b.h>" },
		{ "// text \\\n#include <a.h>\n#include <b.h>\n", "<b.h>" },
		{ "// text \\ \r\n#include <a.h>\r\n#include <b.h>\n", "<b.h>" },
		{ "char *s = \"\\\n#include <a.h>\\\n\";\n#include <b.h>\n", "<b.h>" },
		{ "#include FOO\\\nBAR\n", "`FOOBAR`" },
		{ "#include FOO\\\n BAR\n", "`FOO BAR`" },
		{ "char *s = __DA\\\nTE__;", "d" },
		{ "char *s = _\\\n\\\n_TI\\\r\nME__;", "d" },
		{ "#if __has_\\\ninclude(<a.h>)\n", "<a.h>" },
		{ "#if __\\\nhas_include(<a.h>)\n", "<a.h>" },
		{ "int a\\\nb; #include\\\n", "" },
		{ "\\", "" },
		{ "#\\", "" },
		{ "#include \\", "`\\`" },
		{ "x\\\n", "" },
		{ "_\\\n", "" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__knows_digraphs_and_takes_trigraphs_both_ways(void **state)
{
	static const struct row rows[] = {
		{ "%:include <a.h>\n", "<a.h>" },
		{ "?\?=include <a.h>\n", "<a.h>" },
		{ "#include ?\?/\n<a.h>\n", "<a.h>" },
		{ "// what?\?/\n#include <a.h>\n", "<a.h>" },
		{ "#define A ?\?/\n#include <a.h>\n", "<a.h> #A=#include <a.h>" },
		{ "char *s = \"?\?/\n#include <a.h>\n", "<a.h>" },
		{ "% :include <a.h>\n??include <a.h>\n?=include <a.h>\n", "" },
		{ "// what?\?/\n /* or\n#include <a.h>\n", "<a.h>" },
		{ "char *s = \"?\?/\" /*\";\n#include <a.h>\n", "<a.h>" },
		{ "char *s = \"?\?/\r\n/*\";\r\n#include <a.h>\r\n", "<a.h>" },
		{ "a ?\?/* b\n#include <a.h>\n", "<a.h>" },
		{ "a ?\?//* b\n#include <a.h>\n", "<a.h>" },
		{ "a ?\?' __DATE__ /*\n#include <a.h>\n", "<a.h> d" },
		{ "%", "" },
		{ "?\?=", "" },
		{ "#include ?\?/", "`?\?/`" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__passes_over_comments(void **state)
{
	static const struct row rows[] = {
		{ "/*\n#include <a.h>\n*/\n#include <b.h>\n", "<b.h>" },
		{ "/* #include <a.h> */ #include <b.h>\n", "<b.h>" },
		{ "/* one\n two */ #include <b.h>\n", "<b.h>" },
		{ "/**/#/**/include/**/<a.h>/**/\n", "<a.h>" },
		{ "# /* two\nlines */ include /* two\nlines */ <a.h>\n", "<a.h>" },
		{ "// #include <a.h>\n#include <b.h> // <c.h>\n", "<b.h>" },
		{ "// /*\n#include <a.h>\n", "<a.h>" },
		{ "/*/ #include <a.h>\n/*/\n#include <b.h>\n", "<b.h>" },
		{ "/* x *\\\n/\n#include <a.h>\n", "<a.h>" },
		{ "/****\\\n * #x\n#include <a.h>\n\\****/\n#include <b.h>\n", "<b.h>" },
		{ "/\\\n/ see a/*.h\n#include <a.h>\n", "<a.h>" },
		{ "/* \" ' */\n#include <a.h>\n", "<a.h>" },
		{ "char *s = \"/*\";\n#include <a.h>\n", "<a.h>" },
		{ "char *s = \"//\"; /*\n#include <a.h>\n*/", "" },
		{ "/* __DATE__ */ // __TIME__\n", "" },
		{ "/* open\n#include <a.h>\n", "" },
		{ "/*", "" },
		{ "/", "" },
		{ "//", "" },
		{ "#define A /* x */ <b.h> /* y\n */ // z\n", "#A=<b.h>" },
		{ "#define A /* x */ __DATE__ /* y */\n", "#A=__DATE__ d" },
		{ "#include A /* x */ __TIME__ /* y */ B /* z */\n", "`A __TIME__ B` d" },
		/* clang takes no comment in a message, gcc does */
		{ "#error see a/*.h\n#include <a.h>\n", "<a.h>" },
		{ "#warning see a/*.h \\\n or b/*.h\n#include <a.h>\n", "<a.h>" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__is_not_led_astray_by_quotes(void **state)
{
	static const struct row rows[] = {
		{ "@ don't\n#include <a.h>\n", "<a.h>" },
		{ "@ don't /* or\n#include <a.h>\n", "<a.h>" },
		{ "# don't /* or\n#include <a.h>\n", "<a.h>" },
		{ "; 6\" disk\n#include <a.h>\n", "<a.h>" },
		{ "#if 0\nI don't \"know /* it\n#include <a.h>\n#endif\n#include <b.h>\n", "<a.h> <b.h>" },
		{ "int x = 1'000'000, y = 0xdead'beef; char *s = __DATE__;", "d" },
		{ "int x = 1'000 /*';\n#include <a.h>\n", "<a.h>" },
		{ "char *t = f(1'000, __TIME__);", "d" },
		{ "char c = '\"'; /*\n#include <a.h>\n*/", "" },
		{ "char c = '\\''; /*\n#include <a.h>\n*/", "" },
		{ "wchar_t c = L'a'; int i = u8'/*';\n#include <a.h>\n", "<a.h>" },
		{ "char *s = \"\\\\\"; /*\n#include <a.h>\n*/", "" },
		{ "char *s = \"\\\"/*\\\"\";\n#include <a.h>\n", "<a.h>" },
		{ "char *s = \"\\\\\n\"/*\";\n#include <a.h>\n", "<a.h>" },
		{ "char *s = \"__DATE__\" \"__TIMESTAMP__\"; int c = '__TIME__';", "" },
		{ "char *s = \"#include <a.h>\n#include <b.h>\n", "<b.h>" },
		{ "\"\\", "" },
		{ "'", "" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__takes_raw_strings_both_ways(void **state)
{
	static const struct row rows[] = {
		{ "char *s = R\"(\" /* )\";\n#include <a.h>\n", "<a.h>" },
		{ "char *s = u8R\"x(\n)\" /*\n)x\";\n#include <a.h>\n", "<a.h>" },
		{ "char *s = R\"(don't\n)\";\n/*\n#include <a.h>\n*/", "" },
		{ "char *s = R\"(\n#include <a.h>\n)\";", "<a.h>" },
		{ "char *s = FOR\"(\" /*\n#include <a.h>\n*/;", "" },
		{ "char *s = R\"(/*\n#include <a.h>\n", "<a.h>" },
		{ "char *s = R\"0123456789abcdefg(/*\n#include <a.h>\n)0123456789abcdefg\";", "<a.h>" },
		{ "asm(R\"(.incbin \"x.bin\")\");", "s\"x.bin\"" },
		{ "char *s = R\"(a\"b)\" /*\n#include <a.h>\n", "<a.h>" },
		{ "f(R\"(\n)\", R\"(\n/*)\");\n#include <a.h>\n", "<a.h>" },
		{ "char *s = R\"(\n#error )\" __DATE__;\n", "d" },
		{ "R\"", "" },
		{ "R\"(", "" },
		{ "R\"()", "" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__understands_odd_bytes(void **state)
{
	static const char joined[] = "#include <a.h> \\\0\n#include <b.h>";
	expect_bytes(joined, sizeof(joined) - 1, "<a.h> <b.h>");
	static const char nuls[] = "\0#\0include\0<a.h>\0\n#include \"b.h\0c\"\n#define A \"x\0y\" \0 b\n__DATE__\0";
	expect_bytes(nuls, sizeof(nuls), "<a.h> \"b.h\" #A=\"x y\" b d");
	static const struct row rows[] = {
		{ "\xef\xbb\xbf#include <a.h>\n", "<a.h>" },
		{ "\xef\xbb\xbf", "" },
		{ "\xff\xfe#\n#include <a.h>\n", "<a.h>" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__finds_probes_wherever_they_stand(void **state)
{
	static const struct row rows[] = {
		{ "#if __has_include(<a.h>) && __has_include (\"b.h\")\n", "<a.h> \"b.h\"" },
		{ "#if 0\n#elif defined(__has_include) && __has_include_next(<a.h>)\n", "n<a.h>" },
		{ "#if __has_embed(\"x.bin\" limit(1))\n", "e\"x.bin\"" },
		{ "#ifdef __has_include\n#if __has_include( A(1, 2) ) && x\n", "`A(1, 2)`" },
		{ "#define HAS_A __has_include(<a.h>)\n", "<a.h> #HAS_A=__has_include(<a.h>)" },
		{ "#define HAS(x) (__has_include(x))\n", "`x`" },
		{ "#define __has_include(x) 0\n", "#__has_include(x)=0" },
		{ "#if __has_include__(<a.h>)\n#if __has_include \"b.h\"\n", "<a.h> \"b.h\"" },
		{ "__has_attribute(x) __has_includes(<a.h>) x__has_include(<b.h>)", "" },
		{ "__has_include", "" },
		{ "__has_include(", "" },
		{ "__has_include(\n<a.h>)", "" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__finds_times_as_whole_words(void **state)
{
	static const struct row rows[] = {
		{ "char *s = __DATE__;", "d" },
		{ "__TIME__", "d" },
		{ "#define STAMP f(__TIMESTAMP__);\n", "t" },
		{ "__TIMER__ __DATE ___DATE__ __DATE___ x__TIME__ 1__TIME__", "" },
		{ "0123456789abcde\n__DATE__ __TIMESTAMP__", "d t" },
	};
	EXPECT_ROWS(rows);
	/* at every distance from the blocks that are looked at together */
	for (int before = 0; before < 40; before++) {
		for (int after = 0; after < 40; after++) {
			char text[128];
			int n = snprintf(text, sizeof(text), "%*s__DATE__%*s", before, "", after, "");
			expect_bytes(text, (size_t)n, "d");
		}
	}
}

static void skeleton__sees_what_is_read_once(void **state)
{
	static const struct row rows[] = {
		{ "#pragma once\n", "o" },
		{ "#pragma onces\n#pragma GCC once\nonce\n", "" },
		{ "_Pragma(\"once\")\n", "o" },
		{ "_Pragma(\"onc\")", "" },
		{ "#prag\\\nma /**/ once", "o" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__finds_what_the_assembler_reads(void **state)
{
	static const struct row rows[] = {
		{ "\t.incbin \"data.bin\"\n", "s\"data.bin\"" },
		{ "\t.incbin \"data.bin\",1,2\n.include \"x/y.inc\"\n", "s\"data.bin\" s\"x/y.inc\"" },
		{ "label: .INCBIN /* c */ \"a\"; .Include \"b\"\n", "s\"a\" s\"b\"" },
		{ "\t.incbin NAME, 0, 16 // text\n", "s`NAME`" },
		{ "\t.incbin \\name\n\t.incbin \"\\dir/a\"\n", "s`\\name` s`\"\\dir/a\"`" },
		{ "@ don't .incbin \"a\"\n", "s\"a\"" },
		{ "asm(\".incbin \\\"data.bin\\\"\\n\");", "s\"data.bin\"" },
		{ "asm(\".section x\\n.incbin \\\"a\\\"\\n\" \"\\t.incbin \\\"b\\\"\");", "s\"a\" s\"b\"" },
		{ "asm(\".incbin \" /* c */\n \"\\\"a\" \"b\" \"\\\"\\n\");", "s\"ab\"" },
		{ "asm(\".inc\\\nbin \\\"a\\\"\");", "" },
		{ "asm(\".incbin \\\"a\\\nb\\\"\");", "s\"ab\"" },
		{ "asm(\".incbin \" NAME \"\\n\" : : \"r\"(x));", "s`\" \" NAME \"\\n\"`" },
		{ "asm(\".incbin \\\"\" STR(A, b)\n \"/c\\\"\\n\");", "s`\" \\\"\" STR(A, b) \"/c\\\"\\n\"`" },
		{ "#define IN(f) asm(\".incbin \\\"\" \\\n #f \\\n \"\\\"\")\n#f\n", "s`\" \\\"\" #f \"\\\"\"`" },
		{ "#define D \".incbin\"\n#include <a.h>\n", "s`\"\"` <a.h> #D=\".incbin\"" },
		{ "error(\".include is nested too deeply\");", "" },
		{ "struct s x = { .include = 1, .incbin=2 }; struct s y = { .include };", "" },
		{ "x.include; foo->include; .include_dirs; a.incbin.b; `.include' ", "" },
		{ ".incbin", "" },
		{ "\".incbin", "" },
		{ "\".incbin \\", "" },
		{ "\t.incbin \"open\n", "s`\"open`" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__keeps_macros_that_may_name_files(void **state)
{
	static const struct row rows[] = {
		{ "#define FT_X <freetype/x.h>\n#include FT_X\n", "`FT_X` #FT_X=<freetype/x.h>" },
		{ "#define HDR \"a.h\"\n#define STR(x) #x\n#define CAT( a, b ) a##b\n",
			"#HDR=\"a.h\" #STR(x)=#x #CAT(a,b)=a##b" },
		{ "#define INC(n) <dir/n.h>\n#define V(...) F(__VA_ARGS__)\n#define W(a...) G(a)\n",
			"#INC(n)=<dir/n.h> #V(...)=F(__VA_ARGS__) #W(a...)=G(a)" },
		{ "#define TRACE_SYSTEM sched\n#define TRACE_INCLUDE_PATH ../../drivers/x\n"
		  "#define __TRACE_INCLUDE(system) __stringify(TRACE_INCLUDE_PATH/system.h)\n"
		  "#define CREATE_TRACE_POINTS\n#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)\n",
			"`TRACE_INCLUDE(TRACE_INCLUDE_FILE)` #TRACE_SYSTEM=sched #TRACE_INCLUDE_PATH=../../drivers/x "
			"#__TRACE_INCLUDE(system)=__stringify(TRACE_INCLUDE_PATH/system.h) #CREATE_TRACE_POINTS=" },
		{ "#define BOOST_PP_ITERATION_PARAMS_1 (3, (0, 5, \"a.hpp\"))\n#include BOOST_PP_ITERATE()\n",
			"`BOOST_PP_ITERATE()` #BOOST_PP_ITERATION_PARAMS_1=(3, (0, 5, \"a.hpp\"))" },
		{ "#define A() x\n#define B (y, z)\n#define C(\\\nx) \\\n  x \\\n ## 1\n#define D 12\n",
			"#A()=x #B=(y, z) #C(x)=x ## 1 #D=12" },
		{ "#de\\\nfine N\\\nAME  a  /* b */  ## c // d\n", "#NAME=a ## c" },
		{ "#define A <c++/a--b.h>\n#define B c++/../a.h\n", "#A=<c++/a--b.h> #B=c++/../a.h" },
		{ "#define A a.b+c-d_e\n#define $x\303\237 y\n", "#A=a.b+c-d_e #$x\303\237=y" },
		{ "#define A", "#A=" },
		{ "#define A(", "" },
		{ "#define A(x", "" },
		{ "#define\n#define 1\n#define (x)\n#define A(x;) y\n", "#1=" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__leaves_out_macros_that_name_no_file(void **state)
{
	static const struct row rows[] = {
		{ "#define A 0x10\n#define B 12345\n#define C 1UL\n#define D 1.5\n#define E -1\n", "" },
		{ "#define A (B)\n#define C (1 + D)\n#define E ((int)f)\n", "" },
		{ "#define A a + b\n#define B a<<1\n#define C a->b\n#define D a < b\n", "" },
		{ "#define A unsigned long\n#define B int x;\n#define C { 1 }\n#define D x = y\n#define E 'x'\n", "" },
		{ "#define A \"%d\\n\"\n#define B \"\\t\"\n#define C \"50%\"\n#define D \"open\n", "" },
		{ "#define A A\n#define B(x) do { x } while (0)\n#define C(x) (x)\n#define D a::b\n", "" },
	};
	EXPECT_ROWS(rows);
}

static void skeleton__takes_names_up_to_the_longest_path(void **state)
{
	for (size_t n = 4090; n < 4100; n++) {
		_cleanup_buf_ struct buf text = { 0 }, want = { 0 };
		buf_append_str(&text, "#include <");
		for (size_t i = 0; i < n; i++)
			buf_append_char(&text, 'x');
		buf_append_str(&text, ">\n#include <a.h>\n");
		if (n <= 4096)
			buf_printf(&want, "<%.*s> <a.h>", (int)n, text.ptr + 10);
		else
			buf_append_str(&want, "`` <a.h>"); /* it can't be told any more */
		expect_bytes(text.ptr, text.len, buf_str(&want));
	}
}

static void skeleton__needs_time_that_grows_with_the_text_alone(void **state)
{
	static const char *const pieces[] = { "#include /*\n", "R\"(", "R\"(\n#define A /*\n", "\\\n",
		"?\?/\n#define A ?\?/\n", "\".incbin ", "#", "\\ ", "__has_include(", " ", "\n", "/**/", "'", "\"", "(",
		"1'0", "_\\\n", ".incbin /**/" };
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		_cleanup_buf_ struct buf text = { 0 };
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct skeleton skeleton;
		if (i == 2)
			buf_append_str(&text, "R\"x(\n");
		while (text.len < 200000)
			buf_append_str(&text, pieces[i]);
		buf_append_str(&text, i == 2 ? "*/)x\"" : "x");
		skeleton_make(buf_slice(&text), &arena, &skeleton); /* the test has a time limit */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(skeleton__sees_where_a_file_name_is_measured),
		cmocka_unit_test(skeleton__finds_what_directives_name),
		cmocka_unit_test(skeleton__joins_lines_as_compilers_do),
		cmocka_unit_test(skeleton__knows_digraphs_and_takes_trigraphs_both_ways),
		cmocka_unit_test(skeleton__passes_over_comments),
		cmocka_unit_test(skeleton__is_not_led_astray_by_quotes),
		cmocka_unit_test(skeleton__takes_raw_strings_both_ways),
		cmocka_unit_test(skeleton__understands_odd_bytes),
		cmocka_unit_test(skeleton__finds_probes_wherever_they_stand),
		cmocka_unit_test(skeleton__finds_times_as_whole_words),
		cmocka_unit_test(skeleton__sees_what_is_read_once),
		cmocka_unit_test(skeleton__finds_what_the_assembler_reads),
		cmocka_unit_test(skeleton__keeps_macros_that_may_name_files),
		cmocka_unit_test(skeleton__leaves_out_macros_that_name_no_file),
		cmocka_unit_test(skeleton__takes_names_up_to_the_longest_path),
		cmocka_unit_test(skeleton__needs_time_that_grows_with_the_text_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
