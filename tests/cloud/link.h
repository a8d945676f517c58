/* A model of the way to the cloud: a round trip, and an uplink and a downlink that all requests share, as those of one
 * machine at home do. */
#pragma once

#include "tests/cloud/cloud.h"

struct link;

struct link *link_new(void);
void link_free(struct link *link);

/* Wait as long as this request would have been on its way: its bytes behind those of all others, and a round trip. */
void link_carry_up(struct cloud *cloud, size_t bytes);
/* The same for an answer; without a round trip. */
void link_carry_down(struct cloud *cloud, size_t bytes);
/* What setting up a connection costs: TCP's round trip and TLS's. */
int64_t link_connect_ms(struct cloud *cloud);
