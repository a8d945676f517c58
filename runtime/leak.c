#include "runtime/leak.h"

static bool in_a_name(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-' || c == '.' || c == '+';
}

bool leak_found(const char *root, struct slice bytes)
{
	size_t n = strlen(root);
	const char *end = bytes.ptr + bytes.len;
	for (const char *at = bytes.ptr; bytes.len > 0 && (at = memmem(at, (size_t)(end - at), root, n)); at += n)
		if (at + n == end || !in_a_name(at[n]))
			return true;
	return false;
}
