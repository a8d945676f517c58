#include "client/heartbeat.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/endpoint.h"

void heartbeat_init(struct heartbeat *heartbeat, const char *path, int64_t stale_ms)
{
	*heartbeat = (struct heartbeat){ path, stale_ms, clock_monotonic_ms(), -1 };
}

void heartbeat_deinit(struct heartbeat *heartbeat)
{
	cleanup_close(&heartbeat->fd);
	heartbeat->fd = -1;
}

bool heartbeat_is_stale(struct heartbeat *heartbeat)
{
	if (heartbeat->fd < 0)
		heartbeat->fd = endpoint_above_stdio(open(heartbeat->path, O_RDONLY | O_CLOEXEC));
	int64_t stamp;
	if (heartbeat->fd < 0 || pread(heartbeat->fd, &stamp, sizeof(stamp), 0) != sizeof(stamp))
		stamp = heartbeat->since_ms;
	int64_t age = clock_monotonic_ms() - stamp;
	/* A stamp from the future was left by an earlier boot. */
	return age >= heartbeat->stale_ms || age <= -heartbeat->stale_ms;
}
