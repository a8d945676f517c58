#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/cloud/checksum.h"
#include "tests/cloud/chunked.h"
#include "tests/cloud/http1.h"
#include "tests/cloud/xml.h"

static int parse(struct arena *arena, const char *text, struct cloud_request *request, struct http1_head *head)
{
	struct error err;
	*request = (struct cloud_request){ .arena = arena };
	return http1_parse_head(slice_str(text), request, head, &err);
}

static void http1__reads_a_head_in_whatever_pieces_it_comes(void **state)
{
	static const char text[] = "PUT /a%20b/c?x=%C3%BC&y&z=1+2 HTTP/1.1\r\nHost: x:1\r\nX-Two:  a b "
				   "\r\nx-two:\tc\r\nContent-Length: 5\r\n"
				   "Expect: 100-continue\r\n\r\nhello";
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct cloud_request request = { .arena = &arena };
	struct http1_head head;
	struct error err;
	size_t whole = sizeof text - 1 - 5;
	for (size_t n = 0; n < whole; n++)
		assert_int_equal(http1_parse_head(slice_of(text, n), &request, &head, &err), HTTP1_MORE);
	assert_int_equal(http1_parse_head(slice_of(text, whole), &request, &head, &err), 0);
	assert_int_equal(head.length, whole);
	assert_int_equal(head.content_length, 5);
	assert_true(head.expects_continue && head.keep_alive && !head.chunked);
	assert_int_equal(server_parse_target(&request, &err), 0);
	assert_string_equal(request.path, "/a b/c");
	assert_string_equal(cloud_query(&request, "x"), "ü");
	assert_string_equal(cloud_query(&request, "y"), "");
	assert_string_equal(cloud_query(&request, "z"), "1 2");
	assert_null(cloud_query(&request, "w"));
	assert_string_equal(cloud_header(&request, "x-two"), "a b");
	assert_string_equal(request.headers[2].value, "c");
}

static void http1__refuses_what_is_ambiguous(void **state)
{
	static const char *const bad[] = {
		"GET /\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET /\x80 HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	};
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct cloud_request request;
	struct http1_head head;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(parse(&arena, bad[i], &request, &head), -1);
	static const char *const bad_targets[] = { "x", "/%", "/%1", "/%zz", "/%00", "/?a=%g" };
	for (size_t i = 0; i < sizeof bad_targets / sizeof bad_targets[0]; i++) {
		request = (struct cloud_request){ .arena = &arena, .method = "GET", .target = bad_targets[i] };
		assert_int_equal(server_parse_target(&request, NULL), -1);
	}
}

static void http1__reads_chunks_in_whatever_pieces_they_come(void **state)
{
	static const char text[] = "5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET";
	for (size_t cut = 0; cut < sizeof text - 1; cut++) {
		_cleanup_buf_ struct buf body = { 0 };
		struct error err;
		size_t used, more;
		int r = http1_parse_chunks(slice_of(text, cut), 100, &body, &used, &err);
		assert_int_equal(r, cut < sizeof text - 1 - 3 ? HTTP1_MORE : 0);
		if (r == HTTP1_MORE) {
			assert_int_equal(http1_parse_chunks(slice_of(text + used, sizeof text - 1 - used), 100, &body,
						 &more, &err),
				0);
			used += more;
		}
		assert_int_equal(used, sizeof text - 1 - 3);
		assert_string_equal(buf_str(&body), "hello0123456789");
	}
	_cleanup_buf_ struct buf body = { 0 };
	size_t used;
	assert_int_equal(http1_parse_chunks(slice_str(text), 14, &body, &used, NULL), -1);
	assert_int_equal(http1_parse_chunks(slice_str("5\r\nhelloX"), 14, &body, &used, NULL), HTTP1_MORE);
	assert_int_equal(http1_parse_chunks(slice_str("5\r\nhelloXY"), 14, &body, &used, NULL), -1);
	assert_int_equal(http1_parse_chunks(slice_str("-5\r\n"), 14, &body, &used, NULL), -1);
}

static void chunked__refuses_what_is_cut_or_longer(void **state)
{
	static const char text[] = "5\r\nhello\r\n0\r\nX-Amz-Checksum-CRC32:NhCmhg==\r\n\r\n";
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct chunked chunked;
	for (size_t n = 0; n < sizeof text - 1; n++)
		assert_int_equal(chunked_parse(slice_of(text, n), &arena, &chunked, NULL), -1);
	assert_int_equal(chunked_parse(slice_of(text, sizeof text - 1), &arena, &chunked, NULL), 0);
	assert_int_equal(chunked.n_bytes, 5);
	assert_string_equal(chunked.trailers[0].name, "x-amz-checksum-crc32");
	assert_string_equal(chunked.trailers[0].value, "NhCmhg==");
	assert_int_equal(chunked_parse(slice_of(text, sizeof text), &arena, &chunked, NULL), -1);
}

/* The check values of the CRC catalogue, and the SHAs of FIPS 180. */
static void checksum__agrees_with_published_values(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice digits = slice_str("123456789"), abc = slice_str("abc");
	assert_string_equal(checksum("x-amz-checksum-crc32", digits, &arena), "y/Q5Jg==");  /* cbf43926 */
	assert_string_equal(checksum("x-amz-checksum-crc32c", digits, &arena), "4waSgw=="); /* e3069283 */
	assert_string_equal(
		checksum("x-amz-checksum-crc64nvme", digits, &arena), "rosUhgp5mIg="); /* ae8b14860a799888 */
	assert_string_equal(checksum("x-amz-checksum-sha1", abc, &arena), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
	assert_string_equal(
		checksum("x-amz-checksum-sha256", abc, &arena), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
	assert_null(checksum("x-amz-checksum-type", abc, &arena));
	assert_string_equal(checksum_md5_hex(abc, &arena), "900150983cd24fb0d6963f7d28e17f72");
}

static void xml__finds_elements_by_their_whole_name(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice xml = slice_str("<A><Keys>no</Keys><Key x=\"1\">&lt;a&amp;&#x20ac;&#13;</Key><Key>b</Key><Key>c"),
		     item;
	assert_string_equal(xml_text(xml, "Key", &arena), "<a&€\r");
	assert_true(xml_next(&xml, "Key", &item));
	assert_true(xml_next(&xml, "Key", &item));
	assert_true(slice_equal_str(item, "b"));
	assert_false(xml_next(&xml, "Key", &item));
	assert_null(xml_text(slice_str("<Key>&nbsp;</Key>"), "Key", &arena));
	assert_null(xml_text(slice_str("<Key>&amp</Key>"), "Key", &arena));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http1__reads_a_head_in_whatever_pieces_it_comes),
		cmocka_unit_test(http1__refuses_what_is_ambiguous),
		cmocka_unit_test(http1__reads_chunks_in_whatever_pieces_they_come),
		cmocka_unit_test(chunked__refuses_what_is_cut_or_longer),
		cmocka_unit_test(checksum__agrees_with_published_values),
		cmocka_unit_test(xml__finds_elements_by_their_whole_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
