/* What AWS's own tools would take for configuration: environment, ~/.aws/config, ~/.aws/credentials, by profile
 * (docs.aws.amazon.com/sdkref). Read once; no network. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"

struct aws_config {
	const char *profile;   /* "default" if nothing names one */
	bool profile_named;    /* by us, or AWS_PROFILE: then keys in the environment are passed over */
	const char *region;    /* NULL: none is configured */
	const char *ca_bundle; /* AWS_CA_BUNDLE, ca_bundle, or NULL */
	bool dualstack, fips;
	char *const *environment; /* borrowed */
	/* The rest is private to aws/: the parsed files. */
	struct map files;
	struct arena arena;
	const char *config_file, *credentials_file; /* their paths, for people */
};

/* `profile`, `region` NULL: as the environment and the files say. -1: a file is malformed (named, with its line) or unreadable, the profile that was asked
 * for exists nowhere (the text names the files), or the region is not the name of one. `ret` wants deinit in either case. */
int aws_config_load(
	const char *profile, const char *region, char *const *environment, struct aws_config *ret, struct error *err);
void aws_config_deinit(struct aws_config *config);

/* A setting of the profile (config file, then credentials file), or NULL. `section` NULL: the profile's own; else "profile x", "sso-session x",
 * "services y". A setting nested below another is "s3.endpoint_url". */
const char *aws_config_get(const struct aws_config *config, const char *section, const char *name);
/* The same of one file alone: keys of the credentials file go before those of the config file. */
const char *aws_config_get_shared(
	const struct aws_config *config, const char *section, const char *name); /* credentials */
const char *aws_config_get_profile(const struct aws_config *config, const char *section, const char *name); /* config */
bool aws_config_has_section(const struct aws_config *config, const char *section);

/* A variable of the environment; NULL: not set, or empty. */
const char *aws_config_variable(const struct aws_config *config, const char *name);

/* The URL of `service` in this region ("https://lambda.us-east-1.amazonaws.com"), or the custom one of AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL,
 * or the files (AWS_IGNORE_CONFIGURED_ENDPOINT_URLS); without a slash at its end. `custom` tells which. In `arena`. NULL: no region is known. */
const char *aws_config_endpoint(
	const struct aws_config *config, const char *service, struct arena *arena, bool *custom);

/* The region that a signature for that endpoint names: IAM, which has one host in each partition (whatever `dualstack` says), is signed for that host's. NULL: no region
 * is known, and none can be guessed. */
const char *aws_config_signing_region(const struct aws_config *config, const char *service);
