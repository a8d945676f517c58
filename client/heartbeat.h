/* Whether a daemon's loop still turns: it stamps a file once a second (wire/endpoint.h). The file is read, not mapped:
 * most requests are answered before anyone looks, and a file that shrinks can't kill the reader. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { HEARTBEAT_STALE_MS = 10 * 1000 };

struct heartbeat {
	const char *path; /* borrowed */
	int64_t stale_ms; /* a stamp this old means a hung daemon */
	int64_t since_ms; /* CLOCK_MONOTONIC of the init: without a readable stamp, the age counts from here */
	int fd;		  /* -1 until first read */
};

void heartbeat_init(struct heartbeat *heartbeat, const char *path, int64_t stale_ms);
void heartbeat_deinit(struct heartbeat *heartbeat);

bool heartbeat_is_stale(struct heartbeat *heartbeat);
