#include "tests/cloud/permissions.h"

#include <string.h>

#include "tests/cloud/cloud.h"

const char *permissions_caller(struct cloud *cloud, const char *access_key, struct arena *arena)
{
	const struct sigv4_keys *keys = cloud->keys;
	for (size_t i = 0; access_key && i < keys->n; i++)
		if (strcmp(keys->keys[i].access_key, access_key) == 0)
			return arena_printf(arena, "arn:aws:%s", keys->keys[i].identity);
	return arena_printf(arena, "arn:aws:iam::" CLOUD_ACCOUNT ":user/nobody");
}

const char *permissions_action(const char *service, const char *operation, struct arena *arena)
{
	static const struct {
		const char *service, *operation, *action;
	} others[] = {
		{ "lambda", "Invoke", "InvokeFunction" },
		{ "s3", "AbortMultipartUpload", "AbortMultipartUpload" },
		{ "s3", "CompleteMultipartUpload", "PutObject" },
		{ "s3", "CopyObject", "PutObject" },
		{ "s3", "CreateMultipartUpload", "PutObject" },
		{ "s3", "DeleteObjects", "DeleteObject" },
		{ "s3", "GetBucketEncryption", "GetEncryptionConfiguration" },
		{ "s3", "GetBucketLifecycleConfiguration", "GetLifecycleConfiguration" },
		{ "s3", "GetBucketPublicAccessBlock", "GetBucketPublicAccessBlock" },
		{ "s3", "HeadBucket", "ListBucket" },
		{ "s3", "HeadObject", "GetObject" },
		{ "s3", "ListBuckets", "ListAllMyBuckets" },
		{ "s3", "ListMultipartUploads", "ListBucketMultipartUploads" },
		{ "s3", "ListObjectsV2", "ListBucket" },
		{ "s3", "ListObjectVersions", "ListBucketVersions" },
		{ "s3", "ListParts", "ListMultipartUploadParts" },
		{ "s3", "PutBucketEncryption", "PutEncryptionConfiguration" },
		{ "s3", "PutBucketLifecycleConfiguration", "PutLifecycleConfiguration" },
		{ "s3", "UploadPart", "PutObject" },
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i].service, service) == 0 && strcmp(others[i].operation, operation) == 0)
			return arena_printf(arena, "%s:%s", service, others[i].action);
	return arena_printf(arena, "%s:%s", service, operation);
}

int permissions_check(struct cloud *cloud, const char *caller, const char *service, const char *operation,
	const char *resource, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *action = permissions_action(service, operation, &arena), *plain = strchr(action, ':') + 1;
	if (!faults_strike(cloud->faults, service, operation, FAULT_DENY, &arena, NULL) &&
		(strcmp(plain, operation) == 0 ||
			!faults_strike(cloud->faults, service, plain, FAULT_DENY, &arena, NULL)))
		return 0;
	return error_set(err, 0,
		"User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows "
		"the %s action",
		caller, action, resource, action);
}
