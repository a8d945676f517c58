#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/cloud/properties.h"
#include "tests/cloud/query.h"
#include "tests/cloud/resources.h"
#include "tests/cloud/template.h"

static const struct template_types types = { resources_known, resources_has_attribute };
static struct arena arena;

#define BUCKET	       "\"B\": {\"Type\": \"AWS::S3::Bucket\"}"
#define TEMPLATE(rest) "{\"Resources\": {" BUCKET rest "}"
/* A template whose output is the value. */
#define OUTPUT(value)                                                                                                  \
	"{\"Parameters\": {\"P\": {\"Type\": \"String\", \"Default\": \"p\"}, \"L\": {\"Type\": "                      \
	"\"CommaDelimitedList\", \"Default\": \"x,y\"}, \"N\": {\"Type\": \"Number\", \"Default\": 7}}, "              \
	"\"Conditions\": {\"Yes\": {\"Fn::Equals\": [{\"Ref\": \"P\"}, \"p\"]}, "                                      \
	"\"No\": {\"Fn::Not\": [{\"Condition\": \"Yes\"}]}, "                                                          \
	"\"Both\": {\"Fn::And\": [{\"Condition\": \"Yes\"}, {\"Condition\": \"No\"}]}, "                               \
	"\"One\": {\"Fn::Or\": [{\"Condition\": \"Yes\"}, {\"Condition\": \"No\"}]}}, "                                \
	"\"Resources\": {" BUCKET "}, \"Outputs\": {\"O\": {\"Value\": " value "}}}"

static json_t *attribute(void *ctx, const char *resource, const char *name, struct error *err)
{
	return json_string(arena_printf(&arena, "<%s.%s>", resource, name ? name : "Ref"));
}

static int free_arena(void **unused)
{
	arena_deinit(&arena);
	return 0;
}

/* What AWS would say of it; "" nothing. */
static const char *judge(const char *text)
{
	struct template template;
	struct error err;
	if (template_parse(slice_str(text), &types, &template, &err) < 0)
		return arena_strdup(&arena, err.text);
	template_deinit(&template);
	return "";
}

/* The parameters' values as JSON, or what is wrong with them. */
static const char *parameters(const char *declared, const char *given)
{
	struct template template;
	struct error err;
	const char *text = arena_printf(&arena, "{\"Parameters\": {%s}, \"Resources\": {" BUCKET "}}", declared);
	assert_string_equal(judge(text), "");
	assert_int_equal(template_parse(slice_str(text), &types, &template, &err), 0);
	json_t *values = json_loads(given, 0, NULL), *result = template_parameters(&template, values, &err);
	char *dump = result ? json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS) : strdup(err.text);
	const char *ret = arena_strdup(&arena, dump);
	free(dump);
	json_decref(values);
	json_decref(result);
	template_deinit(&template);
	return ret;
}

/* The value of the only output, as JSON. */
static const char *value_of(const char *text)
{
	struct template template;
	struct error err;
	assert_string_equal(judge(text), "");
	assert_int_equal(template_parse(slice_str(text), &types, &template, &err), 0);
	json_t *given = json_object(), *values = template_parameters(&template, given, &err);
	assert_non_null(values);
	struct template_scope scope = { &template, values, "us-east-1", "000000000000", "s", "id", attribute, NULL };
	json_t *output = json_object_get(json_object_get(json_object_get(template.root, "Outputs"), "O"), "Value");
	json_t *result = template_resolve(&scope, output, &err);
	char *dump = result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup(err.text);
	const char *ret = arena_strdup(&arena, dump);
	free(dump);
	json_decref(result);
	json_decref(values);
	json_decref(given);
	template_deinit(&template);
	return ret;
}

static void template__what_is_wrong_is_said_in_awss_words(void **unused)
{
	static const struct {
		const char *text, *said;
	} table[] = {
		{ TEMPLATE("}"), "" },
		{ "Resources:\n  B:\n", "JSON, not in YAML" },
		{ "{\"Resources\": ", "JSON not well-formed. (line 1, column" },
		{ "{}", "At least one Resources member must be defined." },
		{ TEMPLATE("}, \"Resource\": {}"), "Invalid template property or properties [Resource]" },
		{ TEMPLATE("}, \"AWSTemplateFormatVersion\": \"2026-01-01\""), "unsupported value" },
		{ TEMPLATE(", \"A-B\": {\"Type\": \"AWS::S3::Bucket\"}}"), "Resource name A-B is non alphanumeric." },
		{ TEMPLATE(", \"C\": {}}"), "must contain a Type member" },
		{ TEMPLATE(", \"C\": {\"Type\": \"AWS::EC2::Instance\"}}"),
			"Unrecognized resource types: [AWS::EC2::Instance]" },
		{ TEMPLATE(", \"C\": {\"Type\": \"AWS::S3::Bucket\", \"Property\": {}}}"), "[Property]" },
		{ TEMPLATE(", \"C\": {\"Type\": \"AWS::S3::Bucket\", \"DependsOn\": \"X\"}}"),
			"Unresolved resource dependencies [X] in the Resources block" },
		{ TEMPLATE(", \"C\": {\"Type\": \"AWS::S3::Bucket\", \"DependsOn\": \"C\"}}"),
			"Circular dependency between resources: [C]" },
		{ TEMPLATE(", \"C\": {\"Type\": \"AWS::S3::Bucket\", \"Condition\": \"X\"}}"),
			"Unresolved condition dependency X" },
		{ TEMPLATE(", \"C\": {\"Type\": \"AWS::S3::Bucket\", \"Properties\": {\"BucketName\": null}}}"),
			"'null' values are not allowed" },
		{ TEMPLATE("}, \"Mappings\": {}"), "[Mappings]" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {}}"), "must contain a Value" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {\"Value\": {\"Ref\": \"X\"}}}"),
			"Unresolved resource dependencies [X] in the Outputs block" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {\"Value\": {\"Fn::GetAtt\": [\"B\", \"Uri\"]}}}"),
			"resource B does not support attribute type Uri in Fn::GetAtt" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {\"Value\": {\"Fn::GetAtt\": \"X.Arn\"}}}"),
			"references undefined resource X" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {\"Value\": {\"Fn::Sub\": \"${X}\"}}}"),
			"Unresolved resource dependencies [X]" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {\"Value\": {\"Fn::Sub\": \"${a b}\"}}}"), "alphanumeric" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {\"Value\": {\"Fn::Base64\": \"x\"}}}"), "no Fn::Base64" },
		{ TEMPLATE("}, \"Outputs\": {\"O\": {\"Value\": {\"Fn::Join\": [\"x\"]}}}"), "Fn::Join" },
		{ TEMPLATE("}, \"Conditions\": {\"A\": {\"Condition\": \"A\"}}"), "circular" },
		{ TEMPLATE("}, \"Conditions\": {\"A\": {\"Fn::Equals\": [\"a\", {\"Ref\": \"B\"}]}}"), "Fn::Equals" },
		{ TEMPLATE("}, \"Parameters\": {\"L\": {\"Type\": \"CommaDelimitedList\"}}, \"Conditions\": {\"A\": "
			   "{\"Fn::Equals\": [\"a\", {\"Ref\": \"L\"}]}}"),
			"Fn::Equals" },
		{ TEMPLATE("}, \"Parameters\": {\"P\": {\"Type\": \"Boolean\"}}"), "Unrecognized parameter type" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *text = table[i].text;
		const char *said = judge(text);
		if (table[i].said[0] ? !strstr(said, table[i].said) : *said)
			fail_msg("of %s it says \"%s\"", text, said);
	}
	char *large = calloc(1, TEMPLATE_BYTES + 2);
	memset(large, ' ', TEMPLATE_BYTES + 1);
	assert_non_null(strstr(judge(large), "less than or equal to 51200"));
	free(large);
}

static void template__parameters_have_defaults_and_constraints(void **unused)
{
	static const struct {
		const char *declared, *given, *result;
	} table[] = {
		{ "\"P\": {\"Type\": \"String\", \"Default\": \"d\"}", "{}", "{\"P\":\"d\"}" },
		{ "\"P\": {\"Type\": \"String\", \"Default\": \"d\"}", "{\"P\": \"\"}", "{\"P\":\"\"}" },
		{ "\"P\": {\"Type\": \"Number\", \"Default\": 30}", "{}", "{\"P\":\"30\"}" },
		{ "\"P\": {\"Type\": \"CommaDelimitedList\"}", "{\"P\": \"a,b\"}", "{\"P\":[\"a\",\"b\"]}" },
		{ "\"P\": {\"Type\": \"String\"}, \"Q\": {\"Type\": \"String\"}", "{}",
			"Parameters: [P, Q] must have values" },
		{ "\"P\": {\"Type\": \"String\", \"Default\": \"\"}", "{\"Q\": \"\"}",
			"Parameters: [Q] do not exist in the template" },
		{ "\"P\": {\"Type\": \"Number\"}", "{\"P\": \"x\"}", "Parameter 'P' must be a number." },
		{ "\"P\": {\"Type\": \"Number\", \"MinValue\": 2}", "{\"P\": \"1\"}",
			"Parameter 'P' must be a number not less than 2" },
		{ "\"P\": {\"Type\": \"String\", \"AllowedValues\": [\"a\"]}", "{\"P\": \"b\"}",
			"Parameter 'P' must be one of AllowedValues" },
		{ "\"P\": {\"Type\": \"String\", \"AllowedPattern\": \"[a-z]+\"}", "{\"P\": \"aB\"}",
			"Parameter 'P' must match pattern [a-z]+" },
		{ "\"P\": {\"Type\": \"String\", \"MaxLength\": 1}", "{\"P\": \"ab\"}",
			"Parameter 'P' must contain at most 1 characters" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(parameters(table[i].declared, table[i].given), table[i].result);
}

static void template__expressions_have_values(void **unused)
{
	static const struct {
		const char *text, *value;
	} table[] = {
		{ OUTPUT("\"plain\""), "\"plain\"" },
		{ OUTPUT("{\"Ref\": \"P\"}"), "\"p\"" },
		{ OUTPUT("{\"Ref\": \"N\"}"), "\"7\"" },
		{ OUTPUT("{\"Ref\": \"B\"}"), "\"<B.Ref>\"" },
		{ OUTPUT("{\"Ref\": \"AWS::Region\"}"), "\"us-east-1\"" },
		{ OUTPUT("{\"Ref\": \"AWS::NoValue\"}"), "null" },
		{ OUTPUT("[1, {\"Ref\": \"AWS::NoValue\"}, {\"a\": {\"Ref\": \"AWS::NoValue\"}}]"), "[1,{}]" },
		{ OUTPUT("{\"Fn::GetAtt\": [\"B\", \"Arn\"]}"), "\"<B.Arn>\"" },
		{ OUTPUT("{\"Fn::GetAtt\": \"B.Arn\"}"), "\"<B.Arn>\"" },
		{ OUTPUT("{\"Fn::Sub\": \"${P}-${B}-${B.Arn}-${AWS::StackName}-${!Not}-$x\"}"),
			"\"p-<B.Ref>-<B.Arn>-s-${Not}-$x\"" },
		{ OUTPUT("{\"Fn::Sub\": [\"${V}${P}\", {\"V\": {\"Ref\": \"N\"}}]}"), "\"7p\"" },
		{ OUTPUT("{\"Fn::Join\": [\"-\", [\"a\", {\"Ref\": \"P\"}, 1]]}"), "\"a-p-1\"" },
		{ OUTPUT("{\"Fn::Join\": [\"\", {\"Ref\": \"L\"}]}"), "\"xy\"" },
		{ OUTPUT("{\"Fn::Select\": [1, {\"Ref\": \"L\"}]}"), "\"y\"" },
		{ OUTPUT("{\"Fn::Select\": [2, {\"Ref\": \"L\"}]}"),
			"Template error: Fn::Select cannot select nonexistent value at index 2" },
		{ OUTPUT("{\"Fn::Select\": [0, {\"Fn::Split\": [\".\", \"a.b\"]}]}"), "\"a\"" },
		{ OUTPUT("{\"Fn::If\": [\"Yes\", \"y\", \"n\"]}"), "\"y\"" },
		{ OUTPUT("{\"Fn::If\": [\"No\", \"y\", \"n\"]}"), "\"n\"" },
		{ OUTPUT("{\"Fn::If\": [\"Both\", \"y\", \"n\"]}"), "\"n\"" },
		{ OUTPUT("{\"Fn::If\": [\"One\", \"y\", \"n\"]}"), "\"y\"" },
		/* A policy's Condition is none of the template's. */
		{ OUTPUT("{\"Condition\": {\"Bool\": {\"aws:SecureTransport\": \"false\"}}}"),
			"{\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}}}" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(value_of(table[i].text), table[i].value);
}

static void template__what_is_named_comes_first(void **unused)
{
	struct template template;
	struct error err;
	const char *text =
		"{\"Resources\": {"
		"\"A\": {\"Type\": \"AWS::S3::Bucket\", \"Properties\": {\"BucketName\": {\"Fn::Sub\": \"${C}-x\"}}},"
		"\"B\": {\"Type\": \"AWS::S3::Bucket\", \"DependsOn\": [\"A\"]},"
		"\"C\": {\"Type\": \"AWS::IAM::Role\", \"Properties\": {\"RoleName\": \"r\"}}}}";
	assert_int_equal(template_parse(slice_str(text), &types, &template, &err), 0);
	const char **order = template_order(&template, &arena);
	assert_string_equal(order[0], "C");
	assert_string_equal(order[1], "A");
	assert_string_equal(order[2], "B");
	assert_null(order[3]);
	assert_string_equal(template_capability(&template), "CAPABILITY_NAMED_IAM");
	template_deinit(&template);
}

static const char *judge_properties(const char *type, const char *text)
{
	struct error err;
	json_t *value = json_loads(text, 0, NULL);
	int r = properties_check(resources_find(type)->properties, value, &err);
	json_decref(value);
	return r < 0 ? arena_strdup(&arena, err.text) : "";
}

static void properties__are_only_those_that_there_are(void **unused)
{
	static const struct {
		const char *type, *properties, *said;
	} table[] = {
		{ "AWS::S3::Bucket", "{}", "" },
		{ "AWS::S3::Bucket", "{\"Name\": \"b\"}", "#: extraneous key [Name] is not permitted" },
		{ "AWS::S3::Bucket", "{\"LifecycleConfiguration\": {\"Rules\": [{\"Id\": \"a\"}]}}",
			"#/LifecycleConfiguration/Rules/0: required key [Status] not found" },
		{ "AWS::S3::Bucket", "{\"LifecycleConfiguration\": {\"Rules\": [{\"Status\": \"On\"}]}}",
			"#/LifecycleConfiguration/Rules/0/Status: #: On is not a valid enum value" },
		{ "AWS::S3::Bucket", "{\"PublicAccessBlockConfiguration\": {\"BlockPublicAcls\": \"yes\"}}",
			"#/PublicAccessBlockConfiguration/BlockPublicAcls: expected type: Boolean, found: String" },
		{ "AWS::S3::Bucket", "{\"PublicAccessBlockConfiguration\": {\"BlockPublicAcls\": \"true\"}}", "" },
		{ "AWS::ECR::Repository", "{\"EmptyOnDelete\": 1}",
			"#/EmptyOnDelete: expected type: Boolean, found: Integer" },
		{ "AWS::IAM::Role", "{}", "#: required key [AssumeRolePolicyDocument] not found" },
		{ "AWS::Logs::LogGroup", "{\"RetentionInDays\": \"14\"}", "" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(judge_properties(table[i].type, table[i].properties), table[i].said);
}

static void query__forms_are_decoded_or_refused(void **unused)
{
	struct query_form form;
	assert_int_equal(query_parse(slice_str("A=a+b%2B%c3%a4&Tags.member.1.Key=k&E=&F"), &arena, &form, NULL), 0);
	assert_int_equal(form.n, 4);
	assert_string_equal(query_get(&form, "A"), "a b+\xc3\xa4");
	assert_string_equal(query_member(&form, &arena, "Tags", 1, "Key"), "k");
	assert_null(query_member(&form, &arena, "Tags", 2, "Key"));
	assert_string_equal(query_get(&form, "E"), "");
	assert_string_equal(query_get(&form, "F"), "");
	assert_null(query_get(&form, "G"));
	static const char *const wrong[] = { "A=%", "A=%4", "A=%zz", "A=%00", "=a", "A=1&A=2", "&", "A=1&&B=2" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(query_parse(slice_str(wrong[i]), &arena, &form, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(template__what_is_wrong_is_said_in_awss_words, free_arena),
		cmocka_unit_test_teardown(template__parameters_have_defaults_and_constraints, free_arena),
		cmocka_unit_test_teardown(template__expressions_have_values, free_arena),
		cmocka_unit_test_teardown(template__what_is_named_comes_first, free_arena),
		cmocka_unit_test_teardown(properties__are_only_those_that_there_are, free_arena),
		cmocka_unit_test_teardown(query__forms_are_decoded_or_refused, free_arena),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
