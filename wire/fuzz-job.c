/* Any body that a function's answer or request may have: opened or refused, and what was opened unpacks and unfolds or doesn't. */
#include <stdint.h>

#include "wire/job.h"
#include "wire/job.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unfold(Job__Job *job)
{
	struct error err;
	if (job && job->folded)
		job_unfold(job, slice_str("a dictionary"), &err);
	job__job__free_unpacked(job, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf message = { 0 };
	struct error err;
	if (job_open(JOB_RESULT, slice_of(data, size), &message, &err) == 0)
		job__result__free_unpacked(job__result__unpack(NULL, message.len, (const uint8_t *)buf_str(&message)), NULL);
	buf_reset(&message);
	if (job_open(JOB_REQUEST, slice_of(data, size), &message, &err) == 0)
		unfold(job__job__unpack(NULL, message.len, (const uint8_t *)buf_str(&message)));
	return 0;
}
