/* The service "sts": who asks, and keys for a token of GitHub Actions (or whoever signs them so).
 *
 * AssumeRoleWithWebIdentity comes unsigned. Of the token the claims are judged (issuer, audience, a subject that is a repository's, expiry) and not its
 * signature, which takes the issuer's keys; of the role that it is one's ARN. The keys are those of the temporary identity `builder`, for an hour. */
#pragma once

#include "tests/cloud/server.h"

#define STS_WEB_IDENTITY "AssumeRoleWithWebIdentity"

const char *sts_operation(const struct cloud_request *request);
cloud_handler sts_handle;
