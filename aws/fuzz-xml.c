/* Any bytes as XML. */
#include <assert.h>
#include <stdint.h>

#include "aws/xml.h"

static void check(void *ctx, const char *path, const char *text)
{
	size_t *elements = ctx;
	assert(path[0] != '\0');
	++*elements;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	size_t elements = 0;
	if (xml_parse(slice_of(data, size), check, &elements, &err) < 0)
		assert(err.text[0]);
	else
		assert(elements > 0);
	assert(elements <= size);
	return 0;
}
