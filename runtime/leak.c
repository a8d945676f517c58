#include "runtime/leak.h"

static bool in_a_name(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-' || c == '.' ||
	       c == '+';
}

bool leak_found(const char *root, struct slice bytes)
{
	size_t n = strlen(root);
	for (const char *at; bytes.len > 0 && (at = memmem(bytes.ptr, bytes.len, root, n));) {
		size_t passed = (size_t)(at - bytes.ptr) + n;
		bytes = slice_of(bytes.ptr + passed, bytes.len - passed);
		if (bytes.len == 0 || !in_a_name(bytes.ptr[0]))
			return true;
	}
	return false;
}
