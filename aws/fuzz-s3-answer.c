#include <assert.h>
#include <stdint.h>

#include "aws/s3_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice body = slice_of(bytes, n);
	struct s3_page page;
	struct error err;
	const char *upload;
	if (s3_answer_page(body, &arena, &page, &err) == 0) {
		assert(page.token);
		for (size_t i = 0; i < page.n; i++)
			assert(page.keys[i].name && page.keys[i].size_bytes >= 0 && page.keys[i].modified_s >= -1);
	}
	if (s3_answer_upload(body, &arena, &upload, &err) == 0)
		assert(*upload);
	struct s3_complaint complaint = s3_answer_complaint(body, &arena);
	assert(complaint.code && complaint.message && complaint.region);
	return 0;
}
