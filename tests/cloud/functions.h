/* Lambda's control plane, as far as functions from container images go: create, get, update, delete, list, with the
 * states that a function goes through (Pending → Active or Failed; LastUpdateStatus InProgress → Successful or
 * Failed) and the refusals in between. Unpacking an image is what takes time, and the setting update-ms. An image's
 * URI is HOST:PORT/REPOSITORY:TAG (or @DIGEST) of this cloud's own registry, or `oci:DIR[:TAG]`, a local layout
 * (image.h). The role must be one that Lambda can assume (iam.h), and the caller may pass it.
 *
 * Thread-safe. */
#pragma once

#include "tests/cloud/environments.h"
#include "tests/cloud/server.h"

struct functions;

/* All borrowed. */
struct functions *functions_new(struct cloud *cloud, struct environments *environments, struct error *err);
void functions_free(struct functions *functions); /* waits for updates; NULL is allowed */

typedef void functions_handler(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response);
/* `name`: as in the path: a name, or an ARN in one of its forms. */
functions_handler functions_create, functions_list, functions_get, functions_get_configuration, functions_update_code,
	functions_update_configuration, functions_delete, functions_account_settings;

/* The revision that an invocation now runs: a reference; NULL with the error in `response`: no such function, or it
 * is in no state to run. */
struct revision *functions_find(
	struct functions *functions, const char *name, struct cloud_request *request, struct cloud_response *response);

struct json_t *functions_names(struct functions *functions); /* an array */
