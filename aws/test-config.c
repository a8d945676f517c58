#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/config.h"
#include "aws/test-home.h"

/* The variables are given beside HOME; up to the NULL. */
struct world {
	struct arena arena;
	struct aws_config config;
	struct error err;
	int result;
};

static void load(struct world *world, const char *profile, const char *region, const char *const *variables)
{
	*world = (struct world){ .arena = ARENA_INIT };
	char **environment = arena_array(&world->arena, char *, 16);
	size_t n = 0;
	environment[n++] = arena_printf(&world->arena, "HOME=%s", home);
	for (; variables && *variables; variables++)
		environment[n++] = arena_strdup(&world->arena, *variables);
	world->result = aws_config_load(profile, region, environment, &world->config, &world->err);
}

static void unload(struct world *world)
{
	aws_config_deinit(&world->config);
	arena_deinit(&world->arena);
}

#define _cleanup_world_ __attribute__((cleanup(unload)))
#define VARIABLES(...)	((const char *const[]){ __VA_ARGS__, NULL })

static void config__without_files_there_is_a_default_profile_without_region(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	bool custom;
	write_file("config", "");
	write_file("credentials", "");
	load(&world, NULL, NULL, VARIABLES("AWS_CONFIG_FILE=/nonexistent/config"));
	assert_int_equal(world.result, 0);
	assert_string_equal(world.config.profile, "default");
	assert_false(world.config.profile_named);
	assert_null(world.config.region);
	assert_null(world.config.ca_bundle);
	assert_null(aws_config_endpoint(&world.config, "lambda", &world.arena, &custom));
	assert_null(aws_config_signing_region(&world.config, "lambda"));
	assert_string_equal(
		aws_config_endpoint(&world.config, "sts", &world.arena, &custom), "https://sts.amazonaws.com");
	assert_string_equal(aws_config_signing_region(&world.config, "sts"), "us-east-1");
}

static void config__the_profile_is_asked_for_or_named_by_the_environment(void **state)
{
	(void)state;
	write_file("config", "[default]\nregion=d\n[profile a]\nregion = ra\nca_bundle=/ca\nuse_fips_endpoint = TRUE\n"
			     "[profile \"b c\"]\nregion=rb\n");
	write_file("credentials", "[only here]\naws_access_key_id = x\n");
	static const struct {
		const char *asked, *variable, *another, *profile, *region;
		bool named;
	} cases[] = {
		{ NULL, "X=", "X=", "default", "d", false },
		{ NULL, "AWS_PROFILE=", "X=", "default", "d", false },
		{ "a", "AWS_PROFILE=b c", "AWS_DEFAULT_PROFILE=default", "a", "ra", true },
		{ NULL, "AWS_PROFILE=b c", "AWS_DEFAULT_PROFILE=a", "b c", "rb", true },
		{ NULL, "X=", "AWS_DEFAULT_PROFILE=a", "a", "ra", true },
		{ NULL, "AWS_PROFILE=only here", "X=", "only here", NULL, true },
		{ NULL, "AWS_PROFILE=default", "AWS_DEFAULT_REGION=other", "default", "other", true },
		{ NULL, "AWS_REGION=one", "AWS_DEFAULT_REGION=other", "default", "one", false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_world_ struct world world;
		load(&world, cases[i].asked, NULL, VARIABLES(cases[i].variable, cases[i].another));
		assert_int_equal(world.result, 0);
		assert_string_equal(world.config.profile, cases[i].profile);
		assert_int_equal(world.config.profile_named, cases[i].named);
		if (cases[i].region)
			assert_string_equal(world.config.region, cases[i].region);
		else
			assert_null(world.config.region);
	}
	_cleanup_world_ struct world world;
	load(&world, "a", "asked", VARIABLES("AWS_REGION=one", "AWS_CA_BUNDLE=/env"));
	assert_string_equal(world.config.region, "asked");
	assert_string_equal(world.config.ca_bundle, "/env");
	assert_true(world.config.fips);
	assert_false(world.config.dualstack);
}

static void config__a_profile_that_is_nowhere_and_a_bad_region_are_errors(void **state)
{
	(void)state;
	write_file("config", "[profile a]\nregion = x/../y\n");
	write_file("credentials", "");
	struct world world;
	load(&world, "b", NULL, NULL);
	assert_int_equal(world.result, -1);
	assert_non_null(strstr(world.err.text, "there is no AWS profile b"));
	assert_non_null(strstr(world.err.text, "/.aws/credentials"));
	unload(&world);
	load(&world, "a", NULL, NULL);
	assert_int_equal(world.result, -1);
	assert_string_equal(world.err.text, "\"x/../y\" is not the name of an AWS region");
	unload(&world);
}

static void config__a_malformed_file_is_named_with_its_line_but_not_its_text(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "[default]\naws_secret_access_key SECRET\n");
	_cleanup_world_ struct world world;
	load(&world, NULL, NULL, NULL);
	assert_int_equal(world.result, -1);
	assert_non_null(strstr(world.err.text, "/.aws/credentials: line 2: "));
	assert_null(strstr(world.err.text, "SECRET"));
}

static void config__settings_come_from_the_config_file_before_the_credentials_file(void **state)
{
	(void)state;
	write_file("config",
		"[profile a]\nregion = c\naws_access_key_id = fromconfig\ns3 =\n  addressing_style = path\n"
		"[sso-session my]\nsso_region = z\n[plugins]\nx = y\n");
	write_file("credentials", "[a]\nregion = s\noutput = text\naws_access_key_id = fromshared\n");
	_cleanup_world_ struct world world;
	load(&world, "a", NULL, NULL);
	const struct aws_config *config = &world.config;
	assert_string_equal(aws_config_get(config, NULL, "region"), "c");
	assert_string_equal(aws_config_get(config, NULL, "output"), "text");
	assert_string_equal(aws_config_get(config, "profile a", "s3.addressing_style"), "path");
	assert_string_equal(aws_config_get(config, "sso-session my", "sso_region"), "z");
	assert_string_equal(aws_config_get_shared(config, NULL, "aws_access_key_id"), "fromshared");
	assert_string_equal(aws_config_get_profile(config, NULL, "aws_access_key_id"), "fromconfig");
	assert_null(aws_config_get_shared(config, "sso-session my", "sso_region"));
	assert_null(aws_config_get(config, NULL, "none"));
	assert_true(aws_config_has_section(config, "profile a"));
	assert_false(aws_config_has_section(config, "profile b"));
}

static void config__files_are_found_by_variables(void **state)
{
	(void)state;
	write_file("other", "[default]\nregion = other\n");
	write_file("config", "[default]\nregion = usual\n");
	write_file("credentials", "");
	struct world world;
	load(&world, NULL, NULL, VARIABLES("AWS_CONFIG_FILE=~/.aws/other", "AWS_SHARED_CREDENTIALS_FILE=/dev/null"));
	assert_int_equal(world.result, 0);
	assert_string_equal(world.config.region, "other");
	assert_string_equal(world.config.credentials_file, "/dev/null");
	unload(&world);
	load(&world, NULL, NULL, NULL);
	assert_string_equal(world.config.region, "usual");
	unload(&world);
}

/* What botocore 1.43 makes of these. */
static void config__endpoints_are_those_of_aws(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "");
	static const struct {
		const char *service, *region;
		bool dualstack, fips;
		const char *url;
	} cases[] = {
		{ "s3", "us-east-1", 0, 0, "https://s3.us-east-1.amazonaws.com" },
		{ "s3", "eu-central-1", 1, 0, "https://s3.dualstack.eu-central-1.amazonaws.com" },
		{ "s3", "us-east-1", 0, 1, "https://s3-fips.us-east-1.amazonaws.com" },
		{ "s3", "us-gov-west-1", 1, 1, "https://s3-fips.dualstack.us-gov-west-1.amazonaws.com" },
		{ "s3", "cn-north-1", 1, 0, "https://s3.dualstack.cn-north-1.amazonaws.com.cn" },
		{ "s3", "us-isob-east-1", 0, 0, "https://s3.us-isob-east-1.sc2s.sgov.gov" },
		{ "lambda", "eu-central-1", 0, 0, "https://lambda.eu-central-1.amazonaws.com" },
		{ "lambda", "eu-central-1", 1, 0, "https://lambda.eu-central-1.api.aws" },
		{ "lambda", "us-gov-west-1", 0, 1, "https://lambda-fips.us-gov-west-1.amazonaws.com" },
		{ "lambda", "cn-northwest-1", 0, 0, "https://lambda.cn-northwest-1.amazonaws.com.cn" },
		{ "lambda", "cn-north-1", 1, 1, "https://lambda-fips.cn-north-1.api.amazonwebservices.com.cn" },
		{ "lambda", "us-iso-east-1", 0, 0, "https://lambda.us-iso-east-1.c2s.ic.gov" },
		{ "lambda", "eusc-de-east-1", 1, 0, "https://lambda.eusc-de-east-1.api.amazonwebservices.eu" },
		{ "ecr", "us-east-1", 0, 0, "https://api.ecr.us-east-1.amazonaws.com" },
		{ "ecr", "us-east-1", 0, 1, "https://api.ecr-fips.us-east-1.amazonaws.com" },
		{ "ecr", "us-east-1", 1, 1, "https://ecr-fips.us-east-1.api.aws" },
		{ "ecr", "us-gov-west-1", 0, 1, "https://api.ecr-fips.us-gov-west-1.amazonaws.com" },
		{ "cloudformation", "us-gov-west-1", 0, 1, "https://cloudformation.us-gov-west-1.amazonaws.com" },
		{ "cloudformation", "us-east-2", 0, 1, "https://cloudformation-fips.us-east-2.amazonaws.com" },
		{ "logs", "us-east-1", 1, 0, "https://logs.us-east-1.api.aws" },
		{ "sts", "us-gov-west-1", 0, 1, "https://sts.us-gov-west-1.amazonaws.com" },
		{ "sts", "us-gov-west-1", 1, 1, "https://sts-fips.us-gov-west-1.api.aws" },
		{ "sts", "ap-south-1", 0, 0, "https://sts.ap-south-1.amazonaws.com" },
		{ "sso", "us-east-1", 0, 1, "https://portal.sso-fips.us-east-1.amazonaws.com" },
		{ "sso", "eu-central-1", 1, 0, "https://portal.sso.eu-central-1.api.aws" },
		{ "iam", "eu-central-1", 0, 0, "https://iam.amazonaws.com" },
		{ "iam", "eu-central-1", 0, 1, "https://iam-fips.amazonaws.com" },
		{ "iam", "cn-northwest-1", 0, 0, "https://iam.cn-north-1.amazonaws.com.cn" },
		{ "iam", "us-gov-east-1", 0, 1, "https://iam.us-gov.amazonaws.com" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_world_ struct world world;
		bool custom;
		load(&world, NULL, cases[i].region,
			VARIABLES(cases[i].dualstack ? "AWS_USE_DUALSTACK_ENDPOINT=true" : "X=",
				cases[i].fips ? "AWS_USE_FIPS_ENDPOINT=true" : "X="));
		assert_string_equal(
			aws_config_endpoint(&world.config, cases[i].service, &world.arena, &custom), cases[i].url);
		assert_false(custom);
	}
}

static void config__iam_is_signed_for_the_first_region_of_its_partition(void **state)
{
	(void)state;
	static const char *const cases[][2] = { { "eu-west-1", "us-east-1" }, { "cn-northwest-1", "cn-north-1" },
		{ "us-gov-east-1", "us-gov-west-1" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_world_ struct world world;
		load(&world, NULL, cases[i][0], NULL);
		assert_string_equal(aws_config_signing_region(&world.config, "iam"), cases[i][1]);
		assert_string_equal(aws_config_signing_region(&world.config, "lambda"), cases[i][0]);
	}
}

static void config__custom_endpoints_go_from_the_particular_to_the_general(void **state)
{
	(void)state;
	write_file("config",
		"[profile a]\nendpoint_url = http://profile/\nservices = s\n"
		"[services s]\ns3 =\n  endpoint_url = http://services\ncloudwatch_logs =\n  endpoint_url=http://cw\n"
		"[profile ignore]\nendpoint_url = http://profile\nignore_configured_endpoint_urls = true\n");
	write_file("credentials", "");
	static const struct {
		const char *profile, *variable, *another, *service, *url;
	} cases[] = {
		{ "a", "AWS_ENDPOINT_URL_S3=http://s3//", "AWS_ENDPOINT_URL=http://all", "s3", "http://s3" },
		{ "a", "AWS_ENDPOINT_URL_S3=http://s3", "AWS_ENDPOINT_URL=http://all", "lambda", "http://all" },
		{ "a", "X=", "AWS_ENDPOINT_URL=http://all/x/", "s3", "http://all/x" },
		{ "a", "X=", "AWS_ENDPOINT_URL=", "s3", "http://services" },
		{ "a", "X=", "X=", "logs", "http://cw" },
		{ "a", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=http://env", "X=", "logs", "http://env" },
		{ "a", "X=", "X=", "lambda", "http://profile" },
		{ "a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_ENDPOINT_URL_S3=http://s3", "s3", NULL },
		{ "ignore", "X=", "X=", "s3", NULL },
		{ "ignore", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false", "X=", "s3", "http://profile" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_world_ struct world world;
		bool custom;
		load(&world, cases[i].profile, "us-east-1", VARIABLES(cases[i].variable, cases[i].another));
		const char *url = aws_config_endpoint(&world.config, cases[i].service, &world.arena, &custom);
		assert_int_equal(custom, cases[i].url != NULL);
		assert_string_equal(url, cases[i].url ? cases[i].url : "https://s3.us-east-1.amazonaws.com");
	}
	/* A store of one's own needs no region. */
	_cleanup_world_ struct world world;
	load(&world, NULL, NULL, VARIABLES("AWS_ENDPOINT_URL=http://localhost:9000"));
	assert_string_equal(aws_config_signing_region(&world.config, "s3"), "us-east-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config__without_files_there_is_a_default_profile_without_region),
		cmocka_unit_test(config__the_profile_is_asked_for_or_named_by_the_environment),
		cmocka_unit_test(config__a_profile_that_is_nowhere_and_a_bad_region_are_errors),
		cmocka_unit_test(config__a_malformed_file_is_named_with_its_line_but_not_its_text),
		cmocka_unit_test(config__settings_come_from_the_config_file_before_the_credentials_file),
		cmocka_unit_test(config__files_are_found_by_variables),
		cmocka_unit_test(config__endpoints_are_those_of_aws),
		cmocka_unit_test(config__iam_is_signed_for_the_first_region_of_its_partition),
		cmocka_unit_test(config__custom_endpoints_go_from_the_particular_to_the_general),
	};
	return cmocka_run_group_tests(tests, make_home, remove_home);
}
