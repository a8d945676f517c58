/* The service "sts": who asks. */
#pragma once

#include "tests/cloud/server.h"

const char *sts_operation(const struct cloud_request *request);
cloud_handler sts_handle;
