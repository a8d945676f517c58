/* What of AWS the daemon has: the client, the bucket, the way up, and the Lambda engine and shared results that stand on them. Opened when a bucket is
 * configured; nothing is asked of the network before something needs it, but what others have shared. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

struct daemon;
struct cloud;

/* Open what the configuration asks for: fills daemon->lambda and daemon->share. NULL with `err`: the AWS configuration is no good. Where there is no
 * function, or no region, the engine says so in its `why`. */
struct cloud *cloud_open(struct daemon *daemon, struct error *err);
/* Bring the daemon's statistics up to date with what lambda_counters() and s3_counters() say. NULL is allowed. */
void cloud_count(struct cloud *cloud);
/* No job is under way, and none will come: what else is, is dropped, and handles close with the loop's next turns. NULL is allowed. */
void cloud_stop(struct cloud *cloud);
/* After the loop's end. NULL is allowed. */
void cloud_close(struct cloud *cloud);

/* Whether the Lambda engine is there and takes jobs at present. */
bool cloud_takes_jobs(const struct daemon *daemon);
/* Put what is to be known of the Lambda engine into the daemon's status. */
void cloud_put_status(const struct daemon *daemon, json_t *status);

/* Whether the function's image has a name for what is at `path` (aws/image_links.h), if it was built on a machine like this one. */
bool cloud_mirrors(const struct cloud *cloud, const char *path);
