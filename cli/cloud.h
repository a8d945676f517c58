/* What the subcommands that make and remove an environment in the cloud (setup/) are told by the configuration. */
#pragma once

#include "daemon/config.h"
#include "setup/environment.h"

struct cloud_place {
	struct config config;
	struct environment environment;
	const char *region, *profile; /* what was asked for, else as configured for this environment; or NULL */
	const char *cache_dir;	      /* of the daemon that uses it */
	bool is_configured;	      /* the configuration names this environment */
	struct arena arena;
};

/* `name` (NULL: what LLAMA_PROFILE says), `region`, `profile`: as options give them, or NULL. `ret` wants cloud_place_deinit in either case. */
int cloud_place_find(
	const char *name, const char *region, const char *profile, struct cloud_place *ret, struct error *err);
void cloud_place_deinit(struct cloud_place *place);

#define _cleanup_cloud_place_ __attribute__((cleanup(cloud_place_deinit)))
