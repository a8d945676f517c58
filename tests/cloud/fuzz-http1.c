/* Any bytes as an HTTP/1.1 request, its head and a chunked body: parsed or refused, the same in whatever pieces they
 * come. */
#include <assert.h>
#include <stdlib.h>

#include "tests/cloud/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf body = { 0 };
	struct cloud_request request = { .arena = &arena };
	struct http1_head head;
	struct error err;
	struct slice bytes = slice_of(data, size);
	if (http1_parse_head(bytes, &request, &head, &err) != 0)
		return 0;
	assert(head.length <= size && request.method[0] && request.target[0]);
	assert(http1_parse_head(slice_of(data, head.length - 1), &request, &head, &err) == HTTP1_MORE);
	assert(http1_parse_head(bytes, &request, &head, &err) == 0);
	if (server_parse_target(&request, &err) == 0)
		assert(request.path[0] == '/');
	bytes = slice_of(data + head.length, size - head.length);
	size_t used;
	if (head.chunked && http1_parse_chunks(bytes, 1 << 20, &body, &used, &err) >= 0)
		assert(used <= bytes.len && body.len < bytes.len + 1);
	return 0;
}
