#include "aws/credential_plan.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/shared_file.h"

/* Outcome beside 0 and -1: this place has nothing to say, ask the next. */
enum { NOTHING = 1 };

/* A chain of roles longer than that is a mistake. */
enum { CHAIN_LIMIT = 16 };

struct planning {
	const struct aws_config *config;
	struct arena *arena;
	struct error *err;
	const char *visited[CHAIN_LIMIT]; /* profiles that want a role, outermost first */
	size_t n_visited;
};

static struct credential_source *new_source(
	struct planning *p, enum credential_kind kind, const char *profile, const char *name)
{
	struct credential_source *source = arena_new(p->arena, struct credential_source);
	source->kind = kind;
	source->profile = profile;
	source->name = name;
	return source;
}

static const char *setting(const struct planning *p, const char *profile, const char *name)
{
	_cleanup_buf_ struct buf section = { 0 };
	buf_printf(&section, "profile %s", profile);
	const char *value = aws_config_get(p->config, section.ptr, name);
	return value && value[0] ? value : NULL;
}

/* --- keys that stand somewhere ------------------------------------------------------------------------------------ */

static int static_keys(struct planning *p, const char *profile, const char *name, const char *access_key,
	const char *secret_key, const char *token, const struct credential_source **ret)
{
	if (!access_key && !secret_key)
		return NOTHING;
	if (!access_key || !secret_key)
		return error_set(p->err, 0, "AWS keys from %s: %s key is missing", name,
			access_key ? "the secret (aws_secret_access_key)" : "the access (aws_access_key_id)");
	struct credential_source *source = new_source(p, CREDENTIAL_STATIC, profile, name);
	source->keys = (struct aws_keys){ access_key, secret_key, token, 0, name };
	*ret = source;
	return 0;
}

static int from_environment(struct planning *p, const struct credential_source **ret)
{
	return static_keys(p, NULL, "the environment", aws_config_variable(p->config, "AWS_ACCESS_KEY_ID"),
		aws_config_variable(p->config, "AWS_SECRET_ACCESS_KEY"),
		aws_config_variable(p->config, "AWS_SESSION_TOKEN"), ret);
}

typedef const char *config_get_fn(const struct aws_config *config, const char *section, const char *name);

static int from_file(struct planning *p, config_get_fn *get, const char *file, const char *profile,
	const struct credential_source **ret)
{
	const char *section = arena_printf(p->arena, "profile %s", profile);
	const char *keys[3];
	static const char *const names[] = { "aws_access_key_id", "aws_secret_access_key", "aws_session_token" };
	for (size_t i = 0; i < 3; i++) {
		keys[i] = get(p->config, section, names[i]);
		keys[i] = keys[i] && keys[i][0] ? keys[i] : NULL;
	}
	return static_keys(
		p, profile, arena_printf(p->arena, "profile %s in %s", profile, file), keys[0], keys[1], keys[2], ret);
}

static int from_credentials_file(struct planning *p, const char *profile, const struct credential_source **ret)
{
	return from_file(p, aws_config_get_shared, p->config->credentials_file, profile, ret);
}

static int from_config_file(struct planning *p, const char *profile, const struct credential_source **ret)
{
	return from_file(p, aws_config_get_profile, p->config->config_file, profile, ret);
}

/* --- keys to be asked for ----------------------------------------------------------------------------------------- */

static int from_web_identity(
	struct planning *p, const char *profile, bool environment, const struct credential_source **ret)
{
	static const char *const names[][2] = { { "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file" },
		{ "AWS_ROLE_ARN", "role_arn" }, { "AWS_ROLE_SESSION_NAME", "role_session_name" } };
	const char *values[3];
	for (size_t i = 0; i < 3; i++) {
		values[i] = environment ? aws_config_variable(p->config, names[i][0]) : NULL;
		values[i] = values[i] ? values[i] : setting(p, profile, names[i][1]);
	}
	if (!values[0])
		return NOTHING;
	if (!values[1])
		return error_set(p->err, 0,
			"a web identity token is configured (%s), but not the role it is for: set AWS_ROLE_ARN, or "
			"role_arn in profile %s",
			values[0], profile);
	struct credential_source *source = new_source(
		p, CREDENTIAL_WEB_IDENTITY, profile, arena_printf(p->arena, "web identity as %s", values[1]));
	source->token_file = values[0];
	source->role_arn = values[1];
	source->session_name = values[2];
	source->duration_s = setting(p, profile, "duration_seconds");
	*ret = source;
	return 0;
}

static const char *sso_cache_file(struct planning *p, const char *key)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	if (!EVP_Digest(key, strlen(key), hash, &n, EVP_sha1(), NULL))
		abort(); /* a libcrypto without SHA-1 can't be worked with */
	_cleanup_buf_ struct buf hex = { 0 };
	for (unsigned i = 0; i < n; i++)
		buf_printf(&hex, "%02x", hash[i]);
	const char *home = aws_config_variable(p->config, "HOME");
	return arena_printf(p->arena, "%s/.aws/sso/cache/%s.json", home ? home : "", hex.ptr);
}

static int from_sso(struct planning *p, const char *profile, const struct credential_source **ret)
{
	const char *account = setting(p, profile, "sso_account_id"), *role = setting(p, profile, "sso_role_name");
	if (!account && !role)
		return NOTHING;
	const char *session = setting(p, profile, "sso_session"), *section = NULL;
	if (session) {
		section = arena_printf(p->arena, "sso-session %s", session);
		if (!aws_config_has_section(p->config, section))
			return error_set(p->err, 0, "profile %s names sso_session %s, but %s has no [sso-session %s]",
				profile, session, p->config->config_file, session);
	}
	const char *region = section ? aws_config_get(p->config, section, "sso_region") : NULL;
	const char *start = section ? aws_config_get(p->config, section, "sso_start_url") : NULL;
	region = region ? region : setting(p, profile, "sso_region");
	start = start ? start : setting(p, profile, "sso_start_url");
	if (!account || !role || !region || !start)
		return error_set(p->err, 0,
			"profile %s is to use SSO, but %s is missing: `aws configure sso` writes all of it", profile,
			!account  ? "sso_account_id"
			: !role	  ? "sso_role_name"
			: !region ? "sso_region"
				  : "sso_start_url");
	struct credential_source *source = new_source(
		p, CREDENTIAL_SSO, profile, arena_printf(p->arena, "SSO role %s (profile %s)", role, profile));
	source->sso_region = region;
	source->sso_account = account;
	source->sso_role = role;
	source->sso_cache_file = sso_cache_file(p, session ? session : start);
	*ret = source;
	return 0;
}

static int from_process(struct planning *p, const char *profile, const struct credential_source **ret)
{
	const char *command = setting(p, profile, "credential_process");
	if (!command)
		return NOTHING;
	char **words;
	size_t n;
	if (shell_split(command, p->arena, &words, &n, p->err) < 0 || (n == 0 && error_set(p->err, 0, "it is empty")))
		return error_wrap(p->err, "credential_process of profile %s", profile);
	struct credential_source *source = new_source(
		p, CREDENTIAL_PROCESS, profile, arena_printf(p->arena, "credential_process of profile %s", profile));
	source->command = words;
	*ret = source;
	return 0;
}

static int refuse_login(struct planning *p, const char *profile, const struct credential_source **ret)
{
	if (!setting(p, profile, "login_session"))
		return NOTHING;
	return error_set(p->err, 0,
		"profile %s uses `aws login`, which is beyond us: make another profile with credential_process = aws "
		"configure "
		"export-credentials --profile %s, and name that one",
		profile, profile);
}

/* The parser is that of whoever will send the request, so that both see the same host. */
static bool is_host_of_containers(const char *url)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *host = NULL;
	struct in_addr v4;
	struct in6_addr v6, pod;
	bool good = false;
	if (!parsed)
		abort();
	if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		size_t n = strlen(host);
		if (host[0] == '[' && host[n - 1] == ']') {
			host[n - 1] = '\0';
			inet_pton(AF_INET6, "fd00:ec2::23", &pod);
			good = inet_pton(AF_INET6, host + 1, &v6) == 1 &&
			       (IN6_IS_ADDR_LOOPBACK(&v6) || IN6_ARE_ADDR_EQUAL(&v6, &pod));
		} else if (inet_pton(AF_INET, host, &v4) == 1) {
			in_addr_t address = ntohl(v4.s_addr);
			good = address >> 24 == 127 || address == 0xa9feaa02 ||
			       address == 0xa9feaa17; /* 169.254.170.2, .23 */
		} else {
			good = strcmp(host, "localhost") == 0;
		}
		good = strcmp(scheme, "https") == 0 || (strcmp(scheme, "http") == 0 && good);
	}
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(parsed);
	return good;
}

static int from_container(struct planning *p, const struct credential_source **ret)
{
	const char *relative = aws_config_variable(p->config, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = aws_config_variable(p->config, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
	if (!relative && !full)
		return NOTHING;
	const char *url = relative ? arena_printf(p->arena, "http://169.254.170.2%s", relative) : full;
	if (!is_host_of_containers(url))
		return error_set(p->err, 0,
			"AWS_CONTAINER_CREDENTIALS_%s_URI is not https, and its host is neither loopback nor one of "
			"AWS's own for containers",
			relative ? "RELATIVE" : "FULL");
	struct credential_source *source = new_source(p, CREDENTIAL_CONTAINER, NULL, "the container's endpoint");
	source->url = url;
	source->token_file = aws_config_variable(p->config, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	source->token = aws_config_variable(p->config, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
	*ret = source;
	return 0;
}

static int from_instance(struct planning *p, const char *tried, const struct credential_source **ret)
{
	const char *disabled = aws_config_variable(p->config, "AWS_EC2_METADATA_DISABLED");
	if (disabled && strcasecmp(disabled, "true") == 0)
		return NOTHING;
	const char *url = aws_config_variable(p->config, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = aws_config_variable(p->config, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	if (!url)
		url = mode && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
	size_t n = strlen(url);
	while (n && url[n - 1] == '/')
		n--;
	struct credential_source *source = new_source(p, CREDENTIAL_INSTANCE, NULL, "the instance metadata service");
	source->url = arena_strndup(p->arena, url, n);
	source->tried = tried;
	*ret = source;
	return 0;
}

/* --- profiles ----------------------------------------------------------------------------------------------------- */

static bool wants_role(const struct planning *p, const char *profile)
{
	return setting(p, profile, "role_arn") && !setting(p, profile, "web_identity_token_file");
}

static bool has_keys(const struct planning *p, const char *profile)
{
	return setting(p, profile, "aws_access_key_id") || setting(p, profile, "aws_secret_access_key");
}

/* All that a profile may hold but a role with a base. */
static int from_profile(struct planning *p, const char *profile, bool environment, const struct credential_source **ret)
{
	int result = from_web_identity(p, profile, environment, ret);
	if (result == NOTHING)
		result = from_sso(p, profile, ret);
	if (result == NOTHING)
		result = from_credentials_file(p, profile, ret);
	if (result == NOTHING)
		result = refuse_login(p, profile, ret);
	if (result == NOTHING)
		result = from_process(p, profile, ret);
	return result == NOTHING ? from_config_file(p, profile, ret) : result;
}

static int from_role(struct planning *p, const char *profile, const struct credential_source **ret);

static int base_of_name(struct planning *p, const char *profile, const char *name, const struct credential_source **ret)
{
	int result;
	if (strcmp(name, "Environment") == 0)
		result = from_environment(p, ret);
	else if (strcmp(name, "EcsContainer") == 0)
		result = from_container(p, ret);
	else if (strcmp(name, "Ec2InstanceMetadata") == 0)
		result = from_instance(p, NULL, ret);
	else
		return error_set(p->err, 0,
			"profile %s: credential_source %s is none of Environment, EcsContainer, Ec2InstanceMetadata",
			profile, name);
	return result != NOTHING
		       ? result
		       : error_set(p->err, 0, "profile %s: its credential_source %s has no keys here", profile, name);
}

static int base_of_profile(
	struct planning *p, const char *profile, const char *base, const struct credential_source **ret)
{
	const char *section = arena_printf(p->arena, "profile %s", base);
	if (!aws_config_has_section(p->config, section))
		return error_set(p->err, 0, "profile %s: its source_profile %s exists neither in %s nor in %s", profile,
			base, p->config->config_file, p->config->credentials_file);
	/* Keys go before a role, so a profile may be the source of its own. */
	if (wants_role(p, base) && !has_keys(p, base))
		return from_role(p, base, ret);
	int result = from_profile(p, base, false, ret);
	return result != NOTHING ? result
				 : error_set(p->err, 0, "profile %s: its source_profile %s has no keys", profile, base);
}

static int from_role(struct planning *p, const char *profile, const struct credential_source **ret)
{
	if (!wants_role(p, profile))
		return NOTHING;
	for (size_t i = 0; i < p->n_visited; i++)
		if (strcmp(p->visited[i], profile) == 0)
			return error_set(p->err, 0, "profile %s is, through source_profile, its own source: see %s",
				profile, p->config->config_file);
	if (p->n_visited == CHAIN_LIMIT)
		return error_set(p->err, 0, "more than %d profiles are chained by source_profile", CHAIN_LIMIT);
	p->visited[p->n_visited++] = profile;

	const char *mfa = setting(p, profile, "mfa_serial");
	if (mfa)
		return error_set(p->err, 0,
			"profile %s wants a one-time code (mfa_serial), which we cannot ask for: make another profile "
			"with credential_process = "
			"aws configure export-credentials --profile %s, and name that one",
			profile, profile);
	const char *base_profile = setting(p, profile, "source_profile"),
		   *base_name = setting(p, profile, "credential_source");
	if (!base_profile == !base_name)
		return error_set(p->err, 0,
			"profile %s has a role_arn, and %s source_profile %s credential_source: give one", profile,
			base_profile ? "both" : "neither", base_profile ? "and" : "nor");
	const char *role = setting(p, profile, "role_arn");
	struct credential_source *source = new_source(
		p, CREDENTIAL_ROLE, profile, arena_printf(p->arena, "role %s (profile %s)", role, profile));
	int result = base_profile ? base_of_profile(p, profile, base_profile, &source->base)
				  : base_of_name(p, profile, base_name, &source->base);
	if (result != 0)
		return result;
	source->role_arn = role;
	source->session_name = setting(p, profile, "role_session_name");
	source->external_id = setting(p, profile, "external_id");
	source->duration_s = setting(p, profile, "duration_seconds");
	*ret = source;
	return 0;
}

int credential_plan(
	const struct aws_config *config, struct arena *arena, const struct credential_source **ret, struct error *err)
{
	struct planning p = { .config = config, .arena = arena, .err = err };
	const char *profile = config->profile;
	const char *tried = arena_printf(arena,
		"%s, no keys, role, SSO or credential_process in profile %s (%s, %s), no container endpoint",
		config->profile_named ? "environment passed over for a named profile"
				      : "no AWS_ACCESS_KEY_ID in the environment",
		profile, config->config_file, config->credentials_file);
	int result = config->profile_named ? NOTHING : from_environment(&p, ret);
	if (result == NOTHING)
		result = from_role(&p, profile, ret);
	if (result == NOTHING)
		result = from_profile(&p, profile, !config->profile_named, ret);
	if (result == NOTHING)
		result = from_container(&p, ret);
	if (result == NOTHING)
		result = from_instance(&p, tried, ret);
	if (result == NOTHING)
		return error_set(err, 0,
			"no AWS credentials: %s, instance metadata disabled. `aws configure` or `aws configure sso` "
			"sets up a profile",
			tried);
	return result;
}
