/* Any bytes as each of the answers that hand out keys, as a token file, and as an error. */
#include <assert.h>
#include <stdint.h>

#include "aws/credential_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice body = slice_of(data, size);
	for (int shape = CREDENTIAL_OF_PROCESS; shape <= CREDENTIAL_OF_STS; shape++) {
		struct aws_keys keys;
		struct error err = { 0 };
		if (credential_answer_keys((enum credential_shape)shape, body, &arena, &keys, &err) == 0)
			assert(credential_keys_fit(&keys) && keys.expires_ms >= 0);
		else
			assert(err.text[0]);
	}
	const char *code, *message, *file;
	struct credential_sso_token token, again;
	struct error err = { 0 };
	if (credential_answer_sso_token(body, &arena, &token, &err) == 0)
		assert(token.token[0] && token.expires_ms >= 0);
	credential_sso_refresh(body, 0, &arena);
	if (credential_answer_sso_refreshed(body, body, 0, &arena, &token, &file, &err) == 0) {
		assert(credential_answer_sso_token(slice_str(file), &arena, &again, &err) == 0);
		assert(strcmp(again.token, token.token) == 0 && again.expires_ms == token.expires_ms);
	}
	credential_answer_error(body, &arena, &code, &message);
	assert(!strpbrk(code, "\r\n") && !strpbrk(message, "\r\n") && strlen(message) <= CREDENTIAL_MESSAGE_BYTES);
	assert(credential_time_ms(arena_strndup(&arena, body.ptr, body.len)) >= -1);
	return 0;
}
