#include "tests/cloud/resources.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/ecr.h"
#include "tests/cloud/iam.h"
#include "tests/cloud/logs.h"
#include "tests/cloud/permissions.h"
#include "tests/cloud/properties.h"
#include "tests/cloud/resources_internal.h"

const char *resources_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

const char *resources_name(const struct resource_call *call, const char *key, size_t max, bool small)
{
	const char *given = resources_text(call->properties, key);
	if (given)
		return given;
	const char *id = cloud_new_id(call->arena);
	size_t room = max - 14;
	char *name = arena_printf(call->arena, "%s-%s", call->stack, call->logical);
	if (strlen(name) > room)
		name[room] = '\0';
	name = arena_printf(call->arena, "%s-%.8s%.4s", name, id, id + 9);
	for (char *p = name; *p; p++)
		*p = (char)(small			    ? tolower((unsigned char)*p)
			    : p >= name + strlen(name) - 12 ? toupper((unsigned char)*p)
							    : *p);
	return name;
}

int resources_fail(const struct resource_call *call, const char *service, int status, const char *code,
	const char *message, struct error *err)
{
	return error_set(err, 0,
		"Resource handler returned message: \"%s (Service: %s, Status Code: %d, Request ID: %.8s)\" "
		"(RequestToken: %.8s, HandlerErrorCode: %s)",
		message, service, status, cloud_new_id(call->arena), cloud_new_id(call->arena), code);
}

int resources_permit(const struct resource_call *call, const char *service, const char *operation, const char *resource,
	struct error *err)
{
	struct error denied;
	if (permissions_check(call->cloud, call->caller, service, operation, resource, &denied) == 0)
		return 0;
	return resources_fail(call, service, 403, "AccessDenied", denied.text, err);
}

#define STRING(name)                                                                                                   \
	{                                                                                                              \
		name, PROPERTY_STRING, false, false, NULL, NULL                                                        \
	}
#define FIXED(name)                                                                                                    \
	{                                                                                                              \
		name, PROPERTY_STRING, false, true, NULL, NULL                                                         \
	}
#define TAGS                                                                                                           \
	{                                                                                                              \
		"Tags", PROPERTY_OBJECTS, false, false, properties_tags, NULL                                          \
	}
#define END                                                                                                            \
	{                                                                                                              \
		NULL, 0, false, false, NULL, NULL                                                                      \
	}

/* --- IAM ---------------------------------------------------------------------------------------------------------- */

static const struct property inline_policies[] = {
	{ "PolicyName", PROPERTY_STRING, true, false, NULL, NULL },
	{ "PolicyDocument", PROPERTY_JSON, true, false, NULL, NULL },
	END,
};
static const struct property role_properties[] = {
	{ "AssumeRolePolicyDocument", PROPERTY_JSON, true, false, NULL, NULL },
	STRING("Description"),
	{ "ManagedPolicyArns", PROPERTY_STRINGS, false, false, NULL, NULL },
	{ "MaxSessionDuration", PROPERTY_INTEGER, false, false, NULL, NULL },
	FIXED("Path"),
	STRING("PermissionsBoundary"),
	{ "Policies", PROPERTY_OBJECTS, false, false, inline_policies, NULL },
	FIXED("RoleName"),
	TAGS,
	END,
};
static const struct property managed_policy_properties[] = {
	FIXED("Description"),
	{ "Groups", PROPERTY_STRINGS, false, false, NULL, NULL },
	FIXED("ManagedPolicyName"),
	FIXED("Path"),
	{ "PolicyDocument", PROPERTY_JSON, true, false, NULL, NULL },
	{ "Roles", PROPERTY_STRINGS, false, false, NULL, NULL },
	{ "Users", PROPERTY_STRINGS, false, false, NULL, NULL },
	END,
};

static const char *iam_arn(const struct resource_call *call, const char *kind, const char *name)
{
	const char *path = resources_text(call->properties, "Path");
	return arena_printf(call->arena, "arn:aws:iam::" CLOUD_ACCOUNT ":%s%s%s", kind, path ? path : "/", name);
}

static int iam_fail(const struct resource_call *call, const struct error *cause, struct error *err)
{
	bool exists = strstr(cause->text, "already exists");
	return resources_fail(
		call, "Iam", exists ? 409 : 400, exists ? "AlreadyExists" : "InvalidRequest", cause->text, err);
}

static int create_role(const struct resource_call *call, const char **ret_physical, struct error *err)
{
	const char *name = resources_name(call, "RoleName", 64, false), *arn = iam_arn(call, "role", name);
	const json_t *properties = call->properties;
	struct error cause;
	if (resources_permit(call, "iam", "CreateRole", arn, err) < 0 ||
		(json_object_get(properties, "Policies") &&
			resources_permit(call, "iam", "PutRolePolicy", arn, err) < 0) ||
		(json_object_get(properties, "ManagedPolicyArns") &&
			resources_permit(call, "iam", "AttachRolePolicy", arn, err) < 0))
		return -1;
	if (iam_create(call->cloud->iam, IAM_ROLE, name, properties, &cause) < 0)
		return iam_fail(call, &cause, err);
	*ret_physical = name;
	return 0;
}

static int update_role(const struct resource_call *call, struct error *err)
{
	struct error cause;
	if (resources_permit(call, "iam", "UpdateRole", iam_arn(call, "role", call->physical), err) < 0)
		return -1;
	if (iam_update(call->cloud->iam, IAM_ROLE, call->physical, call->properties, &cause) < 0)
		return iam_fail(call, &cause, err);
	return 0;
}

static int delete_role(const struct resource_call *call, struct error *err)
{
	if (resources_permit(call, "iam", "DeleteRole", iam_arn(call, "role", call->physical), err) < 0)
		return -1;
	iam_delete(call->cloud->iam, IAM_ROLE, call->physical);
	return 0;
}

static json_t *role_attribute(const struct resource_call *call, const char *attribute)
{
	if (!attribute)
		return json_string(call->physical);
	return json_string(strcmp(attribute, "Arn") == 0
				   ? iam_arn(call, "role", call->physical)
				   : arena_printf(call->arena, "AROA%.16s", cloud_new_id(call->arena)));
}

static const struct resource_ops role = {
	{ "AWS::IAM::Role", role_properties, (const char *const[]){ "Arn", "RoleId", NULL } },
	create_role,
	update_role,
	delete_role,
	role_attribute,
};

static int create_managed_policy(const struct resource_call *call, const char **ret_physical, struct error *err)
{
	const char *name = resources_name(call, "ManagedPolicyName", 128, false), *arn = iam_arn(call, "policy", name);
	struct error cause;
	if (resources_permit(call, "iam", "CreatePolicy", arn, err) < 0)
		return -1;
	if (iam_create(call->cloud->iam, IAM_POLICY, name, call->properties, &cause) < 0)
		return iam_fail(call, &cause, err);
	*ret_physical = arn;
	return 0;
}

static int update_managed_policy(const struct resource_call *call, struct error *err)
{
	struct error cause;
	if (resources_permit(call, "iam", "CreatePolicyVersion", call->physical, err) < 0)
		return -1;
	if (iam_update(call->cloud->iam, IAM_POLICY, strrchr(call->physical, '/') + 1, call->properties, &cause) < 0)
		return iam_fail(call, &cause, err);
	return 0;
}

static int delete_managed_policy(const struct resource_call *call, struct error *err)
{
	if (resources_permit(call, "iam", "DeletePolicy", call->physical, err) < 0)
		return -1;
	iam_delete(call->cloud->iam, IAM_POLICY, strrchr(call->physical, '/') + 1);
	return 0;
}

static json_t *managed_policy_attribute(const struct resource_call *call, const char *attribute)
{
	return json_string(call->physical);
}

static const struct resource_ops managed_policy = {
	{ "AWS::IAM::ManagedPolicy", managed_policy_properties, (const char *const[]){ "PolicyArn", NULL } },
	create_managed_policy,
	update_managed_policy,
	delete_managed_policy,
	managed_policy_attribute,
};

/* --- ECR ---------------------------------------------------------------------------------------------------------- */

static const struct property lifecycle_policy[] = { STRING("LifecyclePolicyText"), STRING("RegistryId"), END };
static const struct property scanning[] = { { "ScanOnPush", PROPERTY_BOOLEAN, false, false, NULL, NULL }, END };
static const struct property encryption[] = {
	{ "EncryptionType", PROPERTY_STRING, true, false, NULL, "AES256|KMS" },
	STRING("KmsKey"),
	END,
};
static const struct property repository_properties[] = {
	{ "EmptyOnDelete", PROPERTY_BOOLEAN, false, false, NULL, NULL },
	{ "EncryptionConfiguration", PROPERTY_OBJECT, false, true, encryption, NULL },
	{ "ImageScanningConfiguration", PROPERTY_OBJECT, false, false, scanning, NULL },
	{ "ImageTagMutability", PROPERTY_STRING, false, false, NULL, "MUTABLE|IMMUTABLE" },
	{ "LifecyclePolicy", PROPERTY_OBJECT, false, false, lifecycle_policy, NULL },
	FIXED("RepositoryName"),
	{ "RepositoryPolicyText", PROPERTY_JSON, false, false, NULL, NULL },
	TAGS,
	END,
};

static const char *repository_arn(const struct resource_call *call, const char *name)
{
	return arena_printf(call->arena, "arn:aws:ecr:%s:" CLOUD_ACCOUNT ":repository/%s", call->cloud->region, name);
}

/* As CreateRepository and the calls after it have them. */
static json_t *repository_settings(const struct resource_call *call)
{
	const json_t *properties = call->properties;
	json_t *settings = json_object();
	json_t *mutability = json_object_get(properties, "ImageTagMutability"),
	       *lifecycle = json_object_get(json_object_get(properties, "LifecyclePolicy"), "LifecyclePolicyText"),
	       *policy = json_object_get(properties, "RepositoryPolicyText"),
	       *scan = json_object_get(json_object_get(properties, "ImageScanningConfiguration"), "ScanOnPush");
	json_object_set_new(
		settings, "imageTagMutability", mutability ? json_incref(mutability) : json_string("MUTABLE"));
	if (lifecycle)
		json_object_set(settings, "lifecyclePolicyText", lifecycle);
	if (policy) {
		char *text = json_dumps(policy, JSON_COMPACT);
		json_object_set_new(settings, "policyText", json_string(text));
		free(text);
	}
	if (scan)
		json_object_set_new(settings, "imageScanningConfiguration", json_pack("{s:O}", "scanOnPush", scan));
	return settings;
}

static int repository_fail(const struct resource_call *call, int outcome, const struct error *cause, struct error *err)
{
	const char *code = outcome == ECR_THERE	    ? "AlreadyExists"
			   : outcome == ECR_MISSING ? "NotFound"
			   : outcome == ECR_WRONG   ? "InvalidRequest"
						    : "GeneralServiceException";
	return resources_fail(call, "Ecr", 400, code, cause->text, err);
}

static int create_repository(const struct resource_call *call, const char **ret_physical, struct error *err)
{
	const char *name = resources_name(call, "RepositoryName", 256, true);
	const json_t *properties = call->properties;
	struct error cause;
	if (resources_permit(call, "ecr", "CreateRepository", repository_arn(call, name), err) < 0 ||
		(json_object_get(properties, "LifecyclePolicy") &&
			resources_permit(call, "ecr", "PutLifecyclePolicy", repository_arn(call, name), err) < 0) ||
		(json_object_get(properties, "RepositoryPolicyText") &&
			resources_permit(call, "ecr", "SetRepositoryPolicy", repository_arn(call, name), err) < 0))
		return -1;
	json_t *settings = repository_settings(call);
	int r = ecr_create(call->cloud->ecr, name, settings, &cause);
	json_decref(settings);
	if (r != 0)
		return repository_fail(call, r, &cause, err);
	*ret_physical = name;
	return 0;
}

static int update_repository(const struct resource_call *call, struct error *err)
{
	struct error cause;
	if (resources_permit(call, "ecr", "PutImageTagMutability", repository_arn(call, call->physical), err) < 0)
		return -1;
	json_t *settings = repository_settings(call);
	int r = ecr_update(call->cloud->ecr, call->physical, settings, &cause);
	json_decref(settings);
	return r != 0 ? repository_fail(call, r, &cause, err) : 0;
}

static int delete_repository(const struct resource_call *call, struct error *err)
{
	struct error cause;
	if (resources_permit(call, "ecr", "DeleteRepository", repository_arn(call, call->physical), err) < 0)
		return -1;
	bool force = json_is_true(json_object_get(call->properties, "EmptyOnDelete"));
	int r = ecr_delete(call->cloud->ecr, call->physical, force, &cause);
	return r != 0 && r != ECR_MISSING ? repository_fail(call, r, &cause, err) : 0;
}

static json_t *repository_attribute(const struct resource_call *call, const char *attribute)
{
	if (!attribute)
		return json_string(call->physical);
	return json_string(strcmp(attribute, "Arn") == 0 ? repository_arn(call, call->physical)
							 : arena_printf(call->arena, "%s/%s",
								   ecr_host(call->cloud, call->arena), call->physical));
}

static const struct resource_ops repository = {
	{ "AWS::ECR::Repository", repository_properties, (const char *const[]){ "Arn", "RepositoryUri", NULL } },
	create_repository,
	update_repository,
	delete_repository,
	repository_attribute,
};

/* --- Logs --------------------------------------------------------------------------------------------------------- */

static const struct property log_group_properties[] = {
	STRING("KmsKeyId"),
	{ "LogGroupClass", PROPERTY_STRING, false, true, NULL, "STANDARD|INFREQUENT_ACCESS|DELIVERY" },
	FIXED("LogGroupName"),
	{ "RetentionInDays", PROPERTY_INTEGER, false, false, NULL, NULL },
	TAGS,
	END,
};

static const char *log_group_arn(const struct resource_call *call, const char *name)
{
	return arena_printf(call->arena, "arn:aws:logs:%s:" CLOUD_ACCOUNT ":log-group:%s:*", call->cloud->region, name);
}

/* -1: not one of the numbers that there are. */
static int retention(const struct resource_call *call, int64_t *ret, struct error *err)
{
	static const int days[] = { 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192,
		2557, 2922, 3288, 3653 };
	*ret = json_integer_value(json_object_get(call->properties, "RetentionInDays"));
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++)
		if (days[i] == *ret)
			return 0;
	return error_set(err, 0,
		"Properties validation failed for resource %s with message:\n#/RetentionInDays: #: %lld is not a "
		"valid enum value",
		call->logical, (long long)*ret);
}

static int create_log_group(const struct resource_call *call, const char **ret_physical, struct error *err)
{
	const char *name = resources_name(call, "LogGroupName", 512, false);
	int64_t days;
	struct error cause;
	if (retention(call, &days, err) < 0 ||
		resources_permit(call, "logs", "CreateLogGroup", log_group_arn(call, name), err) < 0)
		return -1;
	if (logs_create(call->cloud->logs, name, days, &cause) < 0)
		return resources_fail(call, "CloudWatchLogs", 400, "AlreadyExists", cause.text, err);
	*ret_physical = name;
	return 0;
}

static int update_log_group(const struct resource_call *call, struct error *err)
{
	int64_t days;
	if (retention(call, &days, err) < 0 ||
		resources_permit(call, "logs", "PutRetentionPolicy", log_group_arn(call, call->physical), err) < 0)
		return -1;
	logs_keep(call->cloud->logs, call->physical, days);
	return 0;
}

static int delete_log_group(const struct resource_call *call, struct error *err)
{
	if (resources_permit(call, "logs", "DeleteLogGroup", log_group_arn(call, call->physical), err) < 0)
		return -1;
	logs_delete(call->cloud->logs, call->physical);
	return 0;
}

static json_t *log_group_attribute(const struct resource_call *call, const char *attribute)
{
	return json_string(attribute ? log_group_arn(call, call->physical) : call->physical);
}

static const struct resource_ops log_group = {
	{ "AWS::Logs::LogGroup", log_group_properties, (const char *const[]){ "Arn", NULL } },
	create_log_group,
	update_log_group,
	delete_log_group,
	log_group_attribute,
};

/* --- All of them -------------------------------------------------------------------------------------------------- */

static const struct resource_ops *const types[] = { &resources_bucket, &resources_bucket_policy, &repository, &role,
	&managed_policy, &log_group };

const struct resource_type *resources_find(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i]->type.name, name) == 0)
			return &types[i]->type;
	return NULL;
}

bool resources_known(const char *type)
{
	return resources_find(type);
}

bool resources_has_attribute(const char *type, const char *attribute)
{
	const struct resource_type *found = resources_find(type);
	for (size_t i = 0; found && found->attributes[i]; i++)
		if (strcmp(found->attributes[i], attribute) == 0)
			return true;
	return false;
}

static const struct resource_ops *ops_of(const struct resource_call *call)
{
	return (const struct resource_ops *)((const char *)call->type - offsetof(struct resource_ops, type));
}

int resources_create(const struct resource_call *call, const char **ret_physical, struct error *err)
{
	return ops_of(call)->create(call, ret_physical, err);
}

int resources_update(const struct resource_call *call, struct error *err)
{
	return ops_of(call)->update(call, err);
}

int resources_delete(const struct resource_call *call, struct error *err)
{
	return ops_of(call)->delete (call, err);
}

json_t *resources_attribute(const struct resource_call *call, const char *attribute)
{
	return ops_of(call)->attribute(call, attribute);
}
