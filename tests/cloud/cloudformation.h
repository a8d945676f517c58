/* The service "cloudformation", 2010-05-15: which call a request is, and how stacks (stacks.h) look as XML. */
#pragma once

#include "tests/cloud/server.h"

const char *cloudformation_operation(const struct cloud_request *request);
const char *cloudformation_resource(struct cloud *cloud, const struct cloud_request *request);
cloud_handler cloudformation_handle;
