#include "daemon/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/image_links.h"
#include "base/cleanup.h"
#include "daemon/daemon_internal.h"
#include "daemon/journal.h"
#include "daemon/share.h"
#include "exec/lambda.h"

enum { WIDTH = 1000 }; /* an account's usual limit, where its own isn't known; the window finds out what there is of it */

struct cloud {
	struct daemon *daemon;
	struct aws_config config;
	struct aws *aws;
	struct uplink *uplink;
	struct lambda_counters lambda_counted; /* what is in the statistics */
	struct s3_counters s3_counted;
	struct image_links links; /* that an image built here has */
	struct arena arena;
};

static void note(void *ctx, const char *text)
{
	struct daemon *daemon = ctx;
	journal_note(daemon->log, "cloud", text);
}

static int open_lambda(struct cloud *cloud, const struct s3_bucket *bucket, const char *endpoint, struct error *err)
{
	struct daemon *daemon = cloud->daemon;
	_cleanup_buf_ struct buf directory = { 0 };
	if (image_links_read("/", &cloud->arena, &cloud->links, err) < 0)
		return -1;
	buf_printf(&directory, "%s/cloud", daemon->cache_dir);
	struct uplink_options uplink = {
		.bucket = *bucket,
		.endpoint = endpoint,
		.directories = daemon->directories,
		.files = daemon->files,
		.directory = directory.ptr,
		.note = note,
		.ctx = daemon,
	};
	cloud->uplink = uplink_new(&daemon->loop, &uplink, err);
	if (!cloud->uplink)
		return -1;
	struct lambda_options options = {
		.aws = cloud->aws,
		.function = daemon->config->function,
		.uplink = cloud->uplink,
		.bucket = *bucket,
		.place = { bucket->name, bucket->prefix, cloud->config.region, endpoint },
		.files = daemon->files,
		.content = daemon->content,
		.width = daemon->config->concurrency ? daemon->config->concurrency : WIDTH,
	};
	daemon->lambda.executor = lambda_new(&daemon->loop, &options);
	return 0;
}

static int open_all(struct cloud *cloud, struct error *err)
{
	struct daemon *daemon = cloud->daemon;
	const struct config *config = daemon->config;
	if (aws_config_load(config->profile, config->region, environ, &cloud->config, err) < 0)
		return -1;
	bool custom;
	const char *endpoint = aws_config_endpoint(&cloud->config, "s3", &cloud->arena, &custom);
	if (!endpoint)
		return error_set(err, 0, "no region is known: set region, or AWS_REGION");
	cloud->aws = aws_new(&daemon->loop, &cloud->config, err);
	if (!cloud->aws)
		return -1;
	struct s3_bucket bucket = { cloud->aws, config->bucket, "" };
	if (config->share != CONFIG_SHARE_OFF) {
		daemon->share = share_new(daemon, &bucket, custom ? endpoint : "", config->share == CONFIG_SHARE_WRITE, config->base_dir, err);
		if (!daemon->share)
			return -1;
	}
	return config->function ? open_lambda(cloud, &bucket, custom ? endpoint : "", err) : 0;
}

struct cloud *cloud_open(struct daemon *daemon, struct error *err)
{
	struct cloud *cloud = calloc(1, sizeof(*cloud));
	if (!cloud)
		abort();
	cloud->daemon = daemon;
	if (open_all(cloud, err) == 0)
		return cloud;
	cloud_close(cloud);
	return NULL;
}

void cloud_count(struct cloud *cloud)
{
	if (!cloud || !cloud->aws)
		return;
	struct stats *stats = cloud->daemon->stats;
	struct lambda_counters lambda = { 0 }, *l = &cloud->lambda_counted;
	struct s3_counters s3 = s3_counters(cloud->aws), *s = &cloud->s3_counted;
	if (cloud->daemon->lambda.executor)
		lambda = lambda_counters(cloud->daemon->lambda.executor);
#define COUNT(field, now, before) stats_add(stats, NULL, field, (now) - (before))
	COUNT(lambda_requests, lambda.requests, l->requests);
	COUNT(lambda_billed_ms, lambda.billed_ms, l->billed_ms);
	COUNT(lambda_billed_mb_ms, lambda.billed_mb_ms, l->billed_mb_ms);
	COUNT(lambda_overhead_us, lambda.overhead_us, l->overhead_us);
	COUNT(lambda_cold_starts, lambda.cold_starts, l->cold_starts);
	COUNT(lambda_throttles, lambda.throttles, l->throttles);
	COUNT(lambda_retries, lambda.retries, l->retries);
	COUNT(lambda_errors, lambda.errors, l->errors);
	COUNT(lambda_bytes_in, lambda.bytes_in, l->bytes_in);
	COUNT(lambda_bytes_out, lambda.bytes_out, l->bytes_out);
	COUNT(s3_gets, s3.gets + lambda.worker_s3_gets, s->gets + l->worker_s3_gets);
	COUNT(s3_puts, s3.puts + lambda.worker_s3_puts, s->puts + l->worker_s3_puts);
	COUNT(s3_bytes_in, s3.bytes_in, s->bytes_in);
	COUNT(s3_bytes_out, s3.bytes_out, s->bytes_out);
#undef COUNT
	*l = lambda;
	*s = s3;
}

void cloud_stop(struct cloud *cloud)
{
	if (!cloud)
		return;
	cloud_count(cloud);
	executor_free(cloud->daemon->lambda.executor);
	cloud->daemon->lambda.executor = NULL;
	if (cloud->uplink)
		uplink_stop(cloud->uplink);
	aws_free(cloud->aws);
	cloud->aws = NULL;
}

void cloud_close(struct cloud *cloud)
{
	if (!cloud)
		return;
	struct daemon *daemon = cloud->daemon;
	if (cloud->aws)
		cloud_stop(cloud); /* the daemon never began */
	share_free(daemon->share);
	daemon->share = NULL;
	uplink_free(cloud->uplink);
	aws_config_deinit(&cloud->config);
	arena_deinit(&cloud->arena);
	free(cloud);
}

bool cloud_takes_jobs(const struct daemon *daemon)
{
	return daemon->lambda.executor && !lambda_down(daemon->lambda.executor, &(int64_t){ 0 });
}

void cloud_put_status(const struct daemon *daemon, json_t *status)
{
	const struct executor *executor = daemon->lambda.executor;
	const struct config *config = daemon->config;
	struct lambda_counters counters = executor ? lambda_counters(executor) : (struct lambda_counters){ 0 };
	int64_t left_ms = 0;
	const char *down = executor ? lambda_down(executor, &left_ms) : NULL;
	const char *state = !executor && !config->bucket && !config->function ? "unconfigured" :
			    !executor					      ? "unusable" :
			    down					      ? "down" :
			    counters.answers > 0			      ? "ready" :
			    counters.errors > 0				      ? "failing" :
										"untried";
	json_t *more = json_pack("{s:s, s:i, s:s, s:s*, s:s*, s:s*, s:I, s:I}",
		"lambda", state,
		"lambda_jobs", executor ? (int)exec_width(executor) : 0,
		"lambda_why", down ? down : executor ? lambda_trouble(executor) : daemon->lambda.why,
		"function", config->function,
		"bucket", config->bucket,
		"region", daemon->cloud ? daemon->cloud->config.region : NULL,
		"lambda_back_ms", (json_int_t)left_ms,
		"lambda_errors", (json_int_t)counters.errors);
	if (!more)
		abort();
	json_object_update(status, more);
	json_decref(more);
}

bool cloud_mirrors(const struct cloud *cloud, const char *path)
{
	return image_links_mirror(&cloud->links, path);
}
