#include "exec/lambda.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "event/work.h"
#include "exec/window.h"
#include "store/pack.h"
#include "wire/job.h"

enum {
	START = 10,
	TIMEOUT_MS = 120000,
	LIMIT_MS = 900000,
	WAIT_MS = 30000,
	DOWN_MS = 60000,
	RETRY_MS = 200,
	STRIKE_DOWN_MS = 10000,   /* after LAMBDA_STRIKES; if it goes on, down_ms */
	LEAST_TIMEOUT_MS = 30000, /* of a job that was seen: a machine may be slow for once */
	TIMEOUT_FACTOR = 10,
	AROUND_MS = 30000,        /* a cold start and the way there and back, beyond the job's own time */
	HISTORY_LIMIT = 1 << 14,
	OPEN_LIMIT = 16,          /* answers that are open at once: each is large while nobody has looked at it yet */
};

enum job_state {
	JOB_ENSURING,
	JOB_SEALING,
	JOB_WAITING,  /* in lambda->waiting */
	JOB_INVOKED,
	JOB_PAUSED,   /* in lambda->paused */
	JOB_ANSWERED, /* in lambda->answered */
	JOB_OPENING,
	JOB_FETCHING,
	JOB_DELIVERING,
	JOB_ENDING,   /* in lambda->ending */
};

struct lambda {
	struct executor executor;
	uv_loop_t *loop;
	struct lambda_options options; /* its strings owned */
	struct window window;
	uv_timer_t timer;              /* runs for the next thing to happen by itself */
	struct list waiting, paused, answered, ending; /* job.link */
	unsigned n_jobs;
	unsigned n_open;               /* jobs whose answer is open */
	int64_t progress_ms;           /* when something else than a 429 came, or somebody began to wait */
	unsigned strikes;              /* since the last answer */
	uint64_t n_started, strike;    /* jobs so far; as many as there were when the last strike was counted */
	int64_t down_until_ms;         /* 0: it isn't down */
	struct error down;
	struct error trouble;          /* of the job that failed last */
	struct lambda_counters counters;
	struct map history;            /* struct past by its path */
	struct dictionaries dictionaries;
};

/* How long the job that made this output took. */
struct past {
	int64_t wall_ms;
	char path[];
};

struct job {
	struct exec_op op;
	struct lambda *lambda;
	const struct exec_job *job;
	exec_done_fn *fn;
	void *ctx;
	enum job_state state;
	bool cancelled;
	struct list link;
	uint64_t number;               /* from 1, in the order of their starts */

	struct uplink_waiter uplink;
	bool overlays_apart;
	struct digest *apart;          /* owned; the overlays', for the uplink */
	struct arena arena;            /* the packs */
	struct lambda_parcel parcel;
	struct buf json;               /* the request */
	struct buf part;               /* for the dictionary that is being made */

	struct window_slot slot;
	struct lambda_op *invocation;
	int64_t timeout_ms;            /* of the command, as this attempt says */
	int64_t refused_ms;            /* since when it meets 429s only; 0 */
	int64_t resume_ms;             /* PAUSED */
	unsigned n_failed, n_crashed, n_repaired;

	struct buf body;               /* the answer, as it came */
	bool is_open;                  /* it counts in lambda->n_open */
	struct lambda_answer answer;
	size_t fetching;               /* index of the content */
	struct s3_op *get;
	/* Filled by threads. */
	int opened;                    /* of lambda_wire_answer */
	int delivered;                 /* of lambda_wire_deliver; 1: not yet */
	struct error step_err;

	int outcome;
	struct exec_result result;
	struct error err;
};

static void arm(struct lambda *lambda);
static void dispatch(struct lambda *lambda);
static void seal(struct job *job);
static void try_again(struct job *job, const struct error *err);

/* --- Ends ------------------------------------------------------------------------------------------------------ */

static void end(struct job *job, int outcome)
{
	job->state = JOB_ENDING;
	job->outcome = outcome;
	if (outcome < 0)
		job->lambda->counters.errors++;
	list_append(&job->lambda->ending, &job->link);
	arm(job->lambda);
}

static void fail(struct job *job, const struct error *err)
{
	job->err = *err;
	job->lambda->trouble = *err;
	end(job, -1);
}

static void open_next(struct lambda *lambda);

static void close_answer(struct job *job)
{
	job->lambda->n_open -= job->is_open;
	job->is_open = false;
	open_next(job->lambda);
}

static void job_free(struct job *job)
{
	buf_deinit(&job->json);
	buf_deinit(&job->part);
	buf_deinit(&job->body);
	lambda_answer_deinit(&job->answer);
	arena_deinit(&job->arena);
	free(job->apart);
	free(job);
}

static void tell(struct job *job)
{
	struct exec_result result = { 0 };
	if (job->cancelled)
		job->outcome = EXEC_CANCELLED;
	if (job->outcome == 0 || job->outcome == EXEC_MISSING)
		result = job->result;
	else
		exec_result_deinit(&job->result);
	job->lambda->n_jobs--;
	job->fn(job->ctx, job->outcome, &result, &job->err);
	close_answer(job);
	job_free(job);
}

/* All jobs fail for a while, those that wait at once. */
static void go_down(struct lambda *lambda, int64_t ms, const struct error *err)
{
	lambda->down = *err;
	lambda->down_until_ms = clock_monotonic_ms() + ms;
	struct list *const lists[] = { &lambda->waiting, &lambda->paused };
	for (size_t i = 0; i < 2; i++) {
		struct job *job;
		list_for_each (job, lists[i], struct job, link) {
			list_remove(&job->link);
			fail(job, err);
		}
	}
}

/* A job failed of what isn't its own fault. All that were under way then are one strike: a single pack that didn't get through may fail hundreds. */
static void strike(struct job *job, const struct error *err)
{
	struct lambda *lambda = job->lambda;
	fail(job, err);
	if (job->number <= lambda->strike)
		return;
	lambda->strike = lambda->n_started;
	if (++lambda->strikes < LAMBDA_STRIKES)
		return;
	bool first = lambda->strikes == LAMBDA_STRIKES && STRIKE_DOWN_MS < lambda->options.down_ms;
	go_down(lambda, first ? STRIKE_DOWN_MS : lambda->options.down_ms, err);
}

/* --- Deadlines ------------------------------------------------------------------------------------------------- */

static const char *history_key(const struct exec_job *job)
{
	return job->n_outputs > 0 ? job->outputs[0].path : NULL;
}

static int64_t own_timeout_ms(const struct job *job)
{
	const struct lambda *lambda = job->lambda;
	const char *key = history_key(job->job);
	const struct past *past = key ? map_get(&lambda->history, slice_str(key)) : NULL;
	int64_t ms = lambda->options.timeout_ms;
	if (past)
		ms = past->wall_ms * TIMEOUT_FACTOR > LEAST_TIMEOUT_MS ? past->wall_ms * TIMEOUT_FACTOR : LEAST_TIMEOUT_MS;
	if (job->n_crashed > 0)
		ms *= 2;
	return ms < lambda->options.limit_ms ? ms : lambda->options.limit_ms;
}

static void clear_history(struct lambda *lambda)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&lambda->history, &at));)
		free(e->value);
	map_deinit(&lambda->history);
}

static void learn(struct lambda *lambda, const struct exec_job *job, int64_t wall_ms)
{
	const char *key = history_key(job);
	struct past *past = key ? map_get(&lambda->history, slice_str(key)) : NULL;
	if (!key)
		return;
	if (!past) {
		if (lambda->history.n >= HISTORY_LIMIT)
			clear_history(lambda);
		size_t length = strlen(key);
		past = malloc(sizeof(*past) + length + 1);
		if (!past)
			abort();
		memcpy(past->path, key, length + 1);
		map_put(&lambda->history, slice_of(past->path, length), past);
	}
	past->wall_ms = wall_ms;
}

/* --- Up to the invocation -------------------------------------------------------------------------------------- */

static void uplinked(struct uplink_waiter *waiter, int outcome)
{
	struct job *job = container_of(waiter, struct job, uplink);
	if (outcome == UPLINK_MISSING) {
		job->result.missing = waiter->missing;
		end(job, EXEC_MISSING);
	} else if (outcome < 0 && waiter->refused) {
		fail(job, &waiter->err);
		go_down(job->lambda, job->lambda->options.down_ms, &waiter->err);
	} else if (outcome < 0) {
		try_again(job, &waiter->err);
	} else {
		arena_deinit(&job->arena);
		job->parcel.packs = uplink_packs(job->lambda->options.uplink, waiter, &job->arena, &job->parcel.n_packs);
		seal(job);
	}
}

static void ensure(struct job *job)
{
	job->state = JOB_ENSURING;
	job->uplink.fn = uplinked;
	size_t n_apart = job->overlays_apart ? job->job->n_overlays : 0;
	int outcome = uplink_ensure(job->lambda->options.uplink, &job->uplink, &job->job->root, job->apart, n_apart);
	if (outcome != UPLINK_LATER)
		uplinked(&job->uplink, outcome);
}

static void run_sealing(void *ctx)
{
	struct job *job = ctx;
	job->step_err = (struct error){ 0 };
	job->opened = lambda_wire_job(&job->parcel, job->lambda->options.files, &job->json, &job->result.missing, &job->step_err);
}

static void wait_turn(struct job *job, bool first)
{
	struct lambda *lambda = job->lambda;
	job->state = JOB_WAITING;
	if (list_empty(&lambda->waiting))
		lambda->progress_ms = clock_monotonic_ms();
	list_append(first ? lambda->waiting.next : &lambda->waiting, &job->link);
	dispatch(lambda);
}

/* The request is too large, so the overlays take the other way. */
static void send_overlays_apart(struct job *job)
{
	struct error err;
	if (job->overlays_apart || job->job->n_overlays == 0) {
		error_set(&err, EFBIG, "the job is larger than Lambda takes");
		fail(job, &err);
		return;
	}
	job->overlays_apart = true;
	job->apart = calloc(job->job->n_overlays, sizeof(*job->apart));
	if (!job->apart)
		abort();
	for (size_t i = 0; i < job->job->n_overlays; i++)
		job->apart[i] = job->job->overlays[i].digest;
	ensure(job);
}

static void sealed(void *ctx)
{
	struct job *job = ctx;
	struct lambda *lambda = job->lambda;
	if (job->parcel.part)
		dictionaries_offer(&lambda->dictionaries, buf_slice(&job->part));
	buf_deinit(&job->part);
	if (job->cancelled)
		end(job, EXEC_CANCELLED);
	else if (job->opened == STORE_MISS)
		end(job, EXEC_MISSING);
	else if (job->opened < 0)
		fail(job, &job->step_err);
	else if (job->json.len > JOB_BODY_LIMIT)
		send_overlays_apart(job);
	else if (lambda->down_until_ms > clock_monotonic_ms())
		fail(job, &lambda->down);
	else
		wait_turn(job, false);
}

static void seal(struct job *job)
{
	struct lambda_parcel *parcel = &job->parcel;
	job->state = JOB_SEALING;
	job->timeout_ms = own_timeout_ms(job);
	if (job->job->timeout_ms > 0 && job->job->timeout_ms < job->timeout_ms)
		job->timeout_ms = job->job->timeout_ms;
	parcel->job = job->job;
	parcel->place = &job->lambda->options.place;
	parcel->overlays_apart = job->overlays_apart;
	parcel->timeout_ms = job->timeout_ms;
	parcel->dictionary = job->lambda->dictionaries.current;
	parcel->part = dictionaries_want(&job->lambda->dictionaries) ? &job->part : NULL;
	ssize_t n = getrandom(parcel->id, sizeof(parcel->id), 0);
	assert(n == sizeof(parcel->id)); /* so few bytes are never cut short */
	buf_reset(&job->json);
	work_start(job->lambda->loop, run_sealing, sealed, job);
}

/* --- The answer ------------------------------------------------------------------------------------------------ */

static void pause_job(struct job *job, int64_t ms)
{
	job->state = JOB_PAUSED;
	job->resume_ms = clock_monotonic_ms() + ms;
	list_append(&job->lambda->paused, &job->link);
	arm(job->lambda);
}

/* With full jitter. */
static void repeat(struct job *job)
{
	uint32_t random;
	ssize_t n = getrandom(&random, sizeof(random), 0);
	assert(n == sizeof(random));
	int64_t limit = job->lambda->options.retry_ms << (job->n_failed + job->n_crashed);
	job->lambda->counters.retries++;
	pause_job(job, random % (limit + 1));
}

/* What may pass. */
static void try_again(struct job *job, const struct error *err)
{
	bool reached = err->code != EHOSTUNREACH && err->code != ENETUNREACH;
	if (reached && ++job->n_failed < LAMBDA_ATTEMPTS)
		repeat(job);
	else
		strike(job, err);
}

/* The function ended, or didn't in time: perhaps the job's fault. */
static void crashed(struct job *job, const struct error *err)
{
	if (++job->n_crashed < LAMBDA_CRASHES)
		repeat(job);
	else
		fail(job, err);
}

/* It lives, but could do nothing: its disk is full, it has no way to the bucket. Another environment may be better off. */
static void worker_failed(struct job *job, const struct error *err)
{
	if (++job->n_crashed < LAMBDA_CRASHES)
		repeat(job);
	else
		strike(job, err);
}

/* Whether it was our deadline that it met, and not the one that came with the job. */
static bool met_our_deadline(const struct job *job)
{
	return job->result.timed_out && (job->job->timeout_ms == 0 || job->timeout_ms < job->job->timeout_ms);
}

static void run_delivery(void *ctx)
{
	struct job *job = ctx;
	job->delivered = lambda_wire_deliver(&job->answer, job->job, job->lambda->options.content, &job->result, &job->step_err);
}

static void run_opening(void *ctx)
{
	struct job *job = ctx;
	job->step_err = (struct error){ 0 };
	job->delivered = 1;
	job->opened = lambda_wire_answer(buf_slice(&job->body), job->parcel.id, job->job, &job->answer, &job->result, &job->step_err);
	buf_deinit(&job->body);
	if (job->opened < 0 || job->answer.kind != LAMBDA_ANSWER_DONE || job->result.timed_out)
		return;
	for (size_t i = 0; i < job->answer.n_contents; i++)
		if (job->answer.contents[i].apart)
			return;
	run_delivery(job);
}

static void fetch_next(struct job *job);

static void forget_answer(struct job *job)
{
	lambda_answer_deinit(&job->answer);
	exec_result_deinit(&job->result);
	close_answer(job);
}

static void delivered(void *ctx)
{
	struct job *job = ctx;
	if (job->cancelled) {
		end(job, EXEC_CANCELLED);
	} else if (job->delivered < 0 && job->step_err.code == EBADMSG) {
		/* Some outputs may have been made already, so there is no second attempt. */
		strike(job, &job->step_err);
	} else if (job->delivered < 0) {
		fail(job, &job->step_err);
	} else {
		if (job->result.exit_code == 0 && job->result.signal == 0)
			learn(job->lambda, job->job, job->result.wall_us / 1000);
		end(job, 0);
	}
}

static void fetched(void *ctx, int outcome, struct buf *body, const struct error *err)
{
	struct job *job = ctx;
	struct error absent;
	job->get = NULL;
	if (outcome == 0 && body->len == 0)
		outcome = S3_ABSENT; /* nothing is stored as nothing */
	if (outcome == S3_ABSENT) {
		error_set(&absent, ENOENT, "an output is not where the function said it was");
		err = &absent;
	}
	if (outcome != 0) {
		forget_answer(job);
		try_again(job, err);
		return;
	}
	*(job->result.shared.size_bytes ? &job->answer.shared : &job->answer.contents[job->fetching++].stored) = *body;
	*body = (struct buf){ 0 };
	fetch_next(job);
}

static void fetch_next(struct job *job)
{
	struct lambda_answer *answer = &job->answer;
	while (job->fetching < answer->n_contents && !answer->contents[job->fetching].apart)
		job->fetching++;
	if (job->fetching == answer->n_contents || answer->shared.len > 0) {
		job->state = JOB_DELIVERING;
		work_start(job->lambda->loop, run_delivery, delivered, job);
		return;
	}
	char key[128];
	if (job->result.shared.size_bytes)
		pack_key(job->result.shared.hash, key);
	else
		pack_key_alone(&answer->contents[job->fetching].digest, key);
	job->state = JOB_FETCHING;
	job->get = s3_get(&job->lambda->options.bucket, key, 0, 0, fetched, job);
}

static void count_answer(struct job *job)
{
	struct lambda_counters *counters = &job->lambda->counters;
	const struct lambda_answer *answer = &job->answer;
	counters->cold_starts += answer->cold;
	counters->overhead_us += (uint64_t)answer->overhead_us;
	counters->worker_s3_gets += answer->s3_gets;
	counters->worker_s3_puts += answer->s3_puts;
	counters->worker_s3_bytes_in += answer->s3_bytes_in;
	counters->worker_s3_bytes_out += answer->s3_bytes_out;
	if (job->lambda->options.log_tail)
		return; /* the bill was there */
	uint64_t ms = (uint64_t)(answer->overhead_us + job->result.wall_us + 999) / 1000;
	counters->billed_ms += ms;
	counters->billed_mb_ms += ms * (answer->memory_mb ? answer->memory_mb : job->lambda->options.memory_mb);
}

/* Home has what the bucket lacks, or the uplink will say that it hasn't. */
static void repair(struct job *job)
{
	if (job->n_repaired++ == LAMBDA_REPAIRS) {
		struct error err;
		char hex[DIGEST_HEX_CHARS + 1];
		digest_hex(&job->answer.missing[0], hex);
		error_set(&err, 0, "bucket %s loses what is put there: a worker misses %s", job->lambda->options.place.bucket, hex);
		forget_answer(job);
		strike(job, &err);
		return;
	}
	job->lambda->counters.retries++;
	forget_answer(job);
	ensure(job);
}

static void judge(struct job *job)
{
	struct lambda_answer *answer = &job->answer;
	struct error err;
	switch (answer->kind) {
	case LAMBDA_ANSWER_MISSING:
		dictionaries_lost(&job->lambda->dictionaries, answer->missing, answer->n_missing);
		uplink_forget(job->lambda->options.uplink, answer->missing, answer->n_missing, job->uplink.as_of);
		repair(job);
		return;
	case LAMBDA_ANSWER_FAILED:
		error_set(&err, 0, "the worker could not run the job: %s", answer->error);
		forget_answer(job);
		worker_failed(job, &err);
		return;
	case LAMBDA_ANSWER_LEAKED:
		error_set(&job->err, 0, "the worker's root is in what the job made: %s", answer->error);
		end(job, EXEC_LEAKED);
		return;
	case LAMBDA_ANSWER_DONE:
		break;
	}
	job->lambda->strikes = 0;
	job->lambda->counters.answers++;
	if (met_our_deadline(job)) {
		error_set(&err, ETIMEDOUT, "the command took more than %lld s", (long long)job->timeout_ms / 1000);
		learn(job->lambda, job->job, job->timeout_ms);
		forget_answer(job);
		crashed(job, &err);
	} else if (job->result.timed_out) {
		end(job, 0);
	} else if (job->delivered != 1) {
		delivered(job);
	} else {
		job->fetching = 0;
		fetch_next(job);
	}
}

/* The function speaks another version of the protocol. */
static void outdated(struct job *job, const struct error *why)
{
	struct lambda *lambda = job->lambda;
	struct error err = *why;
	error_wrap(&err, "function %s: update its image (llama image build)", lambda->options.function);
	fail(job, &err);
	go_down(lambda, lambda->options.down_ms, &err);
}

static void opened(void *ctx)
{
	struct job *job = ctx;
	if (job->opened == 0)
		count_answer(job);
	if (job->cancelled) {
		end(job, EXEC_CANCELLED);
	} else if (job->opened == 0) {
		judge(job);
	} else if (job->step_err.code == EPROTO) {
		outdated(job, &job->step_err);
	} else {
		forget_answer(job);
		try_again(job, &job->step_err);
	}
}

static void open_next(struct lambda *lambda)
{
	struct job *job;
	while (lambda->n_open < OPEN_LIMIT && (job = list_first(&lambda->answered, struct job, link))) {
		list_remove(&job->link);
		lambda->n_open++;
		job->is_open = true;
		job->state = JOB_OPENING;
		work_start(lambda->loop, run_opening, opened, job);
	}
}

/* --- The invocation -------------------------------------------------------------------------------------------- */

static void count_invocation(struct job *job, const struct lambda_result *result, int64_t now)
{
	struct lambda_counters *counters = &job->lambda->counters;
	counters->bytes_out += (uint64_t)result->bytes_sent;
	counters->bytes_in += (uint64_t)result->bytes_received;
	int64_t ms = result->billed_ms, mb = result->memory_mb ? result->memory_mb : job->lambda->options.memory_mb;
	/* It ran, and can't tell for how long. */
	if (ms == 0 && (result->outcome == LAMBDA_CRASHED || result->outcome == LAMBDA_TIMED_OUT))
		ms = now - job->slot.started_ms;
	if (result->outcome == LAMBDA_OK && !job->lambda->options.log_tail)
		return; /* the answer tells */
	counters->billed_ms += (uint64_t)ms;
	counters->billed_mb_ms += (uint64_t)(ms * mb);
}

static void refused(struct job *job, const struct lambda_result *result, const struct error *err, int64_t now)
{
	struct lambda *lambda = job->lambda;
	lambda->counters.throttles++;
	int64_t pause_ms = window_refused(&lambda->window, &job->slot, result->reason, result->retry_after_ms, now);
	if (job->refused_ms == 0)
		job->refused_ms = now;
	if (now - job->refused_ms > lambda->options.wait_ms)
		strike(job, err);
	else
		pause_job(job, pause_ms);
	dispatch(lambda);
}

static void answered(void *ctx, const struct lambda_result *result, const struct error *err)
{
	struct job *job = ctx;
	struct lambda *lambda = job->lambda;
	int64_t now = clock_monotonic_ms();
	job->invocation = NULL;
	count_invocation(job, result, now);
	if (result->outcome == LAMBDA_THROTTLED) {
		refused(job, result, err, now);
		return;
	}
	job->refused_ms = 0;
	lambda->progress_ms = now;
	bool ran = result->outcome == LAMBDA_OK || result->outcome == LAMBDA_CRASHED || result->outcome == LAMBDA_TIMED_OUT;
	window_end(&lambda->window, &job->slot, ran, now);
	switch (result->outcome) {
	case LAMBDA_OK:
		job->state = JOB_ANSWERED;
		buf_deinit(&job->json);
		buf_append_slice(&job->body, result->payload);
		list_append(&lambda->answered, &job->link);
		open_next(lambda);
		break;
	case LAMBDA_THROTTLED: /* above */
	case LAMBDA_TRANSIENT:
		/* Nothing came for longer than the command may take: an environment that hangs. */
		if (err->code == ETIMEDOUT)
			crashed(job, err);
		else
			try_again(job, err);
		break;
	case LAMBDA_CRASHED:
		if (strcmp(result->reason, JOB_ERROR_VERSION) == 0)
			outdated(job, err);
		else if (strcmp(result->reason, JOB_ERROR_REQUEST) == 0)
			fail(job, err);
		else
			crashed(job, err);
		break;
	case LAMBDA_TIMED_OUT:
		crashed(job, err);
		break;
	case LAMBDA_TOO_LARGE:
		fail(job, err);
		break;
	case LAMBDA_DENIED:
		/* The next attempt has other credentials, if any are to be had. */
		if (strstr(result->reason, "ExpiredToken") && ++job->n_failed < LAMBDA_ATTEMPTS) {
			repeat(job);
			break;
		}
		/* fall through */
	case LAMBDA_BROKEN:
		fail(job, err);
		go_down(lambda, lambda->options.down_ms, err);
		break;
	}
	dispatch(lambda);
}

static void invoke(struct job *job, int64_t now)
{
	struct lambda *lambda = job->lambda;
	list_remove(&job->link);
	job->state = JOB_INVOKED;
	lambda->counters.requests++;
	window_begin(&lambda->window, &job->slot, now);
	job->invocation = lambda_invoke(lambda->options.aws, lambda->options.function, buf_slice(&job->json), lambda->options.log_tail,
		job->timeout_ms + AROUND_MS, answered, job);
}

static void dispatch(struct lambda *lambda)
{
	struct job *job;
	int64_t now = clock_monotonic_ms();
	while ((job = list_first(&lambda->waiting, struct job, link)) && window_wait(&lambda->window, now) == 0)
		invoke(job, now);
	arm(lambda);
}

/* --- The timer ------------------------------------------------------------------------------------------------- */

/* Nothing but refusals comes, and hasn't for long. */
static bool is_stalled(const struct lambda *lambda, int64_t now)
{
	return lambda->window.refused > 0 && now - lambda->progress_ms > lambda->options.wait_ms;
}

/* What ends or goes on moves to other lists, its own or those of others: so they are taken from a list that nobody else knows. */
static void resume_due(struct lambda *lambda, int64_t now)
{
	struct job *job;
	struct list due;
	list_init(&due);
	list_for_each (job, &lambda->paused, struct job, link) {
		if (job->resume_ms > now)
			continue;
		list_remove(&job->link);
		list_append(&due, &job->link);
	}
	while ((job = list_first(&due, struct job, link))) {
		list_remove(&job->link);
		if (job->refused_ms > 0)
			wait_turn(job, true); /* it never ran: the attempt is the same */
		else
			ensure(job);
	}
}

/* Those that end now; a callback may start others, or cancel any. */
static void tell_ended(struct lambda *lambda)
{
	struct job *job;
	struct list ended;
	list_init(&ended);
	list_for_each (job, &lambda->ending, struct job, link) {
		list_remove(&job->link);
		list_append(&ended, &job->link);
	}
	while ((job = list_first(&ended, struct job, link))) {
		list_remove(&job->link);
		tell(job);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct lambda *lambda = container_of(timer, struct lambda, timer);
	int64_t now = clock_monotonic_ms();
	resume_due(lambda, now);
	if (is_stalled(lambda, now)) {
		struct job *job;
		struct error err;
		error_set(&err, EAGAIN, "function %s refused everything for %lld s", lambda->options.function, (long long)lambda->options.wait_ms / 1000);
		list_for_each (job, &lambda->waiting, struct job, link) {
			list_remove(&job->link);
			fail(job, &err);
		}
	}
	dispatch(lambda);
	tell_ended(lambda);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < 0 || b < a ? b : a;
}

/* The timer fires when the next thing is due: an end, a pause's end, the window's opening. */
static void arm(struct lambda *lambda)
{
	int64_t now = clock_monotonic_ms(), wait = -1;
	const struct job *job;
	if (!list_empty(&lambda->ending)) {
		wait = 0;
	} else {
		list_for_each (job, &lambda->paused, struct job, link)
			wait = earlier(wait, job->resume_ms > now ? job->resume_ms - now : 0);
		if (!list_empty(&lambda->waiting)) {
			int64_t open = window_wait(&lambda->window, now);
			if (open >= 0)
				wait = earlier(wait, open);
		}
	}
	if (wait < 0)
		uv_timer_stop(&lambda->timer);
	else
		uv_timer_start(&lambda->timer, on_timer, (uint64_t)wait, 0);
}

/* --- The executor ---------------------------------------------------------------------------------------------- */

static struct lambda *self(const struct executor *executor)
{
	return container_of(executor, struct lambda, executor);
}

static struct exec_op *lambda_start(struct executor *executor, const struct exec_job *exec_job, exec_done_fn *fn, void *ctx)
{
	struct lambda *lambda = self(executor);
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	*job = (struct job){ .op.executor = executor, .lambda = lambda, .job = exec_job, .fn = fn, .ctx = ctx };
	list_init(&job->link);
	list_init(&job->uplink.link);
	job->number = ++lambda->n_started;
	lambda->n_jobs++;
	if (lambda_down(executor, &(int64_t){ 0 }))
		fail(job, &lambda->down);
	else
		ensure(job);
	return &job->op;
}

static void lambda_exec_cancel(struct exec_op *exec_op)
{
	struct job *job = container_of(exec_op, struct job, op);
	struct lambda *lambda = job->lambda;
	if (job->cancelled || job->state == JOB_ENDING)
		return;
	job->cancelled = true;
	switch (job->state) {
	case JOB_ENSURING:
		uplink_leave(&job->uplink);
		break;
	case JOB_WAITING:
	case JOB_PAUSED:
	case JOB_ANSWERED:
		list_remove(&job->link);
		break;
	case JOB_INVOKED:
		/* The function runs on; nobody listens. */
		lambda_cancel(job->invocation);
		job->invocation = NULL;
		window_end(&lambda->window, &job->slot, false, clock_monotonic_ms());
		break;
	case JOB_FETCHING:
		s3_cancel(job->get);
		job->get = NULL;
		break;
	case JOB_SEALING:
	case JOB_OPENING:
	case JOB_DELIVERING:
		return; /* its thread ends first */
	case JOB_ENDING:
		return;
	}
	end(job, EXEC_CANCELLED);
	dispatch(lambda);
}

static unsigned lambda_width(const struct executor *executor)
{
	return self(executor)->options.width;
}

static void closed(uv_handle_t *timer)
{
	free(container_of((uv_timer_t *)timer, struct lambda, timer));
}

static void lambda_free(struct executor *executor)
{
	struct lambda *lambda = self(executor);
	assert(lambda->n_jobs == 0);
	struct lambda_options *options = &lambda->options;
	clear_history(lambda);
	dictionaries_deinit(&lambda->dictionaries);
	free((char *)options->function);
	free((char *)options->place.bucket);
	free((char *)options->place.prefix);
	free((char *)options->place.region);
	free((char *)options->place.endpoint);
	uv_close((uv_handle_t *)&lambda->timer, closed);
}

static const struct executor_ops lambda_ops = {
	.name = "lambda",
	.start = lambda_start,
	.cancel = lambda_exec_cancel,
	.width = lambda_width,
	.free = lambda_free,
	.overlays = true,
};

static char *copy(const char *s)
{
	char *ret = strdup(s);
	if (!ret)
		abort();
	return ret;
}

struct executor *lambda_new(uv_loop_t *loop, const struct lambda_options *options)
{
	assert(options->width > 0);
	struct lambda *lambda = calloc(1, sizeof(*lambda));
	if (!lambda)
		abort();
	lambda->executor.ops = &lambda_ops;
	lambda->loop = loop;
	struct lambda_options *own = &lambda->options;
	*own = *options;
	own->function = copy(options->function);
	own->place.bucket = copy(options->place.bucket);
	own->place.prefix = copy(options->place.prefix);
	own->place.region = copy(options->place.region);
	own->place.endpoint = copy(options->place.endpoint);
	own->start = options->start ? options->start : START;
	if (own->start > own->width)
		own->start = own->width;
	own->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
	own->limit_ms = options->limit_ms ? options->limit_ms : LIMIT_MS;
	own->wait_ms = options->wait_ms ? options->wait_ms : WAIT_MS;
	own->down_ms = options->down_ms ? options->down_ms : DOWN_MS;
	own->retry_ms = options->retry_ms ? options->retry_ms : RETRY_MS;
	dictionaries_init(&lambda->dictionaries, &own->bucket);
	list_init(&lambda->waiting);
	list_init(&lambda->paused);
	list_init(&lambda->answered);
	list_init(&lambda->ending);
	uv_timer_init(loop, &lambda->timer);
	int64_t now = clock_monotonic_ms();
	window_init(&lambda->window, own->start, own->width, (uint64_t)clock_monotonic_ns(), now);
	return &lambda->executor;
}

struct lambda_counters lambda_counters(const struct executor *executor)
{
	return self(executor)->counters;
}

const char *lambda_down(const struct executor *executor, int64_t *ret_ms)
{
	const struct lambda *lambda = self(executor);
	int64_t left_ms = lambda->down_until_ms - clock_monotonic_ms();
	if (left_ms <= 0)
		return NULL;
	*ret_ms = left_ms;
	return lambda->down.text;
}

const char *lambda_trouble(const struct executor *executor)
{
	return self(executor)->trouble.text;
}
