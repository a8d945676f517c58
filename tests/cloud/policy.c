#include "tests/cloud/policy.h"

#include <stdint.h>
#include <string.h>

/* A string, or an array of strings. */
static bool is_words(const json_t *value)
{
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!json_is_string(json_array_get(value, i)))
			return false;
	return json_is_string(value) || json_array_size(value) > 0;
}

static int check_statement(const json_t *statement, enum policy_kind kind, struct error *err)
{
	static const char *const known[] = { "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource",
		"Principal", "NotPrincipal", "Condition" };
	const char *key, *effect = json_string_value(json_object_get(statement, "Effect"));
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)statement, key, value)
	{
		size_t i = 0;
		while (i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], key) != 0)
			i++;
		if (i == sizeof(known) / sizeof(known[0]))
			return error_set(err, 0, "Syntax errors in policy.");
	}
	const json_t *action = json_object_get(statement, "Action"), *not = json_object_get(statement, "NotAction");
	const json_t *principal = json_object_get(statement, "Principal");
	bool resource = json_object_get(statement, "Resource") || json_object_get(statement, "NotResource");
	if (!effect || (strcmp(effect, "Allow") != 0 && strcmp(effect, "Deny") != 0))
		return error_set(err, 0, "Syntax errors in policy.");
	if (!action == !not || !is_words(action ? action : not ))
		return error_set(err, 0, "Policy statement must contain actions.");
	if (kind != POLICY_TRUST && action) {
		for (size_t i = 0; i < (json_is_array(action) ? json_array_size(action) : 1); i++) {
			const char *word = json_string_value(
				json_is_array(action) ? json_array_get(action, i) : action);
			if (!strchr(word, ':') && strcmp(word, "*") != 0)
				return error_set(err, 0,
					"Actions/Conditions must be prefaced by a vendor, e.g., iam, "
					"sdb, ec2, etc.");
		}
	}
	if (kind == POLICY_IDENTITY && (principal || json_object_get(statement, "NotPrincipal")))
		return error_set(err, 0, "Policy document should not specify a principal.");
	if (kind == POLICY_IDENTITY && !resource)
		return error_set(err, 0, "Policy statement must contain resources.");
	if (kind == POLICY_TRUST && resource)
		return error_set(err, 0, "Has prohibited field Resource");
	if (kind != POLICY_IDENTITY && !principal && !json_object_get(statement, "NotPrincipal"))
		return error_set(err, 0, "Missing required field Principal");
	return 0;
}

int policy_check(const json_t *policy, enum policy_kind kind, struct error *err)
{
	const char *version = json_string_value(json_object_get(policy, "Version"));
	const json_t *statements = json_object_get(policy, "Statement");
	if (!json_is_object(policy) || !statements ||
		(version && strcmp(version, "2012-10-17") != 0 && strcmp(version, "2008-10-17") != 0))
		return error_set(err, 0, "Syntax errors in policy.");
	if (json_is_object(statements))
		return check_statement(statements, kind, err);
	if (json_array_size(statements) == 0)
		return error_set(err, 0, "Syntax errors in policy.");
	for (size_t i = 0; i < json_array_size(statements); i++)
		if (check_statement(json_array_get(statements, i), kind, err) < 0)
			return -1;
	return 0;
}

static bool names(const json_t *words, const char *word)
{
	for (size_t i = 0; i < json_array_size(words); i++)
		if (names(json_array_get(words, i), word))
			return true;
	return json_is_string(words) && strcmp(json_string_value(words), word) == 0;
}

bool policy_allows(const json_t *policy, const char *service, const char *action)
{
	const json_t *statements = json_object_get(policy, "Statement");
	size_t n = json_is_array(statements) ? json_array_size(statements) : 1;
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_is_array(statements) ? json_array_get(statements, i) : statements;
		if (names(json_object_get(one, "Effect"), "Allow") && names(json_object_get(one, "Action"), action) &&
			names(json_object_get(json_object_get(one, "Principal"), "Service"), service))
			return true;
	}
	return false;
}
