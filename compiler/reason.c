#include "compiler/reason.h"

#include <assert.h>

static const struct {
	const char *name, *text;
} reasons[] = { [REASON_NONE] = { "none", "runs on the engine" },
#define X(enumerator, name, text) [REASON_##enumerator] = { name, text },
	REASON_TABLE(X)
#undef X
};

static_assert(sizeof(reasons) / sizeof(reasons[0]) == REASON_COUNT, "a reason without a name");

const char *reason_name(enum reason_code code)
{
	assert(code < REASON_COUNT);
	return reasons[code].name;
}

const char *reason_text(enum reason_code code)
{
	assert(code < REASON_COUNT);
	return reasons[code].text;
}

void reason_format(const struct reason *reason, struct buf *to)
{
	buf_append_str(to, reason_name(reason->code));
	if (reason->detail && (reason->code == REASON_OPTION || reason->code == REASON_ENVIRONMENT)) {
		buf_append_char(to, ':');
		buf_append_str(to, reason->detail);
	}
}
