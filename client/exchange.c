#include "client/exchange.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

enum {
	FIRST_LOOK_MS = 100, /* a daemon that already hung when we came is found out soon */
	LOOK_MS = 1000,
	RECEIVE_BYTES = 16 * 1024,
};

/* Wait until `fd` is ready, or the daemon proves to hang. */
static int wait_ready(int fd, short events, struct heartbeat *heartbeat, struct error *err)
{
	int timeout_ms = FIRST_LOOK_MS;
	for (;;) {
		struct pollfd poll_fd = { fd, events, 0 };
		int n = poll(&poll_fd, 1, timeout_ms);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return error_set(err, errno, "cannot wait for the daemon");
		if (n == 0 && heartbeat_is_stale(heartbeat))
			return error_set(err, 0, "the daemon hangs");
		timeout_ms = LOOK_MS;
	}
}

static int send_all(int fd, struct slice bytes, struct heartbeat *heartbeat, struct error *err)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
		} else if (errno == EAGAIN) {
			if (wait_ready(fd, POLLOUT, heartbeat, err) < 0)
				return -1;
		} else if (errno != EINTR) {
			return error_set(err, errno, "cannot send the request");
		}
	}
	return 0;
}

static int receive_frame(int fd, struct heartbeat *heartbeat, struct buf *received, enum frame_type *type,
	struct slice *payload, struct error *err)
{
	for (;;) {
		size_t used;
		int result = frame_next(buf_slice(received), type, payload, &used, err);
		if (result != FRAME_INCOMPLETE)
			return result;
		if (wait_ready(fd, POLLIN, heartbeat, err) < 0)
			return -1;
		size_t room = received->capacity > received->len + RECEIVE_BYTES
				      ? received->capacity - received->len - 1
				      : RECEIVE_BYTES;
		char *at = buf_reserve(received, room);
		ssize_t n = recv(fd, at, room, MSG_DONTWAIT);
		if (n > 0)
			received->len += (size_t)n;
		else if (n == 0)
			return error_set(err, 0, "the daemon hung up");
		else if (errno != EAGAIN && errno != EINTR)
			return error_set(err, errno, "cannot receive the answer");
	}
}

int exchange_request(int fd, const struct frame_request *request, struct heartbeat *heartbeat, struct arena *arena,
	struct buf *received, struct answer *ret, struct error *err)
{
	_cleanup_buf_ struct buf frame = { 0 };
	buf_reserve(&frame, 12 * 1024); /* usually all of it, in one piece */
	frame_put_request(&frame, request);
	if (send_all(fd, buf_slice(&frame), heartbeat, err) < 0)
		return -1;
	struct slice payload;
	if (receive_frame(fd, heartbeat, received, &ret->type, &payload, err) < 0)
		return -1;
	if (ret->type == FRAME_DONE)
		return frame_get_done(payload, arena, &ret->done, err);
	if (ret->type == FRAME_LOCAL)
		return frame_get_local(payload, arena, &ret->local, err);
	return error_set(err, 0, "the daemon answered with a frame of type %d", ret->type);
}

void exchange_committed(int fd)
{
	_cleanup_buf_ struct buf frame = { 0 };
	frame_put_committed(&frame);
	send(fd, frame.ptr, frame.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
