/* Any bytes are refused or decoded, and what was decoded survives being written and read again. */
#include <stdlib.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* The payload of the only frame in `frame`. */
static struct slice reread(const struct buf *frame, enum frame_type expected)
{
	enum frame_type type;
	struct slice payload;
	size_t used;
	check(frame_next(buf_slice(frame), &type, &payload, &used, NULL) == 0 && type == expected &&
		used == frame->len);
	return payload;
}

static void try_payload(enum frame_type type, struct slice payload)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf again = { 0 };
	struct frame_request request;
	struct frame_done done;
	struct frame_local local;
	struct frame_control control;
	struct frame_control_reply reply;
	switch (type) {
	case FRAME_REQUEST:
		if (frame_get_request(payload, &arena, &request, NULL) < 0)
			return;
		frame_put_request(&again, &request);
		break;
	case FRAME_DONE:
		if (frame_get_done(payload, &arena, &done, NULL) < 0)
			return;
		frame_put_done(&again, &done);
		break;
	case FRAME_LOCAL:
		if (frame_get_local(payload, &arena, &local, NULL) < 0)
			return;
		frame_put_local(&again, &local);
		break;
	case FRAME_COMMITTED:
		return;
	case FRAME_CONTROL:
		if (frame_get_control(payload, &arena, &control, NULL) < 0)
			return;
		frame_put_control(&again, &control);
		break;
	case FRAME_CONTROL_REPLY:
		if (frame_get_control_reply(payload, &arena, &reply, NULL) < 0)
			return;
		frame_put_control_reply(&again, &reply);
		break;
	}
	check(slice_equal(reread(&again, type), payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of(data, size);
	enum frame_type type;
	struct slice payload;
	size_t used;
	/* As a stream of frames, and as the bare payload of every type. */
	for (struct slice rest = bytes; frame_next(rest, &type, &payload, &used, NULL) == 0;) {
		try_payload(type, payload);
		rest = slice_of(rest.ptr + used, rest.len - used);
	}
	for (int kind = FRAME_REQUEST; kind <= FRAME_CONTROL_REPLY; kind++)
		try_payload((enum frame_type)kind, bytes);
	return 0;
}
