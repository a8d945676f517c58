/* Any body that a function's answer or request may have: opened or refused, and what was opened unpacks or doesn't. */
#include <stdint.h>

#include "wire/job.h"
#include "wire/job.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf message = { 0 };
	struct error err;
	if (job_open(JOB_RESULT, slice_of(data, size), &message, &err) == 0)
		job__result__free_unpacked(job__result__unpack(NULL, message.len, (const uint8_t *)buf_str(&message)), NULL);
	buf_reset(&message);
	if (job_open(JOB_REQUEST, slice_of(data, size), &message, &err) == 0)
		job__job__free_unpacked(job__job__unpack(NULL, message.len, (const uint8_t *)buf_str(&message)), NULL);
	return 0;
}
