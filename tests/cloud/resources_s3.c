#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/objects.h"
#include "tests/cloud/policy.h"
#include "tests/cloud/properties.h"
#include "tests/cloud/resources_internal.h"
#include "tests/cloud/s3.h"
#include "tests/cloud/xml.h"

#define STRING(name)                                                                                                   \
	{                                                                                                              \
		name, PROPERTY_STRING, false, false, NULL, NULL                                                        \
	}
#define INTEGER(name)                                                                                                  \
	{                                                                                                              \
		name, PROPERTY_INTEGER, false, false, NULL, NULL                                                       \
	}
#define BOOLEAN(name)                                                                                                  \
	{                                                                                                              \
		name, PROPERTY_BOOLEAN, false, false, NULL, NULL                                                       \
	}
#define OBJECT(name, members)                                                                                          \
	{                                                                                                              \
		name, PROPERTY_OBJECT, false, false, members, NULL                                                     \
	}
#define OBJECTS(name, members)                                                                                         \
	{                                                                                                              \
		name, PROPERTY_OBJECTS, true, false, members, NULL                                                     \
	}
#define ONE_OF(name, values)                                                                                           \
	{                                                                                                              \
		name, PROPERTY_STRING, true, false, NULL, values                                                       \
	}
#define END                                                                                                            \
	{                                                                                                              \
		NULL, 0, false, false, NULL, NULL                                                                      \
	}

/* --- Buckets ------------------------------------------------------------------------------------------------------ */

static const struct property encryption_default[] = { ONE_OF("SSEAlgorithm", "AES256|aws:kms|aws:kms:dsse"),
	STRING("KMSMasterKeyID"), END };
static const struct property encryption_rule[] = { OBJECT("ServerSideEncryptionByDefault", encryption_default),
	BOOLEAN("BucketKeyEnabled"), END };
static const struct property encryption[] = { OBJECTS("ServerSideEncryptionConfiguration", encryption_rule), END };
static const struct property access_block[] = { BOOLEAN("BlockPublicAcls"), BOOLEAN("BlockPublicPolicy"),
	BOOLEAN("IgnorePublicAcls"), BOOLEAN("RestrictPublicBuckets"), END };
static const struct property abort_uploads[] = { { "DaysAfterInitiation", PROPERTY_INTEGER, true, false, NULL, NULL },
	END };
static const struct property lifecycle_rule[] = { STRING("Id"), ONE_OF("Status", "Enabled|Disabled"), STRING("Prefix"),
	INTEGER("ExpirationInDays"), OBJECT("AbortIncompleteMultipartUpload", abort_uploads), END };
static const struct property lifecycle[] = { OBJECTS("Rules", lifecycle_rule), END };
static const struct property ownership_rule[] = {
	ONE_OF("ObjectOwnership", "BucketOwnerEnforced|BucketOwnerPreferred|ObjectWriter"), END
};
static const struct property ownership[] = { OBJECTS("Rules", ownership_rule), END };
static const struct property versioning[] = { ONE_OF("Status", "Enabled|Suspended"), END };
static const struct property bucket_properties[] = {
	OBJECT("BucketEncryption", encryption),
	{ "BucketName", PROPERTY_STRING, false, true, NULL, NULL },
	OBJECT("LifecycleConfiguration", lifecycle),
	OBJECT("OwnershipControls", ownership),
	OBJECT("PublicAccessBlockConfiguration", access_block),
	{ "Tags", PROPERTY_OBJECTS, false, false, properties_tags, NULL },
	OBJECT("VersioningConfiguration", versioning),
	END,
};

static const char *word(const json_t *object, const char *key)
{
	const char *text = resources_text(object, key);
	return text ? text : "";
}

static void append_flag(struct buf *to, const json_t *object, const char *key)
{
	xml_element(to, key, json_is_true(json_object_get(object, key)) ? "true" : "false");
}

static void encryption_xml(const json_t *value, struct buf *to)
{
	const json_t *rules = json_object_get(value, "ServerSideEncryptionConfiguration");
	buf_append_str(to, "<ServerSideEncryptionConfiguration>");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		buf_append_str(to, "<Rule><ApplyServerSideEncryptionByDefault>");
		xml_element(to, "SSEAlgorithm",
			word(json_object_get(rule, "ServerSideEncryptionByDefault"), "SSEAlgorithm"));
		buf_append_str(to, "</ApplyServerSideEncryptionByDefault>");
		append_flag(to, rule, "BucketKeyEnabled");
		buf_append_str(to, "</Rule>");
	}
	buf_append_str(to, "</ServerSideEncryptionConfiguration>");
}

static void access_block_xml(const json_t *value, struct buf *to)
{
	buf_append_str(to, "<PublicAccessBlockConfiguration>");
	append_flag(to, value, "BlockPublicAcls");
	append_flag(to, value, "IgnorePublicAcls");
	append_flag(to, value, "BlockPublicPolicy");
	append_flag(to, value, "RestrictPublicBuckets");
	buf_append_str(to, "</PublicAccessBlockConfiguration>");
}

static void lifecycle_xml(const json_t *value, struct buf *to)
{
	const json_t *rules = json_object_get(value, "Rules");
	buf_append_str(to, "<LifecycleConfiguration>");
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i), *days = json_object_get(rule, "ExpirationInDays"),
			     *uploads = json_object_get(rule, "AbortIncompleteMultipartUpload");
		buf_append_str(to, "<Rule>");
		if (resources_text(rule, "Id"))
			xml_element(to, "ID", word(rule, "Id"));
		buf_append_str(to, "<Filter>");
		xml_element(to, "Prefix", word(rule, "Prefix"));
		buf_append_str(to, "</Filter>");
		xml_element(to, "Status", word(rule, "Status"));
		if (days)
			buf_printf(
				to, "<Expiration><Days>%lld</Days></Expiration>", (long long)json_integer_value(days));
		if (uploads)
			buf_printf(to,
				"<AbortIncompleteMultipartUpload><DaysAfterInitiation>%lld</DaysAfterInitiation>"
				"</AbortIncompleteMultipartUpload>",
				(long long)json_integer_value(json_object_get(uploads, "DaysAfterInitiation")));
		buf_append_str(to, "</Rule>");
	}
	buf_append_str(to, "</LifecycleConfiguration>");
}

static void ownership_xml(const json_t *value, struct buf *to)
{
	buf_append_str(to, "<OwnershipControls><Rule>");
	xml_element(to, "ObjectOwnership", word(json_array_get(json_object_get(value, "Rules"), 0), "ObjectOwnership"));
	buf_append_str(to, "</Rule></OwnershipControls>");
}

static void tags_xml(const json_t *value, struct buf *to)
{
	buf_append_str(to, "<Tagging><TagSet>");
	for (size_t i = 0; i < json_array_size(value); i++) {
		buf_append_str(to, "<Tag>");
		xml_element(to, "Key", word(json_array_get(value, i), "Key"));
		xml_element(to, "Value", word(json_array_get(value, i), "Value"));
		buf_append_str(to, "</Tag>");
	}
	buf_append_str(to, "</TagSet></Tagging>");
}

static void versioning_xml(const json_t *value, struct buf *to)
{
	buf_append_str(to, "<VersioningConfiguration>");
	xml_element(to, "Status", word(value, "Status"));
	buf_append_str(to, "</VersioningConfiguration>");
}

static const struct {
	const char *property, *subresource, *operation;
	void (*xml)(const json_t *value, struct buf *to);
} configurations[] = {
	{ "BucketEncryption", "encryption", "PutBucketEncryption", encryption_xml },
	{ "LifecycleConfiguration", "lifecycle", "PutBucketLifecycleConfiguration", lifecycle_xml },
	{ "OwnershipControls", "ownershipControls", "PutBucketOwnershipControls", ownership_xml },
	{ "PublicAccessBlockConfiguration", "publicAccessBlock", "PutBucketPublicAccessBlock", access_block_xml },
	{ "Tags", "tagging", "PutBucketTagging", tags_xml },
	{ "VersioningConfiguration", "versioning", "PutBucketVersioning", versioning_xml },
};

static const char *bucket_arn(const struct resource_call *call, const char *name)
{
	return arena_printf(call->arena, "arn:aws:s3:::%s", name);
}

/* What has changed, or on a new bucket everything there is. */
static int configure(const struct resource_call *call, const char *name, struct error *err)
{
	struct objects *objects = s3_objects(call->cloud->s3);
	for (size_t i = 0; i < sizeof(configurations) / sizeof(configurations[0]); i++) {
		const char *property = configurations[i].property, *subresource = configurations[i].subresource;
		json_t *value = json_object_get(call->properties, property),
		       *old = json_object_get(call->old, property);
		if ((!value && !old) || (value && old && json_equal(value, old)))
			continue;
		if (resources_permit(call, "s3", configurations[i].operation, bucket_arn(call, name), err) < 0)
			return -1;
		_cleanup_buf_ struct buf xml = { 0 };
		if (value)
			configurations[i].xml(value, &xml);
		struct slice bytes = buf_slice(&xml);
		objects_set_subresource(objects, name, subresource, value ? &bytes : NULL);
	}
	return 0;
}

static int create_bucket(const struct resource_call *call, const char **ret_physical, struct error *err)
{
	struct objects *objects = s3_objects(call->cloud->s3);
	const char *name = resources_name(call, "BucketName", 63, true);
	if (!s3_is_bucket_name(name))
		return error_set(err, 0,
			"Bucket name should not contain uppercase characters or underscores, and have 3 to 63 "
			"characters: %s",
			name);
	if (resources_permit(call, "s3", "CreateBucket", bucket_arn(call, name), err) < 0)
		return -1;
	if (objects_create_bucket(objects, name) != 0)
		return resources_fail(
			call, "S3", 409, "AlreadyExists", arena_printf(call->arena, "%s already exists", name), err);
	*ret_physical = name;
	return configure(call, name, err);
}

static int update_bucket(const struct resource_call *call, struct error *err)
{
	return configure(call, call->physical, err);
}

static int delete_bucket(const struct resource_call *call, struct error *err)
{
	if (resources_permit(call, "s3", "DeleteBucket", bucket_arn(call, call->physical), err) < 0)
		return -1;
	if (objects_delete_bucket(s3_objects(call->cloud->s3), call->physical) == OBJECTS_NOT_EMPTY)
		return resources_fail(
			call, "S3", 409, "GeneralServiceException", "The bucket you tried to delete is not empty", err);
	return 0;
}

static json_t *bucket_attribute(const struct resource_call *call, const char *attribute)
{
	if (!attribute)
		return json_string(call->physical);
	if (strcmp(attribute, "Arn") == 0)
		return json_string(bucket_arn(call, call->physical));
	if (strcmp(attribute, "DomainName") == 0)
		return json_string(arena_printf(call->arena, "%s.s3.amazonaws.com", call->physical));
	return json_string(arena_printf(call->arena, "%s.s3.%s.amazonaws.com", call->physical, call->cloud->region));
}

const struct resource_ops resources_bucket = {
	{ "AWS::S3::Bucket", bucket_properties,
		(const char *const[]){ "Arn", "DomainName", "RegionalDomainName", NULL } },
	create_bucket,
	update_bucket,
	delete_bucket,
	bucket_attribute,
};

/* --- Their policies ----------------------------------------------------------------------------------------------- */

static const struct property bucket_policy_properties[] = {
	{ "Bucket", PROPERTY_STRING, true, true, NULL, NULL },
	{ "PolicyDocument", PROPERTY_JSON, true, false, NULL, NULL },
	END,
};

static int put_bucket_policy(const struct resource_call *call, struct error *err)
{
	const char *name = word(call->properties, "Bucket");
	const json_t *policy = json_object_get(call->properties, "PolicyDocument");
	struct error cause;
	if (resources_permit(call, "s3", "PutBucketPolicy", bucket_arn(call, name), err) < 0)
		return -1;
	if (policy_check(policy, POLICY_RESOURCE, &cause) < 0)
		return resources_fail(call, "S3", 400, "InvalidRequest", cause.text, err);
	char *text = json_dumps(policy, JSON_COMPACT);
	struct slice bytes = slice_str(text);
	int r = objects_set_subresource(s3_objects(call->cloud->s3), name, "policy", &bytes);
	free(text);
	return r ? resources_fail(call, "S3", 404, "NotFound", "The specified bucket does not exist", err) : 0;
}

static int create_bucket_policy(const struct resource_call *call, const char **ret_physical, struct error *err)
{
	*ret_physical = word(call->properties, "Bucket");
	return put_bucket_policy(call, err);
}

static int delete_bucket_policy(const struct resource_call *call, struct error *err)
{
	if (resources_permit(call, "s3", "DeleteBucketPolicy", bucket_arn(call, call->physical), err) < 0)
		return -1;
	objects_set_subresource(s3_objects(call->cloud->s3), call->physical, "policy", NULL);
	return 0;
}

static json_t *bucket_policy_attribute(const struct resource_call *call, const char *attribute)
{
	return json_string(call->physical);
}

const struct resource_ops resources_bucket_policy = {
	{ "AWS::S3::BucketPolicy", bucket_policy_properties, (const char *const[]){ NULL } },
	create_bucket_policy,
	put_bucket_policy,
	delete_bucket_policy,
	bucket_policy_attribute,
};
