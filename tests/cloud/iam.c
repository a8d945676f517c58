#include "tests/cloud/iam.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/policy.h"

struct iam {
	struct cloud *cloud;
	pthread_mutex_t lock;
	json_t *entities[2]; /* by kind: name → {"properties": {…}, "created_ms": by the monotonic clock} */
	json_t *known;	     /* names of all roles that there have been */
};

struct iam *iam_new(struct cloud *cloud)
{
	struct iam *iam = calloc(1, sizeof(*iam));
	if (!iam)
		abort();
	*iam = (struct iam){ cloud, PTHREAD_MUTEX_INITIALIZER, { json_object(), json_object() }, json_object() };
	return iam;
}

void iam_free(struct iam *iam)
{
	if (!iam)
		return;
	json_decref(iam->entities[IAM_ROLE]);
	json_decref(iam->entities[IAM_POLICY]);
	json_decref(iam->known);
	free(iam);
}

static int check(enum iam_kind kind, const json_t *properties, struct error *err)
{
	if (kind == IAM_POLICY)
		return policy_check(json_object_get(properties, "PolicyDocument"), POLICY_IDENTITY, err);
	if (policy_check(json_object_get(properties, "AssumeRolePolicyDocument"), POLICY_TRUST, err) < 0)
		return -1;
	const json_t *policies = json_object_get(properties, "Policies");
	for (size_t i = 0; i < json_array_size(policies); i++)
		if (policy_check(json_object_get(json_array_get(policies, i), "PolicyDocument"), POLICY_IDENTITY, err) <
			0)
			return -1;
	return 0;
}

static int put(
	struct iam *iam, enum iam_kind kind, const char *name, const json_t *properties, bool new, struct error *err)
{
	if (check(kind, properties, err) < 0)
		return -1;
	pthread_mutex_lock(&iam->lock);
	const json_t *old = json_object_get(iam->entities[kind], name);
	int r = 0;
	if (old && new) {
		r = error_set(err, 0,
			kind == IAM_ROLE ? "Role with name %s already exists."
					 : "A policy called %s already exists. Duplicate names are not allowed.",
			name);
	} else {
		json_int_t created = old ? json_integer_value(json_object_get(old, "created_ms"))
					 : clock_monotonic_ms();
		json_object_set_new(iam->entities[kind], name,
			json_pack("{s:o, s:I}", "properties", json_deep_copy(properties), "created_ms", created));
		if (kind == IAM_ROLE)
			json_object_set_new(iam->known, name, json_true());
	}
	pthread_mutex_unlock(&iam->lock);
	return r;
}

int iam_create(struct iam *iam, enum iam_kind kind, const char *name, const json_t *properties, struct error *err)
{
	return put(iam, kind, name, properties, true, err);
}

int iam_update(struct iam *iam, enum iam_kind kind, const char *name, const json_t *properties, struct error *err)
{
	return put(iam, kind, name, properties, false, err);
}

void iam_delete(struct iam *iam, enum iam_kind kind, const char *name)
{
	pthread_mutex_lock(&iam->lock);
	json_object_del(iam->entities[kind], name);
	pthread_mutex_unlock(&iam->lock);
}

bool iam_lambda_can_assume(struct iam *iam, const char *arn)
{
	const char *name = strrchr(arn, '/') + 1;
	pthread_mutex_lock(&iam->lock);
	const json_t *role = json_object_get(iam->entities[IAM_ROLE], name);
	bool can = role ? policy_allows(
				  json_object_get(json_object_get(role, "properties"), "AssumeRolePolicyDocument"),
				  "lambda.amazonaws.com", "sts:AssumeRole") &&
				   clock_monotonic_ms() >= json_integer_value(json_object_get(role, "created_ms")) +
								   cloud_setting(iam->cloud, SETTING_ROLE_DELAY_MS)
			: !json_object_get(iam->known, name) && !cloud_setting(iam->cloud, SETTING_STRICT_ROLES);
	pthread_mutex_unlock(&iam->lock);
	return can;
}

json_t *iam_names(struct iam *iam, enum iam_kind kind)
{
	json_t *names = json_array(), *value;
	const char *name;
	pthread_mutex_lock(&iam->lock);
	json_object_foreach(iam->entities[kind], name, value) json_array_append_new(names, json_string(name));
	pthread_mutex_unlock(&iam->lock);
	return names;
}
