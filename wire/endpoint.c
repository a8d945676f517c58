#include "wire/endpoint.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

/* SplitMix64's finaliser: every bit of the view reaches every digit of the name. */
static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) + 0x9e3779b97f4a7c15;
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
	h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
	return h ^ (h >> 31);
}

/* The client runs once per compilation: no stdio here. */
static char *append(char *at, const char *end, const char *s)
{
	size_t n = strlen(s);
	if (!at || n >= (size_t)(end - at))
		return NULL;
	memcpy(at, s, n + 1);
	return at + n;
}

static bool join(char *ret, size_t limit, const char *directory, const char *name, const char *suffix)
{
	const char *end = ret + limit;
	char *at = append(ret, end, directory);
	if (*name)
		at = append(at, end, "/");
	at = append(at, end, name);
	return append(at, end, suffix);
}

static bool own_directory(const char *path)
{
	struct stat st;
	return path && path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static bool choose_directory(char ret[ENDPOINT_PATH_BYTES], const char *runtime_dir)
{
	if (runtime_dir && *runtime_dir)
		return join(ret, ENDPOINT_PATH_BYTES, runtime_dir, "", "");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	if (own_directory(xdg))
		return join(ret, ENDPOINT_PATH_BYTES, xdg, "llama", "");
	char digits[24];
	char *at = digits + sizeof(digits);
	*--at = '\0';
	uid_t uid = geteuid();
	do {
		*--at = (char)('0' + uid % 10);
		uid /= 10;
	} while (uid);
	return join(ret, ENDPOINT_PATH_BYTES, "/tmp", "llama-", at);
}

int endpoint_init(struct endpoint *endpoint, const char *runtime_dir, const char *profile, struct error *err)
{
	*endpoint = (struct endpoint){ 0 };
	struct stat st;
	if (stat("/", &st) < 0)
		return error_set(err, errno, "cannot examine /");
	endpoint->root_dev = st.st_dev;
	endpoint->root_ino = st.st_ino;
	/* The inode of a namespace's file is its id. Without /proc it stays 0, for daemon and client alike. */
	if (stat("/proc/self/ns/mnt", &st) == 0)
		endpoint->mount_ns = st.st_ino;

	if (!choose_directory(endpoint->directory, runtime_dir))
		return error_set(
			err, ENAMETOOLONG, "cannot use the runtime directory; set LLAMA_RUNTIME_DIR to a shorter path");
	if (endpoint->directory[0] != '/')
		return error_set(err, 0, "the runtime directory %s is not an absolute path", endpoint->directory);

	uint64_t view = mix(mix(mix(0, endpoint->root_dev), endpoint->root_ino), endpoint->mount_ns);
	for (; profile && *profile; profile++)
		view = mix(view, (unsigned char)*profile);
	char name[17];
	for (int i = 0; i < 16; i++)
		name[i] = "0123456789abcdef"[view >> (60 - 4 * i) & 15];
	name[16] = '\0';
	if (!join(endpoint->socket, sizeof(((struct sockaddr_un *)0)->sun_path), endpoint->directory, name, ".sock") ||
		!join(endpoint->lock, sizeof(endpoint->lock), endpoint->directory, name, ".lock") ||
		!join(endpoint->heartbeat, sizeof(endpoint->heartbeat), endpoint->directory, name, ".beat") ||
		!join(endpoint->start, sizeof(endpoint->start), endpoint->directory, name, ".start"))
		return error_set(err, ENAMETOOLONG,
			"cannot make a socket in %s; set LLAMA_RUNTIME_DIR to a shorter path", endpoint->directory);
	return 0;
}

static int check_directory(const char *path, struct error *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return error_set(err, errno, "cannot examine the runtime directory %s", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "the runtime directory %s is not a real directory; remove it", path);
	if (st.st_uid != geteuid())
		return error_set(err, EPERM,
			"the runtime directory %s belongs to user %u; set LLAMA_RUNTIME_DIR to one of your own", path,
			st.st_uid);
	if ((st.st_mode & 0777) != 0700)
		return error_set(err, EPERM, "the runtime directory %s has mode %03o; run `chmod 700 %s`", path,
			st.st_mode & 0777, path);
	return 0;
}

int endpoint_make_directory(const struct endpoint *endpoint, struct error *err)
{
	if (file_make_dirs(endpoint->directory, 0700, err) < 0)
		return -1;
	return check_directory(endpoint->directory, err);
}

int endpoint_above_stdio(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	cleanup_close(&fd);
	return copy;
}

int endpoint_connect(const struct endpoint *endpoint, int timeout_ms, struct error *err)
{
	/* In a directory of somebody else's the socket may lead to any of ours, and the heartbeat be a FIFO. */
	if (check_directory(endpoint->directory, err) < 0)
		return -1;
	_cleanup_close_ int fd = endpoint_above_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return error_set(err, errno, "cannot make a socket");
	/* A blocking connect waits for room in the backlog as long as a send would. */
	struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return error_set(err, errno, "cannot set the time limit of a socket");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, endpoint->socket); /* endpoint_init made it fit */
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "cannot connect to %s", endpoint->socket);
	struct ucred peer;
	socklen_t length = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return error_set(err, errno, "cannot tell whose socket %s is", endpoint->socket);
	if (peer.uid != geteuid())
		return error_set(err, EPERM, "the socket %s belongs to user %u", endpoint->socket, peer.uid);
	return take_fd(fd);
}
