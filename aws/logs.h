/* CloudWatch Logs (2014-03-28): what a function leaves behind. */
#pragma once

#include "aws/session.h"

enum logs_outcome { LOGS_ABSENT = 1 };

/* With all that is in it. 0, LOGS_ABSENT, -1. */
int logs_delete_group(struct aws_session *session, const char *name, struct error *err);
