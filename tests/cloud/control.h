/* The control endpoints, on the plain port, unsigned:
 *      GET  /_cloud/counters     see counters_json
 *      GET, POST /_cloud/environments   see lambda.h
 *      GET  /_cloud/faults       [{"rule": "s3.GetObject.corrupt=100", "asked": 9, "struck": 1}]
 *      POST /_cloud/faults       ["RULE", …] added (faults.h)
 *      DELETE /_cloud/faults     no rule is left
 *      GET  /_cloud/resources    everything that exists: {"buckets": ["b"], "repositories": [{"repository": "r", "images": 1}], "roles": [],
 *                                "policies": [], "functions": [], "log_groups": [], "stacks": []}
 *      GET  /_cloud/settings     {"rtt-ms": 0, …}
 *      POST /_cloud/settings     {"rtt-ms": 25} changes those */
#pragma once

#include "tests/cloud/server.h"

void control_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response);
