/* floor SOCKET: what a client costs at the least. A static C program that connects, sends a frame of 2 KiB, reads an answer and exits. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/frame.h"

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: floor SOCKET\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	/* A control frame whose content nobody looks at: little-endian magic, version, type, length. */
	static char request[2048] = { 'l', 'l', 'm', 'a', FRAME_VERSION, 0, FRAME_CONTROL, 0, 0xf4, 0x07 };
	_Static_assert(sizeof(request) - FRAME_HEADER_BYTES == 0x7f4, "the length in the header");
	char answer[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		write(fd, request, sizeof(request)) != sizeof(request) || read(fd, answer, sizeof(answer)) <= 0)
		return 1;
	return 0;
}
