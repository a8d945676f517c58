#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/xml.h"
#include "base/buf.h"

static void print(void *ctx, const char *path, const char *text)
{
	buf_printf(ctx, "%s=%s\n", path, text ? text : "(others)");
}

static int parse(const char *bytes, struct buf *out, struct error *err)
{
	return xml_parse(slice_str(bytes), print, out, err);
}

static void xml__elements_are_told_as_they_end(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = { 0 };
	struct error err;
	assert_int_equal(parse("<?xml version=\"1.0\"?>\n<List xmlns=\"http://x/\">\n  <Name>a&amp;b &#233;</Name>\n"
			       "  <s:Entry xmlns:s=\"y\"><Key> k </Key><Size/></s:Entry>\n <![CDATA[x]]></List>\n",
				 &out, &err),
		0);
	assert_string_equal(
		out.ptr, "List/Name=a&b é\nList/Entry/Key= k \nList/Entry/Size=\nList/Entry=(others)\nList=(others)\n");
}

static void xml__what_is_not_xml_or_wants_more_than_data_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "x", "<a>", "<a></b>", "<a/><b/>", "<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY e \"xxx\">]><a>&e;</a>", "<a>&unknown;</a>", "<a>\x01</a>" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_buf_ struct buf out = { 0 };
		struct error err = { 0 };
		assert_int_equal(parse(bad[i], &out, &err), -1);
		assert_non_null(strstr(err.text, "not the XML that was expected"));
	}
}

static void xml__depth_is_bounded(void **state)
{
	(void)state;
	for (int depth = 31; depth <= 34; depth++) {
		_cleanup_buf_ struct buf text = { 0 }, out = { 0 };
		struct error err;
		for (int i = 0; i < depth; i++)
			buf_append_str(&text, "<a>");
		for (int i = 0; i < depth; i++)
			buf_append_str(&text, "</a>");
		assert_int_equal(parse(text.ptr, &out, &err), depth <= 32 ? 0 : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xml__elements_are_told_as_they_end),
		cmocka_unit_test(xml__what_is_not_xml_or_wants_more_than_data_is_refused),
		cmocka_unit_test(xml__depth_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
