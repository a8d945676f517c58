#include "tests/cloud/sts.h"

#include <string.h>

#include "tests/cloud/cloud.h"
#include "tests/cloud/permissions.h"
#include "tests/cloud/query.h"
#include "tests/cloud/xml.h"

#define XMLNS "https://sts.amazonaws.com/doc/2011-06-15/"

const char *sts_operation(const struct cloud_request *request)
{
	const char *action = query_action(request);
	return action && strcmp(action, "GetCallerIdentity") == 0 ? "GetCallerIdentity" : NULL;
}

void sts_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	const char *operation = sts_operation(request);
	if (!operation) {
		cloud_error(request, response, 400, "InvalidAction", "This cloud's STS has GetCallerIdentity only.");
		return;
	}
	struct buf *body = query_begin(response, operation, XMLNS);
	xml_element(body, "Arn", permissions_caller(cloud, request->access_key, request->arena));
	xml_element(body, "UserId", arena_printf(request->arena, "AIDA%.16s", request->access_key + 4));
	xml_element(body, "Account", CLOUD_ACCOUNT);
	query_end(request, response, operation);
}
