#include "daemon/request.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compiler/native.h"
#include "daemon/answer.h"
#include "daemon/daemon_internal.h"
#include "daemon/inputs.h"
#include "daemon/journal.h"
#include "daemon/ledger.h"
#include "daemon/misses.h"
#include "daemon/plan.h"
#include "daemon/searches.h"
#include "daemon/server.h"
#include "daemon/share.h"
#include "daemon/toolchains.h"
#include "event/watch.h"

enum { REPEATS_LIMIT = 2 };

enum state {
	STATE_ARRIVED,
	STATE_TOOLCHAIN,
	STATE_NATIVE,
	STATE_SHARE,
	STATE_FILES,
	STATE_SLOT,
	STATE_SEARCH,
	STATE_SCAN,
	STATE_RUN,
	STATE_CHECK,
	STATE_ANSWERED,
	STATE_LOCAL_SLOT,
	STATE_LOCAL,
};

enum { STALLED_MS = 3000 };

struct request {
	struct daemon *daemon;
	struct list arrival; /* ARRIVED: in daemon->arrivals */
	uint64_t arrived;    /* view_arrive() */
	struct connection *connection; /* NULL once it hung up or was closed by us */
	struct connection_user user;
	struct arena arena;
	struct frame_request frame;
	struct plan plan;
	enum state state;
	bool hung_up;
	struct reason reason;       /* of going local */
	struct journal_entry journal;

	struct toolchain *toolchain; /* a reference */
	struct toolchain_waiter toolchain_waiter;
	struct search_waiter search_waiter;
	struct hashing_waiter hashing_waiter;
	void (*with_files)(struct request *request); /* STATE_FILES: what is done again then */
	struct slot_waiter slot_waiter;
	struct slots *slots;        /* where it waits for a slot, or holds the one it has */
	bool has_slot;
	void (*with_slot)(struct request *request); /* STATE_SLOT, STATE_LOCAL_SLOT: what comes then */

	struct digest key;
	unsigned ledger_slot;       /* where the temporary outputs are written down; 0: nowhere yet */
	struct exec_op *op;         /* under way, or NULL */
	struct exec_job job;
	bool scanned;               /* its inputs are told by the compiler's own -M */
	struct exec_result scan;    /* of that; its log is used until the job has run */
	struct exec_result result;  /* of the job */
	struct engine *engine;      /* NULL: it runs in place */
	struct inputs inputs;       /* of a job with an input root */
	struct exec_overlay overlay;
	unsigned n_repeats;         /* after an input had not been predicted, or had changed */
	unsigned n_missing;         /* how often a mirrored file had vanished before it was copied */
	int64_t run_started_ns;     /* CLOCK_REALTIME */
	struct inputs_moment run_start; /* in place: for inputs_digest() */
	uint64_t judged_since;      /* view_arrive() of the questions whether home would have told the job the same */

	struct answer answer;
	struct exec_output_result *checked; /* what a second compilation is held against */
	bool found;                 /* and that is from the cache: a hit */
	struct share_waiter share_waiter;
	bool fetched;               /* it had the result */
	bool shared;                /* the bucket that is shared with others has been asked */

	/* LOCAL: the client's process. */
	struct list local;          /* in daemon->locals */
	struct watch *watch;
	pid_t peer;
	int64_t local_started_ms;
	int64_t time, progressed_ms; /* its processor time when somebody waited last, and since when that was so much */
	bool failed_on_engine;      /* LOCAL after that: if it succeeds, remember the unit as local */
};

static void go_local(struct request *request, enum reason_code code, const char *detail);
static void begin(struct request *request);
static void look_up(struct request *request);
static void start_job(struct request *request);
static void start_check(struct request *request);
static void scan_instead(struct request *request);

static const char *build_id(const struct request *request)
{
	return request->plan.build_id;
}

#define count(request, field, n) stats_add((request)->daemon->stats, build_id(request), field, (n))

static void give_slot(struct request *request)
{
	if (request->has_slot)
		slots_give(request->slots);
	request->has_slot = false;
}

static void slot_granted(struct slot_waiter *waiter)
{
	struct request *request = container_of(waiter, struct request, slot_waiter);
	request->has_slot = true;
	/* It may have waited for long: its job is to have the files of now. */
	request->plan.since = view_arrive(request->daemon->view);
	request->with_slot(request);
}

/* Go on with a slot of `slots`, and none of another budget. */
static void take_slot(struct request *request, struct slots *slots, enum state waiting, void (*with_slot)(struct request *request))
{
	if (request->has_slot && request->slots == slots) {
		with_slot(request);
		return;
	}
	give_slot(request);
	request->state = waiting;
	request->slots = slots;
	request->with_slot = with_slot;
	slot_waiter_init(&request->slot_waiter, slot_granted);
	if (slots_take(slots, &request->slot_waiter)) {
		request->has_slot = true;
		with_slot(request);
	}
}

/* New names beside the outputs. */
static void name_temporaries(struct request *request)
{
	struct plan *plan = &request->plan;
	plan_name_temporaries(plan, &request->arena);
	const char **paths = arena_array(&request->arena, const char *, plan->n_outputs + 1);
	for (size_t i = 0; i < plan->n_outputs; i++)
		paths[i] = plan->outputs[i].temporary;
	ledger_put(request->daemon->ledger, &request->ledger_slot, paths, plan->n_outputs);
}

static void files_hashed(struct hashing_waiter *waiter)
{
	struct request *request = container_of(waiter, struct request, hashing_waiter);
	request->with_files(request);
}

/* Whether what was asked since hashing_begin() can't be believed yet: then `again` is called when it can be. */
static bool wait_for_files(struct request *request, void (*again)(struct request *request))
{
	if (!hashing_wait(request->daemon->hashing, &request->hashing_waiter))
		return false;
	request->state = STATE_FILES;
	request->with_files = again;
	return true;
}

/* The end of every request. */
static void request_end(struct request *request)
{
	struct daemon *daemon = request->daemon;
	assert(!request->op);
	if (request->connection) {
		connection_set_user(request->connection, NULL);
		connection_close(request->connection);
	}
	ledger_drop(daemon->ledger, request->ledger_slot);
	journal_write(daemon->log, &request->journal, &request->plan, &request->reason);
	list_remove(&request->local);
	watch_free(request->watch);
	toolchain_unref(request->toolchain);
	exec_result_deinit(&request->scan);
	exec_result_deinit(&request->result);
	answer_deinit(&request->answer);
	struct slots *slots = request->has_slot ? request->slots : NULL;
	struct arena arena = request->arena;
	free(request);
	arena_deinit(&arena);
	if (slots)
		slots_give(slots);
	daemon_request_ended(daemon);
}

/* Something came back for a request whose client is gone. */
static void abandon(struct request *request)
{
	plan_remove_temporaries(&request->plan);
	count(request, cancelled, 1);
	request->journal.decision = "cancelled";
	request_end(request);
}

/* --- Local ----------------------------------------------------------------------------------------------------- */

/* A command that reads what another command writes must never wait for a slot that the other one holds. */
static bool may_wait(const struct request *request)
{
	switch (request->reason.code) {
	case REASON_CONFIGURE_PROBE:
	case REASON_STDIN:
	case REASON_SPECIAL_FILE:
	case REASON_INFORMATION:
	case REASON_NESTED:
		return false;
	default:
		break;
	}
	for (size_t i = 1; i < request->frame.argv.n; i++) {
		const char *arg = request->frame.argv.v[i];
		struct stat st;
		if (strcmp(arg, "-") == 0)
			return false;
		if (arg[0] == '/' && stat(arg, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
			return false;
		if (strncmp(arg, "/dev/", 5) == 0 || strncmp(arg, "/proc/", 6) == 0)
			return false;
	}
	return true;
}

static void remember_as_local(struct request *request)
{
	struct daemon *daemon = request->daemon;
	struct stat st;
	if (stat(request->plan.outputs[0].path, &st) < 0 ||
		st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec < request->run_started_ns)
		return; /* it failed here as well */
	struct digest key = plan_remembered_key(&request->key);
	struct cache_result none = { .exit_code = 1, .depfile_targets = "" };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct lookups own = inputs_own(&request->result.log.lookups, request->toolchain, &arena);
	struct error err;
	uint64_t since = view_arrive(daemon->view);
	for (size_t i = 0; i < own.n; i++)
		if (own.v[i].kind == LOOKUP_SPECIAL || view_observe(daemon->view, since, &own.v[i], &err) < 0)
			return;
	if (cache_put(daemon->cache, &key, &own, &none, &err) < 0)
		journal_note(daemon->log, "cache", err.text);
}

static void local_ended(void *ctx)
{
	struct request *request = ctx;
	int64_t wall_ms = clock_monotonic_ms() - request->local_started_ms;
	count(request, local_wall_us, (uint64_t)wall_ms * 1000);
	if (request->failed_on_engine)
		remember_as_local(request);
	request_end(request);
}

static void hand_over(struct request *request)
{
	struct daemon *daemon = request->daemon;
	struct connection *connection = request->connection;
	request->state = STATE_LOCAL;
	request->local_started_ms = request->progressed_ms = clock_monotonic_ms();
	_cleanup_buf_ struct buf reason = { 0 };
	reason_format(&request->reason, &reason);
	struct buf frame = { 0 };
	frame_put_local(&frame, &(struct frame_local){ buf_str(&reason) });
	request->peer = connection_peer(connection);
	/* Watched before it is told: its descriptor then surely names this client. */
	if (request->has_slot && request->peer > 0)
		request->watch = watch_process(&daemon->loop, request->peer, -1, local_ended, request, NULL);
	if (request->watch)
		list_append(&daemon->locals, &request->local);
	connection_set_user(connection, NULL);
	request->connection = NULL;
	connection_send(connection, &frame, true);
	if (!request->watch)
		request_end(request);
}

/* A command that only waits may wait for one that waits for its core: the reader of its pipe compiles, or its user stopped it and
 * builds something else. Then its core goes to others, for good. */
void requests_review(struct daemon *daemon)
{
	int64_t now_ms = clock_monotonic_ms();
	struct request *request;
	list_for_each (request, &daemon->locals, struct request, local) {
		if (daemon->slots.n_waiting == 0)
			return;
		int64_t time = watch_processor_time(request->peer);
		if (time < 0 || time != request->time) {
			request->time = time;
			request->progressed_ms = now_ms;
		} else if (now_ms - request->progressed_ms >= STALLED_MS) {
			give_slot(request);
		}
	}
}

static void go_local(struct request *request, enum reason_code code, const char *detail)
{
	request->reason = (struct reason){ code, detail };
	request->journal.decision = "local";
	plan_remove_temporaries(&request->plan);
	if (request->hung_up) {
		abandon(request);
		return;
	}
	stats_add_local(request->daemon->stats, build_id(request), &request->reason);
	struct slots *cores = &request->daemon->slots;
	if (may_wait(request) || (request->has_slot && request->slots == cores)) {
		take_slot(request, cores, STATE_LOCAL_SLOT, hand_over);
		return;
	}
	give_slot(request);
	hand_over(request);
}

/* --- Answering ------------------------------------------------------------------------------------------------- */

/* The object has the stamp that the counts of an earlier program have, too: that program's and the new one's would be added up. */
static bool removes_counts(const struct request *request, size_t i)
{
	const struct command *command = &request->plan.command;
	return command->outputs[i].kind == OUTPUT_COUNTS && (request->answer.cached || !command->random_seed);
}

static void send_done(struct request *request, const char *decision)
{
	struct plan *plan = &request->plan;
	request->state = STATE_ANSWERED;
	request->journal.decision = decision;
	give_slot(request);
	struct frame_rename *renames = arena_array(&request->arena, struct frame_rename, plan->n_outputs + 1);
	size_t n = 0;
	for (size_t i = 0; i < plan->n_outputs; i++) {
		if (request->answer.present[i])
			renames[n++] = (struct frame_rename){ plan->outputs[i].temporary, plan->outputs[i].path };
		else if (removes_counts(request, i))
			renames[n++] = (struct frame_rename){ "", plan->outputs[i].path };
	}
	struct frame_done done = {
		.exit_code = 0,
		.decision = decision,
		.out = buf_slice(&request->answer.out),
		.err = buf_slice(&request->answer.err),
		.renames = renames,
		.n_renames = n,
	};
	struct buf frame = { 0 };
	frame_put_done(&frame, &done);
	connection_send(request->connection, &frame, false);
}

static void committed(struct connection_user *user)
{
	struct request *request = container_of(user, struct request, user);
	request->connection = NULL; /* the server closes it when the client does */
	request_end(request);
}

static void missed(struct request *request, const struct cache_why *why)
{
	struct cache_why *copy = arena_new(&request->arena, struct cache_why);
	*copy = *why;
	request->journal.miss = copy;
	misses_put(request->daemon->misses, &request->key, why);
}

static struct share_key shared_key(const struct request *request)
{
	const struct command *command = &request->plan.command;
	struct share_key key = { .key = request->key, .base = share_base(request->daemon->share), .depfile = SIZE_MAX };
	if (key.base)
		key.below = plan_key_below(&request->plan, request->toolchain, key.base);
	for (size_t i = 0; i < command->n_outputs; i++)
		if (command->outputs[i].kind == OUTPUT_DEPFILE)
			key.depfile = i;
	return key;
}

static void share_answered(struct share_waiter *waiter)
{
	look_up(container_of(waiter, struct request, share_waiter));
}

/* After the local cache. True: somebody else may have it, and the cache is asked again when that is settled. */
static bool ask_share(struct request *request)
{
	struct share *share = request->daemon->share;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct share_found found;
	if (!share || request->shared || request->checked || request->plan.environment.recache || request->daemon->config->cache == CONFIG_CACHE_OFF)
		return false;
	request->state = STATE_SHARE;
	if (share_wait(share, &request->share_waiter))
		return true;
	hashing_begin(request->daemon->hashing);
	struct share_key key = shared_key(request);
	struct cache_why why;
	int outcome = share_find(share, request->plan.since, &key, &request->plan.messages_kind, &arena, &found, &why);
	if (wait_for_files(request, look_up))
		return true;
	request->shared = true; /* whatever comes of it */
	if (outcome != 0)
		return false;
	request->fetched = true;
	share_fetch(share, &found, &key, &request->share_waiter);
	return true;
}

static void count_hit(struct request *request)
{
	if (request->fetched)
		count(request, hits_shared, 1);
	else
		count(request, hits_local, 1);
}

/* True: the cache had it, and the client has been answered; or there is no telling yet. */
static bool answer_by_cache(struct request *request)
{
	struct daemon *daemon = request->daemon;
	struct plan *plan = &request->plan;
	_cleanup_arena_ struct arena arena = ARENA_INIT; /* a manifest is large, and a miss takes its time */
	struct cache_result result;
	struct cache_why why = { .what = CACHE_WHY_RECACHE };
	struct error err;
	if (plan->environment.recache) {
		missed(request, &why);
		return false;
	}
	hashing_begin(daemon->hashing);
	int outcome = cache_get(daemon->cache, daemon->view, plan->since, &request->key, &plan->messages_kind, &arena,
		&result, &why, &err);
	if (wait_for_files(request, look_up))
		return true;
	if (outcome < 0)
		journal_note(daemon->log, "cache", err.text);
	if (outcome > 0)
		missed(request, &why);
	if (outcome != 0)
		return false;
	unsigned verify = daemon->config->verify;
	if (verify && !plan->command.random_seed && ++daemon->n_results % verify == 0) {
		request->found = true;
		request->checked = arena_array(&request->arena, struct exec_output_result, plan->n_outputs + 1);
		for (size_t i = 0; i < result.n_outputs && i < plan->n_outputs; i++)
			request->checked[i] = (struct exec_output_result){
				.present = !result.outputs[i].absent,
				.executable = result.outputs[i].executable,
				.digest = result.outputs[i].digest,
			};
		return false;
	}
	name_temporaries(request);
	outcome = answer_from_cache(daemon, plan, &result, &request->arena, &request->answer, &err);
	if (outcome != 0) {
		if (outcome < 0)
			journal_note(daemon->log, "cache", err.text);
		plan_remove_temporaries(plan);
		answer_deinit(&request->answer);
		missed(request, &(struct cache_why){ .what = CACHE_WHY_BLOB });
		return false;
	}
	count_hit(request);
	send_done(request, "hit");
	return true;
}

/* --- Running --------------------------------------------------------------------------------------------------- */

static void fill_job(struct request *request)
{
	const struct plan *plan = &request->plan;
	const struct frame_request *frame = &request->frame;
	const struct config *config = request->daemon->config;
	bool tty = frame->stdio & FRAME_STDERR_TTY;
	request->job = (struct exec_job){
		.argv = plan->command.argv,
		.env = plan->engine_env,
		.cwd = frame->cwd,
		.umask = (mode_t)frame->umask,
		.tty = tty,
		.columns = tty ? frame->columns : 0,
		.rows = tty ? frame->rows : 0,
		.outputs = plan->outputs,
		.n_outputs = plan->n_outputs,
		.keep_outputs = config->cache == CONFIG_CACHE_READWRITE || config->verify,
		.share = config->share == CONFIG_SHARE_WRITE,
	};
}

static void publish(struct request *request, uint64_t since)
{
	struct daemon *daemon = request->daemon;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct lookups own = inputs_own(&request->result.log.lookups, request->toolchain, &arena);
	struct cache_result result;
	struct error err;
	if (request->result.log.clock || inputs_use_clock(daemon, &request->plan, &own)) {
		request->journal.unkept = "clock";
		return;
	}
	if (!answer_to_cache(&request->plan, &request->result, &arena, &result)) {
		request->journal.unkept = "outputs";
		return;
	}
	view_alias_signature(daemon->view, since, &own, &result.alias_signature);
	if (cache_put(daemon->cache, &request->key, &own, &result, &err) < 0)
		journal_note(daemon->log, "cache", err.text);
	if (daemon->share) {
		struct share_key key = shared_key(request);
		if (key.base)
			key.unportable = inputs_unportable(daemon, &request->plan, &own, key.base, &key.detail);
		share_publish(daemon->share, &key, &own, &result, &request->result.shared);
	}
}

static bool outputs_equal(const struct request *request)
{
	for (size_t i = 0; i < request->plan.n_outputs; i++) {
		const struct exec_output_result *a = &request->checked[i], *b = &request->result.outputs[i];
		if (a->present != b->present || (a->present && !digest_equal(&a->digest, &b->digest)))
			return false;
	}
	return true;
}

/* The check of verify = N has run at home: its object is delivered in any case. */
static void check_done(void *ctx, int outcome, struct exec_result *result, const struct error *exec_err)
{
	struct request *request = ctx;
	struct daemon *daemon = request->daemon;
	request->op = NULL;
	exec_result_deinit(&request->result);
	request->result = *result;
	if (request->hung_up) {
		abandon(request);
		return;
	}
	if (outcome != 0 || result->signal != 0 || result->exit_code != 0) {
		go_local(request, REASON_ENGINE_FAILED, NULL);
		return;
	}
	if (request->found)
		count_hit(request);
	count(request, verify_checked, 1);
	const char *decision = "verified";
	if (!outputs_equal(request)) {
		count(request, verify_differed, 1);
		decision = "differed";
		struct error err;
		if (cache_drop(daemon->cache, &request->key, &err) < 0)
			journal_note(daemon->log, "cache", err.text);
	}
	answer_deinit(&request->answer);
	answer_from_exec(&request->plan, &request->result, &request->arena, &request->answer);
	send_done(request, decision);
}

static void start_check(struct request *request)
{
	plan_remove_temporaries(&request->plan);
	name_temporaries(request);
	request->state = STATE_CHECK;
	fill_job(request);
	request->op = exec_start(request->daemon->home, &request->job, check_done, request);
}

/* A precompiled header that the scan didn't look for. */
static bool used_pch(const struct request *request)
{
	const struct lookups *lookups = &request->result.log.lookups;
	for (size_t i = 0; i < lookups->n; i++)
		if (lookups->v[i].kind == LOOKUP_FILE && inputs_is_pch(lookups->v[i].path))
			return true;
	return false;
}

static void executed(struct request *request)
{
	const struct exec_result *result = &request->result;
	count(request, engine_wall_us, (uint64_t)result->wall_us);
	count(request, engine_cpu_us, (uint64_t)(result->user_us + result->system_us));
	count(request, engine_synced_bytes, (uint64_t)result->synced_bytes);
	stats_max_rss(request->daemon->stats, build_id(request), (uint64_t)result->max_rss_kb);
	request->journal.engine_us = result->wall_us;
}

/* A blob of the input root was not to be had. */
static void try_again(struct request *request)
{
	struct daemon *daemon = request->daemon;
	plan_remove_temporaries(&request->plan);
	if (++request->n_missing > INPUTS_MISSING_LIMIT) {
		go_local(request, REASON_INPUT_CHANGED, NULL);
		return;
	}
	/* A file that was mirrored for another job is gone or was edited: the whole tree is looked at again. */
	struct error err;
	request->plan.since = view_arrive(daemon->view);
	if (snapshot_refresh(daemon->snapshot, request->plan.since, &err) < 0)
		journal_note(daemon->log, "snapshot", err.text);
	start_job(request);
}

/* The snapshot has been mended by what the job told. A prediction that falls short twice is left to the compiler's -M. */
static void repeat(struct request *request, const struct inputs_missed *missed)
{
	struct daemon *daemon = request->daemon;
	bool predicted = !request->scanned && request->plan.command.scan_argv;
	plan_remove_temporaries(&request->plan);
	request->plan.since = view_arrive(daemon->view);
	if (missed->n > 0)
		count(request, scan_miss, 1);
	if (predicted && missed->n > 0)
		searches_learn(daemon->searches, &request->plan, request->toolchain, missed->paths, missed->n);
	if (++request->n_repeats == REPEATS_LIMIT && predicted)
		scan_instead(request);
	else
		start_job(request);
}

/* Whether what the sandbox told the job is what home would have told it. False: the request is on another way. */
static bool is_verified(struct request *request)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct lookup_log *log = &request->result.log;
	struct error err = { 0 };
	struct inputs_missed missed;
	int outcome = inputs_verify(
		request->daemon, request->judged_since, request->toolchain, &request->inputs, log, &arena, &missed, &err);
	if (outcome != 0)
		journal_note(request->daemon->log, "verify", err.text);
	if (outcome == INPUTS_REPEAT && request->n_repeats < REPEATS_LIMIT) {
		repeat(request, &missed);
		return false;
	}
	if (outcome == 0 && used_pch(request)) {
		go_local(request, REASON_PCH, NULL);
		return false;
	}
	if (outcome != 0)
		go_local(request, REASON_SCAN_MISS, NULL);
	return outcome == 0;
}

static void succeeded(struct request *request)
{
	uint64_t since = request->judged_since;
	struct daemon *daemon = request->daemon;
	const struct exec_result *result = &request->result;
	if (request->engine) {
		stats_add_at(daemon->stats, build_id(request), request->engine->executed, 1);
	} else {
		count(request, executed_inplace, 1);
		if (result->n_strays > 0)
			request->journal.unkept = "outputs";
		else if (!inputs_digest(daemon, since, request->toolchain, &request->result.log.lookups, &request->run_start))
			request->journal.unkept = "inputs";
	}
	if (!request->journal.unkept)
		publish(request, since);
	unsigned verify = daemon->config->verify;
	if (verify && !request->plan.command.random_seed && ++daemon->n_results % verify == 0) {
		request->checked = arena_array(&request->arena, struct exec_output_result, request->plan.n_outputs + 1);
		memcpy(request->checked, result->outputs, request->plan.n_outputs * sizeof(*request->checked));
		take_slot(request, &daemon->slots, STATE_SLOT, start_check);
		return;
	}
	answer_from_exec(&request->plan, &request->result, &request->arena, &request->answer);
	exec_result_deinit(&request->result);
	send_done(request, request->engine ? request->engine->name : "inplace");
}

/* What the job did, and whether home would have told it the same. */
static void judge(struct request *request)
{
	const struct exec_result *result = &request->result;
	if (request->engine && !is_verified(request))
		return;
	if (request->engine && result->log.clock) {
		/* The texts didn't say so (CAT(__TI, ME__)), and the time zone's file isn't there. */
		go_local(request, REASON_DATE_TIME, NULL);
		return;
	}
	if (result->exit_code != 0) {
		count(request, compile_errors, 1);
		request->failed_on_engine = true;
		go_local(request, REASON_COMPILE_ERROR_RETRY, NULL);
	} else if (result->n_strays > 0 && request->engine) {
		go_local(request, REASON_UNFORESEEN_OUTPUT, NULL);
	} else {
		succeeded(request);
	}
}

static void job_done(void *ctx, int outcome, struct exec_result *result, const struct error *exec_err)
{
	struct request *request = ctx;
	struct daemon *daemon = request->daemon;
	request->op = NULL;
	if (request->engine)
		daemon->n_rooted--;
	exec_result_deinit(&request->result);
	request->result = *result;
	if (request->hung_up) {
		abandon(request);
		return;
	}
	if (outcome == EXEC_MISSING) {
		try_again(request);
		return;
	}
	if (outcome < 0)
		journal_note(daemon->log, request->engine ? request->engine->name : "inplace", exec_err->text);
	if (outcome == EXEC_LEAKED) {
		go_local(request, REASON_ROOT_LEAK, NULL);
		return;
	}
	if (outcome != 0 || result->signal != 0 || result->timed_out) {
		go_local(request, REASON_ENGINE_FAILED, NULL);
		return;
	}
	executed(request);
	if (!result->log.complete) {
		/* A program that the interposer couldn't enter; the loader may have said so on the job's stderr. */
		go_local(request, REASON_UNOBSERVED, NULL);
		return;
	}
	/* A job on an engine was told what home held when it was started, and most of that was asked then. One in place has asked home
	 * itself, until now. */
	request->judged_since = request->engine ? request->plan.since : view_arrive(daemon->view);
	if (!request->engine) {
		hashing_begin_with(daemon->hashing, request->judged_since, &result->log.lookups);
		if (wait_for_files(request, judge))
			return;
	}
	judge(request);
}

static void run_job(struct request *request)
{
	struct daemon *daemon = request->daemon;
	request->state = STATE_RUN;
	name_temporaries(request);
	request->run_started_ns = clock_realtime_ns();
	if (!request->engine)
		request->run_start = inputs_moment(request->plan.outputs[0].temporary);
	request->op = exec_start(request->engine ? engine_jobs(request->engine) : daemon->home, &request->job, job_done, request);
}

/* What inputs_enter() told, as the executor wants it. */
static void name_inputs(struct request *request)
{
	struct snapshot_apart *source = &request->inputs.source;
	request->job.root = request->inputs.root;
	if (!source->path)
		return;
	source->path = arena_strdup(&request->arena, source->path);
	request->overlay = (struct exec_overlay){ source->path, source->digest, source->mtime_ns, source->executable };
	request->job.overlays = &request->overlay;
	request->job.n_overlays = 1;
}

/* The inputs enter the snapshot, by one way of telling them or the other. */
static void enter_and_run(struct request *request, const struct search_entry *search, const struct lookup_log *scan)
{
	struct daemon *daemon = request->daemon;
	_cleanup_arena_ struct arena arena = ARENA_INIT; /* a thousand jobs wait for their answers */
	struct reason reason = { 0 };
	struct error err = { 0 };
	fill_job(request);
	hashing_begin(daemon->hashing);
	int outcome = inputs_enter(daemon, &request->plan, request->toolchain, search, scan, &arena, &request->inputs, &reason, &err);
	if (wait_for_files(request, start_job))
		return;
	if (outcome < 0) {
		journal_note(daemon->log, "snapshot", err.text);
		go_local(request, REASON_INPUT_CHANGED, NULL);
	} else if (outcome == INPUTS_LOCAL) {
		go_local(request, reason.code, reason.detail ? arena_strdup(&request->arena, reason.detail) : NULL);
	} else if (outcome == INPUTS_SCAN) {
		scan_instead(request);
	} else {
		name_inputs(request);
		daemon->n_rooted++;
		run_job(request);
	}
}

static void with_search(struct request *request, const struct search_entry *search)
{
	if (search->search)
		enter_and_run(request, search, NULL);
	else
		scan_instead(request);
}

static void search_ready(struct search_waiter *waiter, const struct search_entry *search)
{
	with_search(container_of(waiter, struct request, search_waiter), search);
}

/* With a slot of the engine. */
static void start_job(struct request *request)
{
	if (!request->engine) {
		fill_job(request);
		run_job(request);
	} else if (!request->plan.command.scan_argv) {
		enter_and_run(request, NULL, NULL);
	} else if (request->scanned) {
		enter_and_run(request, NULL, &request->scan.log);
	} else {
		request->state = STATE_SEARCH;
		const struct search_entry *search =
			searches_get(request->daemon->searches, &request->plan, request->toolchain, &request->search_waiter);
		if (search)
			with_search(request, search);
	}
}

static void scan_done(void *ctx, int outcome, struct exec_result *result, const struct error *err)
{
	struct request *request = ctx;
	request->op = NULL;
	request->scan = *result;
	request->journal.scan_us = result->wall_us;
	if (request->hung_up)
		abandon(request);
	else if (outcome != 0)
		go_local(request, REASON_ENGINE_FAILED, NULL);
	else if (result->exit_code != 0 || result->signal != 0)
		go_local(request, REASON_SCAN_FAILED, NULL);
	else if (!result->log.complete)
		go_local(request, REASON_UNOBSERVED, NULL);
	else
		take_slot(request, request->engine->slots, STATE_SLOT, start_job);
}

static void start_scan(struct request *request)
{
	request->state = STATE_SCAN;
	fill_job(request);
	/* On a terminal like the job's: clang looks into terminfo when it has one. */
	request->job.argv = request->plan.command.scan_argv;
	request->job.outputs = NULL;
	request->job.n_outputs = 0;
	request->job.keep_outputs = false;
	request->op = exec_start(request->daemon->home, &request->job, scan_done, request);
}

/* The exact way, at the price of a preprocessor run at home. */
static void scan_instead(struct request *request)
{
	count(request, scan_fallback, 1);
	request->scanned = true;
	take_slot(request, &request->daemon->slots, STATE_SLOT, start_scan);
}

static void start_engine(struct request *request)
{
	struct daemon *daemon = request->daemon;
	request->engine = request->toolchain->reproduced ? request->plan.engine : NULL;
	if (request->checked)
		take_slot(request, &daemon->slots, STATE_SLOT, start_check);
	else if (!request->engine)
		take_slot(request, &daemon->slots, STATE_SLOT, start_job);
	else
		take_slot(request, request->engine->slots, STATE_SLOT, start_job);
}

/* --- Before anything runs -------------------------------------------------------------------------------------- */

static void look_up(struct request *request)
{
	struct daemon *daemon = request->daemon;
	request->key = plan_key(&request->plan, request->toolchain);
	if (inputs_source_uses_clock(daemon, &request->plan)) {
		go_local(request, REASON_DATE_TIME, NULL);
		return;
	}
	if (answer_by_cache(request) || ask_share(request))
		return;
	if (!request->checked && plan_is_remembered_as_local(daemon, &request->plan, &request->key)) {
		go_local(request, REASON_REMEMBERED, NULL);
		return;
	}
	start_engine(request);
}

static void native_done(void *ctx, int outcome, struct exec_result *result, const struct error *exec_err)
{
	struct request *request = ctx;
	request->op = NULL;
	struct error err;
	if (request->hung_up)
		abandon(request);
	else if (outcome != 0 || result->exit_code != 0 ||
		native_apply(&request->plan.command, buf_slice(&result->err), &request->arena, &err) < 0)
		go_local(request, REASON_NATIVE, NULL);
	else
		look_up(request);
	exec_result_deinit(result);
}

static void with_toolchain(struct request *request)
{
	if (request->toolchain->refused.code != REASON_NONE) {
		go_local(request, request->toolchain->refused.code, request->toolchain->refused.detail);
		return;
	}
	if (!request->plan.command.wants_native) {
		look_up(request);
		return;
	}
	/* The driver's answer to -###: a few milliseconds, no compiler proper. */
	request->state = STATE_NATIVE;
	fill_job(request);
	request->job.argv = native_query(&request->plan.command, &request->arena);
	request->job.tty = false;
	request->job.n_outputs = 0;
	request->job.keep_outputs = false;
	request->op = exec_start(request->daemon->home, &request->job, native_done, request);
}

static void toolchain_ready(struct toolchain_waiter *waiter, struct toolchain *toolchain)
{
	struct request *request = container_of(waiter, struct request, toolchain_waiter);
	request->toolchain = toolchain;
	with_toolchain(request);
}

static void hung_up(struct connection_user *user)
{
	struct request *request = container_of(user, struct request, user);
	request->connection = NULL;
	request->hung_up = true;
	switch (request->state) {
	case STATE_ARRIVED:
		list_remove(&request->arrival);
		abandon(request);
		return;
	case STATE_TOOLCHAIN:
		toolchains_leave(&request->toolchain_waiter);
		abandon(request);
		return;
	case STATE_SEARCH:
		searches_leave(&request->search_waiter);
		abandon(request);
		return;
	case STATE_SHARE:
		share_leave(&request->share_waiter);
		abandon(request);
		return;
	case STATE_FILES:
		hashing_leave(&request->hashing_waiter);
		abandon(request);
		return;
	case STATE_SLOT:
	case STATE_LOCAL_SLOT:
		slots_leave(request->slots, &request->slot_waiter);
		abandon(request);
		return;
	case STATE_NATIVE:
	case STATE_SCAN:
	case STATE_RUN:
	case STATE_CHECK:
		exec_cancel(request->op); /* its callback abandons */
		return;
	case STATE_ANSWERED:
		/* It found that it couldn't deliver, and compiles itself. */
		plan_remove_temporaries(&request->plan);
		request_end(request);
		return;
	case STATE_LOCAL:
		break; /* it has no connection */
	}
	assert(false);
}

int request_start(struct daemon *daemon, struct connection *connection, struct slice payload, struct error *err)
{
	struct request *request = calloc(1, sizeof(*request));
	if (!request)
		abort();
	if (frame_get_request(payload, &request->arena, &request->frame, err) < 0) {
		arena_deinit(&request->arena);
		free(request);
		return -1;
	}
	request->daemon = daemon;
	request->connection = connection;
	list_init(&request->local);
	list_init(&request->toolchain_waiter.link);
	list_init(&request->search_waiter.link);
	request->search_waiter.fn = search_ready;
	list_init(&request->hashing_waiter.link);
	request->hashing_waiter.fn = files_hashed;
	list_init(&request->share_waiter.link);
	request->share_waiter.fn = share_answered;
	slot_waiter_init(&request->slot_waiter, NULL);
	request->toolchain_waiter.fn = toolchain_ready;
	request->user = (struct connection_user){ hung_up, committed };
	connection_set_user(connection, &request->user);
	daemon->n_requests++;
	daemon->last_active_ms = clock_monotonic_ms();
	journal_begin(&request->journal);
	request->plan.frame = &request->frame;
	request->arrived = view_arrive(daemon->view);
	list_append(&daemon->arrivals, &request->arrival);
	if (daemon->leaving)
		requests_begin(daemon); /* the loop may take no turns for them any more */
	return 0;
}

static void begin(struct request *request)
{
	struct daemon *daemon = request->daemon;
	struct reason reason;
	skeletons_keep_bounds(daemon->skeletons);
	hashing_begin(daemon->hashing);
	int outcome = plan_make(daemon, &request->frame, request->arrived, &request->arena, &request->plan, &reason);
	if (wait_for_files(request, begin))
		return;
	count(request, requests, 1);
	const struct endpoint *here = &daemon->options->endpoint;
	if (request->frame.root_dev != here->root_dev || request->frame.root_ino != here->root_ino ||
		request->frame.mount_ns != here->mount_ns) {
		go_local(request, REASON_PATH_NOT_MIRRORED, NULL);
	} else if (outcome != 0) {
		go_local(request, reason.code, reason.detail);
	} else if (daemon->leaving) {
		go_local(request, REASON_DAEMON_LEAVING, NULL);
	} else {
		request->state = STATE_TOOLCHAIN;
		request->toolchain = toolchains_get(daemon->toolchains, &request->plan, &request->toolchain_waiter);
		if (request->toolchain)
			with_toolchain(request);
	}
}

void requests_begin(struct daemon *daemon)
{
	while (!list_empty(&daemon->arrivals)) {
		struct request *request = list_first(&daemon->arrivals, struct request, arrival);
		list_remove(&request->arrival);
		begin(request);
	}
}
