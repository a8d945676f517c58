#include "cli/cloud.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "setup/scratch.h"

/* Of the profile that is called as the environment, if there is one; else of no profile. */
static int load(struct cloud_place *place, struct error *err)
{
	static const char *const chosen[] = { "LLAMA_PROFILE=", NULL };
	const char *name = place->environment.section ? place->environment.name : NULL;
	if (config_load(NULL, scratch_environment(environ, chosen, (const char *const[]){ NULL }, &place->arena),
		    &place->config, err) < 0)
		return -1;
	const struct config_profile *profile = name ? place->config.profiles : NULL;
	while (profile && strcmp(profile->name, name) != 0)
		profile = profile->next;
	if (!profile)
		return 0;
	config_deinit(&place->config);
	const char *choice = arena_printf(&place->arena, "LLAMA_PROFILE=%s", name);
	return config_load(NULL,
		scratch_environment(environ, chosen, (const char *const[]){ choice, NULL }, &place->arena),
		&place->config, err);
}

int cloud_place_find(
	const char *name, const char *region, const char *profile, struct cloud_place *ret, struct error *err)
{
	*ret = (struct cloud_place){ 0 };
	const char *chosen = getenv("LLAMA_PROFILE");
	if (!name && chosen && *chosen)
		name = chosen;
	if (environment_name(name, &ret->arena, &ret->environment, err) < 0 || load(ret, err) < 0)
		return -1;
	struct config *config = &ret->config;
	if (!config->file)
		return error_set(err, 0, "there is no place for a configuration: HOME is not set");
	ret->is_configured = config->function && strcmp(config->function, ret->environment.function) == 0;
	ret->region = region ? region : ret->is_configured ? config->region : NULL;
	ret->profile = profile ? profile : ret->is_configured ? config->profile : NULL;
	/* daemon/config.h has the rule */
	ret->cache_dir = !ret->environment.section || config->profile_name
				 ? config->cache_dir
				 : arena_printf(
					   &ret->arena, "%s/profiles/%s", config->cache_dir, ret->environment.name);
	return 0;
}

void cloud_place_deinit(struct cloud_place *place)
{
	config_deinit(&place->config);
	arena_deinit(&place->arena);
}
