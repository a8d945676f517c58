/* answer RUNTIME_DIR: a daemon that does nothing: it answers every frame at once with "done, exit status 0, no output", so that
 * a client can be measured alone. Prints the path of its socket when it listens; runs until it is killed. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "wire/endpoint.h"
#include "wire/frame.h"

/* Read one frame and answer it; whatever goes wrong is the client's to notice. */
static void serve(int fd, struct slice answer)
{
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 };
	enum frame_type type;
	struct slice payload;
	size_t used;
	int outcome;
	while ((outcome = frame_next(buf_slice(&bytes), &type, &payload, &used, &err)) == FRAME_INCOMPLETE) {
		ssize_t n = read(fd, buf_reserve(&bytes, 65536), 65536);
		if (n <= 0)
			return;
		bytes.len += n;
	}
	if (outcome == 0 && file_write_fd(fd, answer, &err) == 0) {
		char rest[64];
		while (read(fd, rest, sizeof(rest)) > 0)
			; /* COMMITTED, then the end */
	}
}

int main(int argc, char **argv)
{
	struct error err;
	struct endpoint endpoint;
	if (argc != 2) {
		fprintf(stderr, "usage: answer RUNTIME_DIR\n");
		return 2;
	}
	if (endpoint_init(&endpoint, argv[1], NULL, &err) < 0 || endpoint_make_directory(&endpoint, &err) < 0) {
		fprintf(stderr, "answer: %s\n", err.text);
		return 1;
	}
	int64_t beat = clock_monotonic_ms();
	if (file_replace(endpoint.heartbeat, slice_of(&beat, sizeof(beat)), 0600, &err) < 0) {
		fprintf(stderr, "answer: %s\n", err.text);
		return 1;
	}
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", endpoint.socket);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 64) != 0) {
		perror("answer: cannot listen");
		return 1;
	}
	puts(endpoint.socket);
	fflush(stdout);

	_cleanup_buf_ struct buf answer = { 0 };
	frame_put_done(&answer, &(struct frame_done){ .decision = "" });
	int fd;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve(fd, buf_slice(&answer));
		close(fd);
	}
	perror("answer: accept");
	return 1;
}
