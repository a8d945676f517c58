/* Lambda's Invoke, with its limits: 6 MiB of JSON each way, RequestResponse, Event and DryRun, the log's tail,
 * function errors with status 200, throttling with a reason. */
#pragma once

#include "tests/cloud/functions.h"

void invoke_handle(struct cloud *cloud, struct functions *functions, struct environments *environments,
	const char *name, struct cloud_request *request, struct cloud_response *response);
