/* Any bytes: refused, to be continued, or an answer that lies within them. A longer text has the same answer. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_answer answer = { 0 }, longer = { 0 };
	struct error err;
	struct slice bytes = slice_of(data, size), value;
	if (http_answer_parse(bytes, false, &answer, &err) == 0) {
		assert(answer.length <= size && answer.body.len <= size && answer.status >= 200);
		(void)http_answer_header(&answer, "lambda-runtime-aws-request-id", &value);
		_cleanup_buf_ struct buf more = { 0 };
		buf_append(&more, data, size);
		buf_append_str(&more, "more");
		assert(http_answer_parse(buf_slice(&more), false, &longer, &err) == 0);
		assert(longer.length == answer.length && slice_equal(longer.body, answer.body));
	}
	http_answer_deinit(&answer);
	http_answer_deinit(&longer);
	if (http_answer_parse(bytes, true, &answer, &err) == 0)
		http_answer_deinit(&answer);
	return 0;
}
