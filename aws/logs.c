#include "aws/logs.h"

#include <jansson.h>

#include "base/cleanup.h"

int logs_delete_group(struct aws_session *session, const char *name, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct aws_reply reply;
	const char *what = arena_printf(&arena, "delete the log group %s", name);
	json_auto_t *question = json_pack("{s:s}", "logGroupName", name);
	_cleanup_free_ char *text = json_dumps(question, JSON_COMPACT);
	if (!text)
		return error_say(err, EINVAL, "cannot %s: it isn't a name", what);
	if (aws_ask_json(session, "logs", "Logs_20140328.DeleteLogGroup", text, &arena, &reply, err) < 0)
		return error_wrap(err, "cannot %s", what);
	if (strcmp(reply.code, "ResourceNotFoundException") == 0)
		return LOGS_ABSENT;
	return aws_succeeded(&reply) ? 0 : aws_refused(&reply, "logs:DeleteLogGroup", what, err);
}
