/* What AWS's own tools would take for configuration: environment, ~/.aws/config, ~/.aws/credentials, by profile
 * (docs.aws.amazon.com/sdkref). Read once; no network. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"

struct aws_config {
	const char *profile;        /* "default" if nothing names one */
	bool profile_named;         /* by us, or AWS_PROFILE: then keys in the environment are passed over */
	const char *region;         /* NULL: none is configured */
	const char *ca_bundle;      /* AWS_CA_BUNDLE, ca_bundle, or NULL */
	bool dualstack, fips;
	char *const *environment;   /* borrowed */
	/* The rest is private to aws/: the parsed files. */
	struct map files;
	struct arena arena;
};

/* `profile`, `region` NULL: as the environment and the files say. -1: a file is malformed (named, with its line), or the profile that was asked for exists
 * nowhere (the text names the files). `ret` wants deinit in either case. */
int aws_config_load(const char *profile, const char *region, char *const *environment, struct aws_config *ret, struct error *err);
void aws_config_deinit(struct aws_config *config);

/* A setting of the profile (config file, then credentials file), or NULL. `section` NULL: the profile's own; else "sso-session x", "services y". */
const char *aws_config_get(const struct aws_config *config, const char *section, const char *name);

/* The URL of `service` in this region ("https://lambda.us-east-1.amazonaws.com"), or the custom one of AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL,
 * or the files (AWS_IGNORE_CONFIGURED_ENDPOINT_URLS). `custom` tells which. In `arena`. NULL: no region is known. */
const char *aws_config_endpoint(const struct aws_config *config, const char *service, struct arena *arena, bool *custom);
