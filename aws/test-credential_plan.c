/* The order of the chain, and what each place may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/credential_plan.h"
#include "aws/test-home.h"
#include "base/buf.h"

static void describe(const struct credential_source *s, struct buf *ret)
{
	switch (s->kind) {
	case CREDENTIAL_STATIC:
		buf_printf(ret, "keys %s/%s/%s", s->keys.access_key, s->keys.secret_key,
			s->keys.session_token ? s->keys.session_token : "-");
		break;
	case CREDENTIAL_ROLE:
		buf_printf(ret, "role %s as %s for %s s with %s of ", s->role_arn,
			s->session_name ? s->session_name : "-", s->duration_s ? s->duration_s : "-",
			s->external_id ? s->external_id : "-");
		describe(s->base, ret);
		break;
	case CREDENTIAL_WEB_IDENTITY:
		buf_printf(
			ret, "web %s in %s as %s", s->role_arn, s->token_file, s->session_name ? s->session_name : "-");
		break;
	case CREDENTIAL_SSO:
		buf_printf(ret, "sso %s %s %s %s", s->sso_region, s->sso_account, s->sso_role,
			strrchr(s->sso_cache_file, '/'));
		break;
	case CREDENTIAL_PROCESS:
		buf_append_str(ret, "process");
		for (char **word = s->command; *word; word++)
			buf_printf(ret, " <%s>", *word);
		break;
	case CREDENTIAL_CONTAINER:
		buf_printf(ret, "container %s %s %s", s->url, s->token ? s->token : "-",
			s->token_file ? s->token_file : "-");
		break;
	case CREDENTIAL_INSTANCE:
		buf_printf(ret, "instance %s%s", s->url, s->tried ? "" : " by name");
		break;
	}
}

/* What is planned, or "error: …", with the environment's variables up to the NULL. */
static const char *plan(const char *profile, const char *const *variables)
{
	static struct buf text;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char **environment = arena_array(&arena, char *, 16);
	size_t n = 0;
	environment[n++] = arena_printf(&arena, "HOME=%s", home);
	for (; *variables; variables++)
		environment[n++] = arena_strdup(&arena, *variables);
	struct aws_config config;
	struct error err = { 0 };
	const struct credential_source *source;
	buf_deinit(&text);
	assert_int_equal(aws_config_load(profile, NULL, environment, &config, &err), 0);
	if (credential_plan(&config, &arena, &source, &err) < 0)
		buf_printf(&text, "error: %s", err.text);
	else
		describe(source, &text);
	aws_config_deinit(&config);
	return text.ptr;
}

#define V(...)	      ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_VARIABLES  ((const char *const[]){ NULL })
#define ENV_KEYS      "AWS_ACCESS_KEY_ID=EA", "AWS_SECRET_ACCESS_KEY=ES"
#define ENV_WEB	      "AWS_WEB_IDENTITY_TOKEN_FILE=/t", "AWS_ROLE_ARN=arn:w"
#define ENV_CONTAINER "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/c"

static const char *concatenate(struct arena *arena, const char **parts)
{
	_cleanup_buf_ struct buf text = { 0 };
	for (; *parts; parts++)
		buf_append_str(&text, *parts);
	return arena_strdup(arena, buf_str(&text));
}

/* One profile that has all; each row takes the first place away. */
static void credential_plan__the_order_is_that_of_awss_tools(void **state)
{
	(void)state;
	static const char base[] = "[profile base]\naws_access_key_id = BA\naws_secret_access_key = BS\n[default]\n";
	static const char role[] = "role_arn = arn:r\nsource_profile = base\n";
	static const char sso[] =
		"sso_account_id = 1\nsso_role_name = R\nsso_region = us-east-1\nsso_start_url = https://x/start\n";
	static const char process[] = "credential_process = /bin/helper 'a b'\n";
	static const char keys[] = "aws_access_key_id = CA\naws_secret_access_key = CS\n";
	_cleanup_arena_ struct arena arena = ARENA_INIT;
#define CONFIG(...) write_file("config", concatenate(&arena, (const char *[]){ base, __VA_ARGS__, NULL }))
#define CREDENTIALS "[default]\naws_access_key_id = FA\naws_secret_access_key = FS\naws_session_token = FT\n"
	CONFIG(role, sso, process, keys);
	write_file("credentials", CREDENTIALS);
	assert_string_equal(plan(NULL, V(ENV_KEYS, "AWS_SESSION_TOKEN=ET", ENV_WEB, ENV_CONTAINER)), "keys EA/ES/ET");
	assert_string_equal(plan(NULL, V(ENV_WEB, ENV_CONTAINER)), "role arn:r as - for - s with - of keys BA/BS/-");
	CONFIG(sso, process, keys);
	assert_string_equal(plan(NULL, V(ENV_WEB, ENV_CONTAINER)), "web arn:w in /t as -");
	assert_string_equal(
		plan(NULL, V(ENV_CONTAINER)), "sso us-east-1 1 R /f9bd89c67fef27fcb5df8d2e4b64eabe5bae45a4.json");
	CONFIG(process, keys);
	assert_string_equal(plan(NULL, V(ENV_CONTAINER)), "keys FA/FS/FT");
	write_file("credentials", "");
	assert_string_equal(plan(NULL, V(ENV_CONTAINER)), "process </bin/helper> <a b>");
	CONFIG(keys);
	assert_string_equal(plan(NULL, V(ENV_CONTAINER)), "keys CA/CS/-");
	CONFIG("");
	assert_string_equal(plan(NULL, V(ENV_CONTAINER)), "container http://169.254.170.2/v2/c - -");
	assert_string_equal(plan(NULL, NO_VARIABLES), "instance http://169.254.169.254");
	const char *nothing = plan(NULL, V("AWS_EC2_METADATA_DISABLED=True"));
	assert_non_null(strstr(nothing, "error: no AWS credentials: no AWS_ACCESS_KEY_ID in the environment, no keys"));
	assert_non_null(strstr(nothing, "/.aws/credentials"));
	assert_non_null(strstr(nothing, "instance metadata disabled. `aws configure`"));
}

static void credential_plan__a_named_profile_passes_over_keys_in_the_environment(void **state)
{
	(void)state;
	write_file("config", "[profile empty]\nregion = x\n");
	write_file("credentials", "[dev]\naws_access_key_id = DA\naws_secret_access_key = DS\n"
				  "[default]\naws_access_key_id = FA\naws_secret_access_key = FS\n");
	assert_string_equal(plan(NULL, V(ENV_KEYS)), "keys EA/ES/-");
	assert_string_equal(plan("dev", V(ENV_KEYS, ENV_WEB)), "keys DA/DS/-");
	assert_string_equal(plan(NULL, V(ENV_KEYS, "AWS_PROFILE=dev")), "keys DA/DS/-");
	assert_string_equal(plan("default", V(ENV_KEYS)), "keys FA/FS/-");
	assert_string_equal(plan(NULL, V("AWS_ACCESS_KEY_ID=")), "keys FA/FS/-");
	/* One that has nothing is no reason to take another's. */
	assert_string_equal(
		plan("empty", V(ENV_KEYS, ENV_WEB, ENV_CONTAINER)), "container http://169.254.170.2/v2/c - -");
	assert_non_null(strstr(plan("empty", V(ENV_KEYS, "AWS_EC2_METADATA_DISABLED=true")),
		"environment passed over for a named profile"));
}

static void credential_plan__half_a_pair_of_keys_is_an_error(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "[a]\naws_access_key_id = A\n[b]\naws_secret_access_key = SECRET\n");
	assert_string_equal(plan(NULL, V("AWS_ACCESS_KEY_ID=A")),
		"error: AWS keys from the environment: the secret (aws_secret_access_key) key is missing");
	assert_non_null(strstr(plan("a", NO_VARIABLES), "the secret (aws_secret_access_key) key is missing"));
	assert_non_null(strstr(plan("b", NO_VARIABLES), "the access (aws_access_key_id) key is missing"));
	assert_null(strstr(plan("b", NO_VARIABLES), "SECRET"));
}

static void credential_plan__roles_chain_to_something_that_has_keys(void **state)
{
	(void)state;
	write_file("config", "[profile a]\nrole_arn = arn:a\nsource_profile = b\nrole_session_name = me\nexternal_id = "
			     "x\nduration_seconds = 900\n"
			     "[profile b]\nrole_arn = arn:b\nsource_profile = c\n"
			     "[profile c]\ncredential_process = helper\n"
			     /* Its own keys call STS for its own role. */
			     "[profile self]\nrole_arn = arn:s\nsource_profile = self\naws_access_key_id = "
			     "SA\naws_secret_access_key = SS\n"
			     "[profile env]\nrole_arn = arn:e\ncredential_source = Environment\n"
			     "[profile ecs]\nrole_arn = arn:e\ncredential_source = EcsContainer\n"
			     "[profile ec2]\nrole_arn = arn:e\ncredential_source = Ec2InstanceMetadata\n"
			     "[profile web]\nrole_arn = arn:w\nweb_identity_token_file = /t\nrole_session_name = n\n"
			     "[profile onweb]\nrole_arn = arn:o\nsource_profile = web\n");
	write_file("credentials", "");
	assert_string_equal(plan("a", NO_VARIABLES),
		"role arn:a as me for 900 s with x of role arn:b as - for - s with - of process <helper>");
	assert_string_equal(plan("self", NO_VARIABLES), "role arn:s as - for - s with - of keys SA/SS/-");
	assert_string_equal(plan("env", V(ENV_KEYS)), "role arn:e as - for - s with - of keys EA/ES/-");
	assert_string_equal(plan("ecs", V(ENV_CONTAINER)),
		"role arn:e as - for - s with - of container http://169.254.170.2/v2/c - -");
	assert_string_equal(
		plan("ec2", NO_VARIABLES), "role arn:e as - for - s with - of instance http://169.254.169.254 by name");
	assert_string_equal(plan("web", NO_VARIABLES), "web arn:w in /t as n");
	assert_string_equal(plan("onweb", V(ENV_WEB)), "role arn:o as - for - s with - of web arn:w in /t as n");
}

static void expect_error(const char *config, const char *const *variables, const char *message)
{
	write_file("config", config);
	write_file("credentials", "");
	const char *said = plan("p", variables);
	if (!strstr(said, message))
		fail_msg("\"%s\" does not say \"%s\"", said, message);
}

static void credential_plan__mistakes_in_profiles_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *config, *message;
	} cases[] = {
		{ "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nrole_arn = r\nsource_profile = p\n",
			"error: profile p is, through source_profile, its own source" },
		{ "[profile p]\nrole_arn = r\nsource_profile = p\n", "its own source" },
		{ "[profile p]\nrole_arn = r\nsource_profile = gone\n",
			"profile p: its source_profile gone exists neither in " },
		{ "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nregion = x\n",
			"profile p: its source_profile q has no keys" },
		{ "[profile p]\nrole_arn = r\n", "neither source_profile nor credential_source" },
		{ "[profile p]\nrole_arn = r\nsource_profile = q\ncredential_source = Environment\n",
			"both source_profile and credential_source" },
		{ "[profile p]\nrole_arn = r\ncredential_source = environment\n", "none of Environment, EcsContainer" },
		{ "[profile p]\nrole_arn = r\ncredential_source = Environment\n",
			"its credential_source Environment has no keys here" },
		{ "[profile p]\nrole_arn = r\nsource_profile = p\nmfa_serial = m\n",
			"aws configure export-credentials --profile p" },
		{ "[profile p]\nlogin_session = arn:x\n", "aws configure export-credentials --profile p" },
		{ "[profile p]\nweb_identity_token_file = /t\n", "set AWS_ROLE_ARN, or role_arn in profile p" },
		{ "[profile p]\nsso_account_id = 1\nsso_region = r\nsso_start_url = u\n", "sso_role_name is missing" },
		{ "[profile p]\nsso_account_id = 1\nsso_role_name = r\n", "sso_region is missing" },
		{ "[profile p]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n", "has no [sso-session s]" },
		{ "[profile p]\ncredential_process = 'x\n",
			"credential_process of profile p: a quotation mark is not closed" },
		{ "[profile p]\ncredential_process = \n[profile q]\n", "no AWS credentials" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_error(cases[i].config, V("AWS_EC2_METADATA_DISABLED=true"), cases[i].message);
}

static void credential_plan__a_chain_of_roles_is_bounded(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf config = { 0 };
	buf_append_str(&config, "[profile p]\nrole_arn = r\nsource_profile = p0\n");
	for (int i = 0; i < 20; i++)
		buf_printf(&config, "[profile p%d]\nrole_arn = r\nsource_profile = p%d\n", i, i + 1);
	expect_error(config.ptr, NO_VARIABLES, "more than 16 profiles are chained");
}

static void credential_plan__sso_sessions_name_their_cache_by_themselves(void **state)
{
	(void)state;
	write_file("config", "[profile p]\nsso_session = my-sso\nsso_account_id = 1\nsso_role_name = R\n"
			     "[sso-session my-sso]\nsso_region = eu-west-1\nsso_start_url = https://x/start\n");
	write_file("credentials", "");
	/* printf my-sso | sha1sum */
	assert_string_equal(
		plan("p", NO_VARIABLES), "sso eu-west-1 1 R /0ad374308c5a4e22f723adf10145eafad7c4031c.json");
}

static void credential_plan__container_urls_stay_on_the_machine_or_are_https(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool good;
	} cases[] = {
		{ "http://127.0.0.1:1338/x", true },
		{ "http://127.9.9.9/x", true },
		{ "http://localhost/x", true },
		{ "http://[::1]:80/x", true },
		{ "http://169.254.170.2/x", true },
		{ "http://169.254.170.23/v1/credentials", true },
		{ "http://[fd00:ec2::23]/v1/credentials", true },
		{ "https://example.com/x", true },
		{ "http://169.254.169.254/x", false },
		{ "http://example.com/x", false },
		{ "http://127.0.0.1.example.com/x", false },
		{ "http://localhost.example.com/x", false },
		{ "http://127.0.0.1@example.com/x", false },
		{ "http://[fd00:ec2::24]/x", false },
		{ "ftp://127.0.0.1/x", false },
		{ "file:///etc/passwd", false },
		{ "", true }, /* not set */
		{ "http://", false },
	};
	write_file("config", "");
	write_file("credentials", "");
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *said = plan(
			NULL, V(arena_printf(&arena, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", cases[i].url)));
		if (cases[i].good != !strstr(said, "error: AWS_CONTAINER_CREDENTIALS_FULL_URI is not https"))
			fail_msg("%s: %s", cases[i].url, said);
	}
	assert_string_equal(
		plan(NULL, V("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://localhost/x",
				   "AWS_CONTAINER_AUTHORIZATION_TOKEN=t", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/f")),
		"container http://localhost/x t /f");
	assert_non_null(strstr(plan(NULL, V("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=@example.com/x")), "error: "));
}

static void credential_plan__the_instances_endpoint_can_be_moved(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "");
	assert_string_equal(
		plan(NULL, V("AWS_EC2_METADATA_SERVICE_ENDPOINT=http://localhost:1/")), "instance http://localhost:1");
	assert_string_equal(
		plan(NULL, V("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6")), "instance http://[fd00:ec2::254]");
	assert_string_equal(plan(NULL, V("AWS_EC2_METADATA_DISABLED=false")), "instance http://169.254.169.254");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credential_plan__the_order_is_that_of_awss_tools),
		cmocka_unit_test(credential_plan__a_named_profile_passes_over_keys_in_the_environment),
		cmocka_unit_test(credential_plan__half_a_pair_of_keys_is_an_error),
		cmocka_unit_test(credential_plan__roles_chain_to_something_that_has_keys),
		cmocka_unit_test(credential_plan__mistakes_in_profiles_are_named),
		cmocka_unit_test(credential_plan__a_chain_of_roles_is_bounded),
		cmocka_unit_test(credential_plan__sso_sessions_name_their_cache_by_themselves),
		cmocka_unit_test(credential_plan__container_urls_stay_on_the_machine_or_are_https),
		cmocka_unit_test(credential_plan__the_instances_endpoint_can_be_moved),
	};
	return cmocka_run_group_tests(tests, make_home, remove_home);
}
