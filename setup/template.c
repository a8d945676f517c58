#include "setup/template.h"

#include "store/digest.h"

static const char text[] =
#include "setup/template.inc"
	;

static const char mark[] = "@VERSION@";

const char *template_version(struct arena *arena)
{
	struct digest digest = digest_of(slice_of(text, sizeof(text) - 1));
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&digest, hex);
	return arena_strndup(arena, hex, 12);
}

const char *template_text(struct arena *arena)
{
	const char *at = strstr(text, mark);
	return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, template_version(arena), at + sizeof(mark) - 1);
}
