#include "aws/config.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#include "aws/shared_file.h"
#include "base/file.h"

enum { FILE_LIMIT = 4 * 1024 * 1024 };

/* First that fits; the last fits all. */
static const struct partition {
	const char *prefix, *suffix, *dualstack, *iam, *iam_region;
} partitions[] = {
	{ "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1" },
	{ "us-gov-", "amazonaws.com", "api.aws", "iam.us-gov.amazonaws.com", "us-gov-west-1" },
	{ "us-iso-", "c2s.ic.gov", "api.aws.ic.gov", "iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1" },
	{ "us-isob-", "sc2s.sgov.gov", "api.aws.scloud", "iam.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1" },
	{ "eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1" },
	{ "", "amazonaws.com", "api.aws", "iam.amazonaws.com", "us-east-1" },
};

/* Services whose names in settings, or whose hosts, aren't simply their own. NULL: they are. */
static const struct service {
	const char *name, *id, *host, *dualstack;
} services[] = {
	{ "ecr", NULL, "api.ecr", "ecr" },
	{ "logs", "cloudwatch_logs", NULL, NULL },
	{ "sso", NULL, "portal.sso", "portal.sso" },
	{ "sso-oidc", "sso_oidc", "oidc", "oidc" },
};

const char *aws_config_variable(const struct aws_config *config, const char *name)
{
	size_t n = strlen(name);
	for (char *const *at = config->environment; *at; at++)
		if (strncmp(*at, name, n) == 0 && (*at)[n] == '=')
			return (*at)[n + 1] ? *at + n + 1 : NULL;
	return NULL;
}

static bool is_true(const char *value)
{
	return value && strcasecmp(value, "true") == 0;
}

/* --- the files ---------------------------------------------------------------------------------------------------- */

struct reading {
	struct aws_config *config;
	const char *file;    /* "config" or "credentials" */
	const char *header;  /* the section the next line refers to is made once: */
	const char *section; /* "profile dev"; NULL: of no use to us */
};

/* [default], [profile x], [sso-session "x y"], [services x] of the config file; plain [x] of the credentials file. */
static const char *name_section(const struct reading *r, const char *header)
{
	struct arena *arena = &r->config->arena;
	if (strcmp(r->file, "credentials") == 0)
		return arena_printf(arena, "profile %s", header);
	if (strcmp(header, "default") == 0)
		return "profile default";
	char **words;
	size_t n;
	struct error not_ours;
	if (shell_split(header, arena, &words, &n, &not_ours) < 0 || n != 2)
		return NULL;
	if (strcmp(words[0], "profile") != 0 && strcmp(words[0], "sso-session") != 0 &&
		strcmp(words[0], "services") != 0)
		return NULL;
	return arena_printf(arena, "%s %s", words[0], words[1]);
}

static const char *make_key(struct arena *arena, const char *file, const char *section, const char *name)
{
	return arena_printf(arena, "%s\n%s\n%s", file, section, name);
}

static void take_setting(void *ctx, const char *section, const char *name, const char *value)
{
	struct reading *r = ctx;
	struct aws_config *config = r->config;
	if (!name)
		r->section = name_section(r, section);
	if (!r->section)
		return;
	const char *key = make_key(&config->arena, r->file, r->section, name ? name : "");
	map_put(&config->files, slice_str(key), arena_strdup(&config->arena, value ? value : ""));
}

/* `path` as the tools write it in variables; a file of that name need not be there. */
static int read_shared_file(struct aws_config *config, const char *file, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	if (path[0] == '~') /* nobody's home */
		return 0;
	if (file_read(path, FILE_LIMIT, &text, err) < 0)
		return err->code == ENOENT || err->code == ENOTDIR ? 0 : -1;
	struct reading reading = { .config = config, .file = file };
	if (shared_file_parse(buf_slice(&text), take_setting, &reading, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

static const char *find_file(struct aws_config *config, const char *variable, const char *name)
{
	const char *path = aws_config_variable(config, variable), *home = aws_config_variable(config, "HOME");
	if (!path)
		return arena_printf(&config->arena, "%s/.aws/%s", home ? home : "~", name);
	if (strncmp(path, "~/", 2) == 0 && home)
		return arena_printf(&config->arena, "%s/%s", home, path + 2);
	return path;
}

static const char *get(const struct aws_config *config, const char *file, const char *section, const char *name)
{
	_cleanup_buf_ struct buf key = { 0 };
	buf_printf(&key, "%s\n", file);
	if (section)
		buf_append_str(&key, section);
	else
		buf_printf(&key, "profile %s", config->profile);
	buf_printf(&key, "\n%s", name);
	return map_get(&config->files, buf_slice(&key));
}

const char *aws_config_get_shared(const struct aws_config *config, const char *section, const char *name)
{
	return get(config, "credentials", section, name);
}

const char *aws_config_get_profile(const struct aws_config *config, const char *section, const char *name)
{
	return get(config, "config", section, name);
}

const char *aws_config_get(const struct aws_config *config, const char *section, const char *name)
{
	const char *value = aws_config_get_profile(config, section, name);
	return value ? value : aws_config_get_shared(config, section, name);
}

bool aws_config_has_section(const struct aws_config *config, const char *section)
{
	return aws_config_get(config, section, "") != NULL;
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

/* The first of: what was asked for, two variables, a setting. "" is nothing. */
static const char *choose(const struct aws_config *config, const char *asked, const char *variable, const char *another,
	const char *setting)
{
	const char *value = asked && asked[0] ? asked : aws_config_variable(config, variable);
	if (!value && another)
		value = aws_config_variable(config, another);
	if (!value && setting)
		value = aws_config_get(config, NULL, setting);
	return value && value[0] ? value : NULL;
}

/* It becomes part of a host name. */
static bool is_region(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-')
			return false;
	return strlen(name) < 64;
}

int aws_config_load(
	const char *profile, const char *region, char *const *environment, struct aws_config *ret, struct error *err)
{
	*ret = (struct aws_config){ .environment = environment, .arena = ARENA_INIT };
	const char *named = choose(ret, profile, "AWS_PROFILE", "AWS_DEFAULT_PROFILE", NULL);
	ret->profile = arena_strdup(&ret->arena, named ? named : "default");
	ret->profile_named = named != NULL;
	ret->config_file = find_file(ret, "AWS_CONFIG_FILE", "config");
	ret->credentials_file = find_file(ret, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
	if (read_shared_file(ret, "config", ret->config_file, err) < 0 ||
		read_shared_file(ret, "credentials", ret->credentials_file, err) < 0)
		return -1;
	if (named && !aws_config_has_section(ret, NULL))
		return error_set(err, 0, "there is no AWS profile %s, neither in %s nor in %s", named, ret->config_file,
			ret->credentials_file);
	region = choose(ret, region, "AWS_REGION", "AWS_DEFAULT_REGION", "region");
	if (region && !is_region(region))
		return error_set(err, 0, "\"%.80s\" is not the name of an AWS region", region);
	ret->region = region ? arena_strdup(&ret->arena, region) : NULL;
	ret->ca_bundle = choose(ret, NULL, "AWS_CA_BUNDLE", NULL, "ca_bundle");
	ret->dualstack = is_true(choose(ret, NULL, "AWS_USE_DUALSTACK_ENDPOINT", NULL, "use_dualstack_endpoint"));
	ret->fips = is_true(choose(ret, NULL, "AWS_USE_FIPS_ENDPOINT", NULL, "use_fips_endpoint"));
	return 0;
}

void aws_config_deinit(struct aws_config *config)
{
	if (!config)
		return;
	map_deinit(&config->files);
	arena_deinit(&config->arena);
}

/* --- endpoints ---------------------------------------------------------------------------------------------------- */

static const struct service *find_service(const char *name)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	return NULL;
}

static const struct partition *find_partition(const char *region)
{
	const struct partition *p = partitions;
	while (!region ? p->prefix[0] != '\0' : strncmp(region, p->prefix, strlen(p->prefix)) != 0)
		p++;
	return p;
}

static const char *custom_endpoint(const struct aws_config *config, const char *service)
{
	if (is_true(choose(
		    config, NULL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", NULL, "ignore_configured_endpoint_urls")))
		return NULL;
	const struct service *special = find_service(service);
	const char *id = special && special->id ? special->id : service;
	_cleanup_buf_ struct buf variable = { 0 }, section = { 0 }, setting = { 0 };
	buf_append_str(&variable, "AWS_ENDPOINT_URL_");
	for (const char *c = id; *c; c++)
		buf_append_char(&variable, (char)toupper((unsigned char)*c));
	const char *url = choose(config, NULL, variable.ptr, "AWS_ENDPOINT_URL", NULL);
	if (url)
		return url;
	const char *block = aws_config_get(config, NULL, "services");
	if (block) {
		buf_printf(&section, "services %s", block);
		buf_printf(&setting, "%s.endpoint_url", id);
		url = aws_config_get(config, section.ptr, setting.ptr);
	}
	return url && url[0] ? url : choose(config, NULL, "AWS_ENDPOINT_URL", NULL, "endpoint_url");
}

/* In GovCloud the plain hosts of these are FIPS's. */
static bool is_fips_anyway(const struct aws_config *config, const char *service)
{
	static const char *const gov[] = { "cloudformation", "logs", "sso", "sts" };
	if (strncmp(config->region, "us-gov-", 7) != 0 || config->dualstack)
		return false;
	for (size_t i = 0; i < sizeof(gov) / sizeof(gov[0]); i++)
		if (strcmp(service, gov[i]) == 0)
			return true;
	return false;
}

const char *aws_config_endpoint(const struct aws_config *config, const char *service, struct arena *arena, bool *custom)
{
	const char *url = custom_endpoint(config, service);
	*custom = url != NULL;
	if (url) {
		size_t n = strlen(url);
		while (n && url[n - 1] == '/')
			n--;
		return arena_strndup(arena, url, n);
	}
	const struct partition *partition = find_partition(config->region);
	if (strcmp(service, "iam") == 0)
		return config->fips && strcmp(partition->iam, "iam.amazonaws.com") == 0
			       ? "https://iam-fips.amazonaws.com"
			       : arena_printf(arena, "https://%s", partition->iam);
	if (!config->region)
		return strcmp(service, "sts") == 0 ? "https://sts.amazonaws.com" : NULL;
	const struct service *special = find_service(service);
	const char *host = !special ? NULL : config->dualstack ? special->dualstack : special->host;
	const char *fips = config->fips && !is_fips_anyway(config, service) ? "-fips" : "";
	/* S3 had addresses of both kinds before there was a domain for them. */
	bool s3 = strcmp(service, "s3") == 0;
	return arena_printf(arena, "https://%s%s%s.%s.%s", host ? host : service, fips,
		s3 && config->dualstack ? ".dualstack" : "", config->region,
		config->dualstack && !s3 ? partition->dualstack : partition->suffix);
}

const char *aws_config_signing_region(const struct aws_config *config, const char *service)
{
	_cleanup_arena_ struct arena scratch = ARENA_INIT;
	bool custom;
	if (!aws_config_endpoint(config, service, &scratch, &custom))
		return NULL;
	if (!custom && strcmp(service, "iam") == 0)
		return find_partition(config->region)->iam_region;
	return config->region ? config->region : "us-east-1";
}
