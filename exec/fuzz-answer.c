/* Any message as a function's answer, sealed as one: refused, or it tells of nothing but what the job asked for. */
#include <assert.h>
#include <stdint.h>

#include "exec/lambda_wire.h"
#include "wire/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const argv[] = { "/usr/bin/cc", NULL };
	static const struct exec_output outputs[] = { { .path = "/src/a.o" }, { .path = "/src/a.d" } };
	static const uint8_t id[LAMBDA_ID_BYTES] = "0123456789abcdef";
	struct exec_job job = { .argv = argv, .outputs = outputs, .n_outputs = 2, .share = size % 2 };
	_cleanup_buf_ struct buf json = { 0 };
	struct lambda_answer answer = { 0 };
	struct exec_result result = { 0 };
	struct error err;
	job_seal(JOB_RESULT, slice_of(data, size), &json);
	if (lambda_wire_answer(buf_slice(&json), id, &job, &answer, &result, &err) == 0) {
		assert(answer.kind != LAMBDA_ANSWER_MISSING || answer.n_missing > 0);
		assert(answer.n_contents == 0 || answer.n_contents == 4);
		for (size_t i = 0; i < answer.n_contents; i++) {
			struct lambda_content *content = &answer.contents[i];
			if (content->apart)
				buf_append(&content->stored, data, size);
			else if (content->present)
				assert(content->digest.size_bytes == (int64_t)content->bytes.len);
		}
		for (size_t i = 0; i < result.n_strays; i++)
			assert(result.strays[i][0] == '/');
		if (answer.kind == LAMBDA_ANSWER_DONE)
			lambda_wire_deliver(&answer, &job, NULL, &result, &err);
	}
	lambda_answer_deinit(&answer);
	exec_result_deinit(&result);
	return 0;
}
