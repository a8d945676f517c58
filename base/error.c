#include "base/error.h"

#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
	if (!err)
		return -1;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	err->code = code;
	if (code != 0 && n >= 0 && (size_t)n < sizeof(err->text)) {
		char buffer[128];
		/* GNU strerror_r: thread-safe, may return a static string. */
		const char *reason = strerror_r(code, buffer, sizeof(buffer));
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", reason);
	}
	return -1;
}

int error_say(struct error *err, int code, const char *format, ...)
{
	if (!err)
		return -1;
	va_list args;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	err->code = code;
	return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
	if (!err)
		return -1;
	char inner[sizeof(err->text)];
	memcpy(inner, err->text, sizeof(inner));
	va_list args;
	va_start(args, format);
	int n = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", inner);
	return -1;
}
