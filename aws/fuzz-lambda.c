/* Any bytes as a log's tail, and as the payload of a function that failed. */
#include <assert.h>
#include <stdint.h>

#include "aws/lambda.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct lambda_result result = { 0 };
	const char *reason;
	lambda_read_report(slice_of(data, size), &result);
	assert(result.billed_ms >= 0 && result.memory_mb >= 0 && result.init_ms >= 0);
	enum lambda_outcome outcome = lambda_judge(200, "", "Unhandled", slice_of(data, size), &arena, &reason);
	assert(outcome != LAMBDA_OK && outcome != LAMBDA_THROTTLED && outcome != LAMBDA_DENIED);
	for (const char *c = reason; *c; c++)
		assert((unsigned char)*c >= ' ');
	assert(lambda_judge(429, "", NULL, slice_of(data, size), &arena, &reason) == LAMBDA_THROTTLED);
	for (const char *c = reason; *c; c++)
		assert((unsigned char)*c >= ' ');
	return 0;
}
