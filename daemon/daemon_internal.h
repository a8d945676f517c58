/* What the parts of the daemon share. For daemon/ only. */
#pragma once

#include <stdio.h>

#include "cache/cache.h"
#include "compiler/closure.h"
#include "compiler/skeletons.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/slots.h"
#include "daemon/stats.h"
#include "exec/executor.h"
#include "files/hashing.h"
#include "files/snapshot.h"
#include "files/view.h"
#include "store/store.h"

struct cloud;
struct ledger;
struct misses;
struct toolchains;
struct server;
struct share;

/* Where jobs run that have an input root. */
struct engine {
	const char *name;           /* in the log, and under `executed` in the statistics */
	size_t executed;            /* that counter's offset */
	struct executor *executor;  /* NULL: there is none, `why` says why */
	struct executor *stand_in;  /* NULL, or what takes its jobs by a dev_ option, toolchain probes excepted */
	struct slots *slots;        /* the budget that a job takes from */
	char why[512];
};

struct daemon {
	const struct daemon_options *options;
	const struct config *config;
	uv_loop_t loop;
	char *cache_dir; /* owned; real path */
	int lock_fd;     /* the endpoint's lock */
	int state_lock_fd; /* the cache directory's lock: one daemon per state directory */

	struct view *view;
	struct hashing *hashing;
	struct store *content;     /* store_disk: outputs and messages */
	struct store *directories; /* store_memory: Directory messages of the snapshot */
	struct store *files;       /* home store: input files by digest */
	struct cache *cache;
	struct ledger *ledger;     /* of temporary outputs */
	struct snapshot *snapshot;
	struct skeletons *skeletons;
	struct closures *closures;
	struct searches *searches;
	struct toolchains *toolchains;
	struct stats *stats;
	struct misses *misses;
	struct slots slots;        /* cores: commands of this machine */
	struct slots remote_slots; /* jobs that take no core of ours */

	struct executor *home;    /* in place: scans, observations, and jobs where there is no engine */
	struct engine sandbox, lambda;
	struct share *share;      /* results shared with others; NULL: they aren't */
	struct cloud *cloud;      /* what the Lambda engine stands on; NULL: nothing is configured */

	struct server *server;
	unsigned n_requests;      /* not yet ended */
	unsigned n_rooted;        /* jobs with an input root, each holding a generation of the snapshot */
	uint64_t n_results;       /* for verify = N */
	bool leaving;             /* no new work; ends when the last request has ended */
	int64_t started_ms, last_active_ms;
	struct view_identity programs[2]; /* of the runner and the interposer at the start; zero: not there */
	volatile int64_t *heartbeat; /* mapped: CLOCK_MONOTONIC in ms of the loop's last turn */
	FILE *log;                /* NULL: none */
	struct list arrivals;     /* requests that came in this turn of the loop, see requests_begin */
	uv_check_t turn;          /* their turn */
	struct list locals;       /* requests whose command a client runs on one of `slots` */
	uv_timer_t tick;          /* once a second: heartbeat, idle, statistics */
};

static inline struct executor *engine_jobs(const struct engine *engine)
{
	return engine->stand_in ? engine->stand_in : engine->executor;
}

/* Leave when nothing is under way any more. */
void daemon_leave(struct daemon *daemon);
/* A request has ended: look whether that was the last one. */
void daemon_request_ended(struct daemon *daemon);
