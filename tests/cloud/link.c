#include "tests/cloud/link.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

/* Until when each direction is taken by what was sent so far. */
struct link {
	pthread_mutex_t lock;
	int64_t up_free_ns, down_free_ns;
};

struct link *link_new(void)
{
	struct link *link = calloc(1, sizeof *link);
	if (!link)
		abort();
	pthread_mutex_init(&link->lock, NULL);
	return link;
}

void link_free(struct link *link)
{
	free(link);
}

static void sleep_until(int64_t ns)
{
	struct timespec until = { ns / 1000000000, ns % 1000000000 };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void carry(struct cloud *cloud, int64_t *free_ns, int64_t kbit_s, int64_t delay_ns, size_t bytes)
{
	if (kbit_s == 0 && delay_ns == 0)
		return;
	int64_t until = clock_monotonic_ns();
	if (kbit_s > 0) {
		pthread_mutex_lock(&cloud->link->lock);
		*free_ns = (*free_ns > until ? *free_ns : until) + (int64_t)bytes * 8 * 1000000 / kbit_s;
		until = *free_ns;
		pthread_mutex_unlock(&cloud->link->lock);
	}
	sleep_until(until + delay_ns);
}

void link_carry_up(struct cloud *cloud, size_t bytes)
{
	carry(cloud, &cloud->link->up_free_ns, cloud_setting(cloud, SETTING_UPLINK_KBIT_S),
		cloud_setting(cloud, SETTING_RTT_MS) * 1000000, bytes);
}

void link_carry_down(struct cloud *cloud, size_t bytes)
{
	carry(cloud, &cloud->link->down_free_ns, cloud_setting(cloud, SETTING_DOWNLINK_KBIT_S), 0, bytes);
}

int64_t link_connect_ms(struct cloud *cloud)
{
	return 2 * cloud_setting(cloud, SETTING_RTT_MS);
}
