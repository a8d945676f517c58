/* The judge against AWS's own worked examples: "Authenticating Requests: Using the Authorization Header", "… Using
 * Query Parameters", "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" of
 * Amazon S3's API reference, and "Create a signed AWS API request" of IAM's user guide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/cloud/http1.h"
#include "tests/cloud/sigv4.h"

enum { MAY_24 = 1369353600, AUGUST_30 = 1440938160 };

static const struct sigv4_key keys[] = {
	{ "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL, 0, NULL },
	{ "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL, 0, NULL },
	{ "ASIATEMPORARY", "secret", "token", MAY_24 + 60, NULL },
};
static const struct sigv4_keys all = { keys, 3 };

#define EMPTY      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define CREDENTIAL "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
#define HOST       "Host: examplebucket.s3.amazonaws.com\r\n"
#define DATE       "x-amz-date: 20130524T000000Z\r\n"

static const char *judge_at(const char *text, struct slice body, int64_t now_s, struct cloud_request *request)
{
	static struct arena arena;
	static struct sigv4_refusal refusal;
	struct http1_head head;
	struct error err = { 0 };
	arena_deinit(&arena);
	*request = (struct cloud_request){ .arena = &arena };
	assert_int_equal(http1_parse_head(slice_str(text), request, &head, &err), 0);
	assert_int_equal(server_parse_target(request, &err), 0);
	request->body = body;
	request->service = sigv4_service(request);
	int r = sigv4_check(&all, "us-east-1", now_s, request, &refusal);
	return r == 0 ? "accepted" : refusal.code;
}

/* "accepted", or the code of the refusal. */
static const char *judge(const char *text)
{
	struct cloud_request request;
	return judge_at(text, slice_of("", 0), MAY_24, &request);
}

static const char get_object[] = "GET /test.txt HTTP/1.1\r\n" HOST "Range: bytes=0-9\r\nx-amz-content-sha256: " EMPTY
				 "\r\n" DATE "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL
				 "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
				 "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\n\r\n";

static void sigv4__accepts_the_examples_of_s3(void **state)
{
	struct cloud_request request;
	assert_string_equal(judge(get_object), "accepted");
	assert_string_equal(
		judge_at("PUT /test$file.text HTTP/1.1\r\n" HOST "Date: Fri, 24 May 2013 00:00:00 GMT\r\n" DATE
			 "x-amz-storage-class: REDUCED_REDUNDANCY\r\n"
			 "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\r\n"
			 "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL
			 "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
			 "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd\r\n\r\n",
			slice_str("Welcome to Amazon S3."), MAY_24, &request),
		"accepted");
	assert_string_equal(request.service, "s3");
	assert_string_equal(request.access_key, "AKIAIOSFODNN7EXAMPLE");
	assert_string_equal(judge("GET /?lifecycle HTTP/1.1\r\n" HOST "x-amz-content-sha256: " EMPTY "\r\n" DATE
				  "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL
				  "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
				  "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543\r\n\r\n"),
		"accepted");
	assert_string_equal(judge("GET /?prefix=J&max-keys=2 HTTP/1.1\r\n" HOST "x-amz-content-sha256: " EMPTY
				  "\r\n" DATE "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL
				  " SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
				  "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7\r\n\r\n"),
		"accepted");
}

static void sigv4__accepts_the_example_of_a_presigned_url(void **state)
{
	static const char text[] =
		"GET "
		"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-"
		"1%2Fs3%2F"
		"aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\r\n" HOST "\r\n";
	struct cloud_request request;
	assert_string_equal(judge(text), "accepted");
	assert_string_equal(judge_at(text, slice_of("", 0), MAY_24 + 86400, &request), "accepted");
	assert_string_equal(judge_at(text, slice_of("", 0), MAY_24 + 86401, &request), "AccessDenied");
	assert_string_equal(judge_at(text, slice_of("", 0), MAY_24 - 901, &request), "RequestTimeTooSkewed");
}

static void sigv4__accepts_the_example_of_other_services(void **state)
{
	struct cloud_request request;
	static const char text[] =
		"GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\r\nContent-Type: "
		"application/x-www-form-urlencoded; charset=utf-8\r\n"
		"Host: iam.amazonaws.com\r\nX-Amz-Date: 20150830T123600Z\r\nAuthorization: AWS4-HMAC-SHA256 "
		"Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
		"SignedHeaders=content-type;host;x-amz-date, "
		"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\n\r\n";
	assert_string_equal(judge_at(text, slice_of("", 0), AUGUST_30, &request), "accepted");
	assert_string_equal(judge_at(text, slice_of("", 0), AUGUST_30 + 300, &request), "accepted");
	assert_string_equal(judge_at(text, slice_of("", 0), AUGUST_30 + 301, &request), "InvalidSignatureException");
	assert_string_equal(judge_at(text, slice_str("x"), AUGUST_30, &request), "InvalidSignatureException");
}

#define CHUNKED                                                                                                        \
	"PUT /examplebucket/chunkObject.txt HTTP/1.1\r\nHost: s3.amazonaws.com\r\n" DATE                               \
	"x-amz-storage-class: REDUCED_REDUNDANCY\r\nAuthorization: AWS4-HMAC-SHA256 " CREDENTIAL                       \
	"SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-"    \
	"length;"                                                                                                      \
	"x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9\r\n"           \
	"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\nContent-Encoding: aws-chunked\r\n"                \
	"x-amz-decoded-content-length: 66560\r\nContent-Length: 66824\r\n\r\n"

static void append_chunk(struct buf *body, size_t n, const char *signature)
{
	buf_printf(body, "%zx;chunk-signature=%s\r\n", n, signature);
	memset(buf_reserve(body, n), 'a', n);
	body->len += n;
	buf_append_str(body, "\r\n");
}

static void sigv4__accepts_the_example_of_chunks(void **state)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct cloud_request request;
	append_chunk(&body, 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
	append_chunk(&body, 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
	append_chunk(&body, 0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
	assert_int_equal(body.len, 66824);
	assert_string_equal(judge_at(CHUNKED, buf_slice(&body), MAY_24, &request), "accepted");
	assert_int_equal(request.body.len, 66560);
	assert_int_equal(request.body.ptr[66559], 'a');
	body.ptr[66000] = 'b';
	assert_string_equal(judge_at(CHUNKED, buf_slice(&body), MAY_24, &request), "SignatureDoesNotMatch");
	body.ptr[66000] = 'a';
	body.ptr[body.len - 6] ^= 1; /* the last chunk's signature */
	assert_string_equal(judge_at(CHUNKED, buf_slice(&body), MAY_24, &request), "SignatureDoesNotMatch");
}

#define TRAILER                                                                                                        \
	"PUT /examplebucket/chunkObject.txt HTTP/1.1\r\nHost: s3.amazonaws.com\r\n" DATE                               \
	"x-amz-storage-class: REDUCED_REDUNDANCY\r\nAuthorization: AWS4-HMAC-SHA256 " CREDENTIAL                       \
	"SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-"      \
	"storage-class;"                                                                                               \
	"x-amz-trailer,Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e\r\n"                 \
	"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\r\nContent-Encoding: aws-chunked\r\n"        \
	"x-amz-decoded-content-length: 66560\r\nx-amz-trailer: x-amz-checksum-crc32c\r\n\r\n"

static void sigv4__accepts_the_example_of_chunks_with_a_trailer(void **state)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct cloud_request request;
	append_chunk(&body, 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
	append_chunk(&body, 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
	buf_append_str(&body,
		"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\nx-amz-checksum-"
		"crc32c:sOO8/Q==\r\n"
		"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
	assert_string_equal(judge_at(TRAILER, buf_slice(&body), MAY_24, &request), "accepted");
	assert_int_equal(request.body.len, 66560);
	assert_string_equal(cloud_header(&request, "x-amz-checksum-crc32c"), "sOO8/Q==");
	char *checksum = strstr(body.ptr, "sOO8");
	checksum[0] = 't';
	assert_string_equal(judge_at(TRAILER, buf_slice(&body), MAY_24, &request), "SignatureDoesNotMatch");
}

/* `text` with the first `from` replaced by `to`. */
static const char *with(const char *text, const char *from, const char *to)
{
	static struct arena changed; /* until the program ends */
	const char *at = strstr(text, from);
	assert_non_null(at);
	return arena_printf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void sigv4__refuses_what_is_not_quite_that(void **state)
{
	struct cloud_request request;
	assert_string_equal(judge(with(get_object, "bytes=0-9", "bytes=0-8")), "SignatureDoesNotMatch");
	assert_string_equal(judge(with(get_object, "GET", "HEAD")), "SignatureDoesNotMatch");
	assert_string_equal(judge(with(get_object, "test.txt", "test.txt?")), "accepted");
	assert_string_equal(judge(with(get_object, "test.txt", "test.txt?a")), "SignatureDoesNotMatch");
	assert_string_equal(judge(with(get_object, "test.txt", "/test.txt")), "SignatureDoesNotMatch");
	assert_string_equal(judge(with(get_object, "test.txt", "%74est.txt")), "accepted");
	assert_string_equal(judge(with(get_object, "bytes=0-9", "  bytes=0-9  ")), "accepted");
	assert_string_equal(
		judge(with(get_object, "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF")), "InvalidAccessKeyId");
	assert_string_equal(judge(with(get_object, "AKIAIOSFODNN7EXAMPLE", "AKIDEXAMPLE")), "SignatureDoesNotMatch");
	assert_string_equal(judge(with(get_object, "us-east-1", "us-west-2")), "AuthorizationHeaderMalformed");
	assert_string_equal(judge(with(get_object, "host;range", "range;host")), "AccessDenied");
	assert_string_equal(judge(with(get_object, "host;range;", "range;")), "AccessDenied");
	assert_string_equal(judge(with(get_object, "Range:", "x-amz-acl: private\r\nRange:")), "AccessDenied");
	assert_string_equal(judge(with(get_object, "Range:", "User-Agent: x\r\nRange:")), "accepted");
	assert_string_equal(judge(with(get_object, "x-amz-date: 20130524T000000Z", "x-amz-date: 20130525T000000Z")),
		"AuthorizationHeaderMalformed");
	assert_string_equal(judge(with(get_object, "Authorization:", "X:")), "AccessDenied");
	assert_string_equal(
		judge(with(get_object, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")), "AuthorizationHeaderMalformed");
	assert_string_equal(
		judge(with(get_object, "x-amz-content-sha256: " EMPTY "\r\n", "")), "MissingSecurityHeader");
	assert_string_equal(judge_at(get_object, slice_str("x"), MAY_24, &request), "XAmzContentSHA256Mismatch");
	assert_string_equal(judge_at(get_object, slice_of("", 0), MAY_24 + 900, &request), "accepted");
	assert_string_equal(judge_at(get_object, slice_of("", 0), MAY_24 + 901, &request), "RequestTimeTooSkewed");
	assert_string_equal(judge_at(get_object, slice_of("", 0), MAY_24 - 901, &request), "RequestTimeTooSkewed");
}

static void sigv4__wants_a_temporary_key_with_its_token_while_it_lasts(void **state)
{
	struct cloud_request request;
	const char *text = with(get_object, "AKIAIOSFODNN7EXAMPLE", "ASIATEMPORARY");
	assert_string_equal(judge(text), "InvalidToken");
	text = with(text, "Range:", "X-Amz-Security-Token: other\r\nRange:");
	assert_string_equal(judge(text), "InvalidToken");
	text = with(text, "Token: other", "Token: token");
	assert_string_equal(judge(text), "AccessDenied"); /* it is not among the signed headers */
	assert_string_equal(judge_at(text, slice_of("", 0), MAY_24 + 60, &request), "ExpiredToken");
	assert_string_equal(judge(with(get_object, "Range:", "X-Amz-Security-Token: token\r\nRange:")), "InvalidToken");
	judge("GET / HTTP/1.1\r\n\r\n"); /* frees the arena's last */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sigv4__accepts_the_examples_of_s3),
		cmocka_unit_test(sigv4__accepts_the_example_of_a_presigned_url),
		cmocka_unit_test(sigv4__accepts_the_example_of_other_services),
		cmocka_unit_test(sigv4__accepts_the_example_of_chunks),
		cmocka_unit_test(sigv4__accepts_the_example_of_chunks_with_a_trailer),
		cmocka_unit_test(sigv4__refuses_what_is_not_quite_that),
		cmocka_unit_test(sigv4__wants_a_temporary_key_with_its_token_while_it_lasts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
