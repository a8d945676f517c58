/* The service "lambda": which call a request is, and what its parts share. */
#pragma once

#include "tests/cloud/server.h"

struct lambda;

/* `cloud` is borrowed, and gets the key that functions have, for their role. */
struct lambda *lambda_new(struct cloud *cloud, struct error *err);
/* Run nothing that is recorded in `directory`, but answer from there (recorded.h). Before the first request. */
int lambda_replay(struct lambda *lambda, const char *directory, struct error *err);
/* End all environments, so that no handler blocks any more; refuse invocations. */
void lambda_stop(struct lambda *lambda);
void lambda_free(struct lambda *lambda); /* when no handler runs any more; NULL is allowed */

/* Whether a request comes from a function, going by the key it names: those have no way to go from home to the
 * cloud. */
bool lambda_is_inside(struct cloud *cloud, const struct cloud_request *request);

const char *lambda_operation(const struct cloud_request *request);
cloud_handler lambda_handle;

/* GET /_cloud/environments (environments_json); POST {"act": "kill" | "crash" | "hang", "n": 1} or {…, "id": 7}:
 * {"done": 1}. */
cloud_handler lambda_get_environments, lambda_post_environments;
const char *lambda_resource(struct cloud *cloud, const struct cloud_request *request);
/* The names of all functions. */
struct json_t *lambda_names(struct cloud *cloud);
