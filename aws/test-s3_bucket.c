#include "aws/s3_bucket.h"

#include "aws/test-session.h"

static void bucket__is_there_or_not_or_elsewhere(void **state)
{
	struct script s;
	const char *region = NULL;
	script_begin(&s);
	script_add(&s, 200, "x-amz-bucket-region: us-east-1\r\n", NULL);
	assert_int_equal(s3_bucket_exists(&s.session, "b", &s.arena, &region, &s.err), 0);
	assert_string_equal(buf_str(&s.asked), "HEAD /b  AWS4-HMAC-SHA256\n\n");
	script_reset(&s);
	script_add(&s, 404, NULL, NULL);
	assert_int_equal(s3_bucket_exists(&s.session, "b", &s.arena, &region, &s.err), S3_BUCKET_ABSENT);
	script_reset(&s);
	script_add(&s, 301, "x-amz-bucket-region: eu-west-1\r\n", NULL);
	assert_int_equal(s3_bucket_exists(&s.session, "b", &s.arena, &region, &s.err), S3_BUCKET_ELSEWHERE);
	assert_string_equal(region, "eu-west-1");
	script_reset(&s);
	script_add(&s, 403, NULL, NULL);
	assert_int_equal(s3_bucket_exists(&s.session, "b", &s.arena, &region, &s.err), -1);
	assert_int_equal(s.err.code, EACCES);
	assert_has(s.err.text, "cannot look at the bucket b: these credentials lack the permission s3:ListBucket");
	script_end(&s);
}

static void take_deleted(void *ctx, uint64_t deleted)
{
	*(uint64_t *)ctx = deleted;
}

static void bucket__is_emptied_of_versions_and_markers(void **state)
{
	struct script s;
	uint64_t deleted = 0;
	script_begin(&s);
	script_add(&s, 200, NULL,
		"<ListVersionsResult><Name>b</Name><Version><Key>x/1</Key><VersionId>v1</VersionId></Version><Version><Key>a&amp;b</Key><VersionId>null</VersionId></Version>"
		"<DeleteMarker><Key>x/2</Key><VersionId>v2</VersionId></DeleteMarker><IsTruncated>true</IsTruncated></ListVersionsResult>");
	script_add(&s, 200, NULL, "<DeleteResult/>");
	script_add(&s, 200, NULL, "<ListVersionsResult><Version><Key>x/3</Key><VersionId>v3</VersionId></Version></ListVersionsResult>");
	script_add(&s, 200, NULL, "<DeleteResult/>");
	script_add(&s, 200, NULL, "<ListVersionsResult></ListVersionsResult>");
	assert_int_equal(s3_empty(&s.session, "b", take_deleted, &deleted, &s.err), 0);
	assert_int_equal(deleted, 4);
	assert_has(buf_str(&s.asked), "GET /b?max-keys=1000&versions=  AWS4-HMAC-SHA256\n\nPOST /b?delete=  AWS4-HMAC-SHA256\n");
	assert_has(buf_str(&s.asked),
		"<Quiet>true</Quiet><Object><Key>x/1</Key><VersionId>v1</VersionId></Object><Object><Key>a&#38;b</Key><VersionId>null</VersionId></Object>"
		"<Object><Key>x/2</Key><VersionId>v2</VersionId></Object></Delete>\n");
	script_is_over(&s);
	script_end(&s);
}

static void bucket__is_emptied_where_there_are_no_versions(void **state)
{
	struct script s;
	script_begin(&s);
	script_add(&s, 501, NULL, "<Error><Code>NotImplemented</Code></Error>");
	script_add(&s, 200, NULL, "<ListBucketResult><Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>");
	script_add(&s, 200, NULL, "<DeleteResult/>");
	script_add(&s, 200, NULL, "<ListBucketResult></ListBucketResult>");
	assert_int_equal(s3_empty(&s.session, "b", NULL, NULL, &s.err), 0);
	assert_has(buf_str(&s.asked), "<Object><Key>k</Key></Object></Delete>");
	script_is_over(&s);
	script_end(&s);
}

static void bucket__what_stays_is_told(void **state)
{
	struct script s;
	static const char page[] = "<ListVersionsResult><Version><Key>k</Key><VersionId>v</VersionId></Version></ListVersionsResult>";
	script_begin(&s);
	script_add(&s, 200, NULL, page);
	script_add(&s, 200, NULL, "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>");
	assert_int_equal(s3_empty(&s.session, "b", NULL, NULL, &s.err), -1);
	assert_int_equal(s.err.code, EACCES);
	assert_has(s.err.text, "cannot empty the bucket b: 1 of 1 objects stay, the first of them k: these credentials lack the permission s3:DeleteObject and s3:DeleteObjectVersion");
	script_reset(&s);
	script_add(&s, 404, NULL, "<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>");
	assert_int_equal(s3_empty(&s.session, "b", NULL, NULL, &s.err), S3_BUCKET_ABSENT);
	script_reset(&s);
	script_add(&s, 403, NULL, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");
	assert_int_equal(s3_empty(&s.session, "b", NULL, NULL, &s.err), -1);
	assert_has(s.err.text, "s3:ListBucketVersions");
	script_reset(&s);
	for (unsigned i = 0; i < 4; i++) {
		script_add(&s, 200, NULL, page);
		if (i < 3)
			script_add(&s, 200, NULL, "<DeleteResult/>");
	}
	assert_int_equal(s3_empty(&s.session, "b", NULL, NULL, &s.err), -1);
	assert_has(s.err.text, "is still there, or written again");
	script_is_over(&s);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket__is_there_or_not_or_elsewhere),
		cmocka_unit_test(bucket__is_emptied_of_versions_and_markers),
		cmocka_unit_test(bucket__is_emptied_where_there_are_no_versions),
		cmocka_unit_test(bucket__what_stays_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
