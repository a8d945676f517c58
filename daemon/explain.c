#include "daemon/explain.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "compiler/describe.h"
#include "daemon/daemon_internal.h"
#include "daemon/inputs.h"
#include "daemon/misses.h"
#include "daemon/plan.h"
#include "daemon/server.h"
#include "daemon/share.h"
#include "daemon/toolchains.h"

static void explain_local(const struct reason *reason, struct buf *to)
{
	buf_append_str(to, "runs locally  ");
	reason_format(reason, to);
	bool told = reason->code == REASON_OPTION || reason->code == REASON_ENVIRONMENT; /* in the name */
	const char *detail = told ? NULL : reason->detail;
	buf_printf(to, " (%s%s%s)\n", reason_text(reason->code), detail ? ": " : "", detail ? detail : "");
}

static void explain_last_miss(struct daemon *daemon, const struct digest *key, struct buf *to)
{
	struct cache_why why;
	int64_t when_s;
	if (!misses_get(daemon->misses, key, &why, &when_s))
		return;
	time_t when = (time_t)when_s;
	struct tm local;
	char text[32];
	if (!localtime_r(&when, &local) || strftime(text, sizeof(text), "%F %T", &local) == 0)
		return;
	buf_printf(to, "last miss     %s: ", text);
	misses_describe(&why, to);
	buf_append_char(to, '\n');
}

/* What others have of it, and whether what this machine has made of it is for them as well. */
static void explain_share(struct daemon *daemon, const struct plan *plan, const struct toolchain *toolchain, const struct digest *key,
	struct arena *arena, struct buf *to)
{
	_cleanup_buf_ struct buf why_not = { 0 };
	struct share_found found;
	struct cache_why why;
	if (!daemon->share)
		return;
	struct share_key shared = { .key = *key, .base = share_base(daemon->share) };
	if (shared.base)
		shared.below = plan_key_below(plan, toolchain, shared.base);
	buf_append_str(to, "shared        ");
	if (share_find(daemon->share, plan->since, &shared, &plan->messages_kind, arena, &found, &why) == 0) {
		buf_append_str(to, "hit");
	} else {
		buf_append_str(to, "miss: ");
		misses_describe(&why, to);
	}
	buf_append_char(to, '\n');
	if (share_why_unportable(daemon->share, key, &why_not))
		buf_printf(to, "base_dir      shared for this place only: %s\n", why_not.ptr);
}

static void explain_cache(
	struct daemon *daemon, const struct plan *plan, const struct digest *key, struct arena *arena, struct buf *to)
{
	struct cache_result result;
	struct cache_why why = { .what = CACHE_WHY_RECACHE };
	struct error err;
	if (daemon->config->cache == CONFIG_CACHE_OFF) {
		buf_append_str(to, "cache         off (cache = off)\n");
		return;
	}
	int outcome = plan->environment.recache ? CACHE_MISS
						: cache_get(daemon->cache, daemon->view, plan->since, key,
							  &plan->messages_kind, arena, &result, &why, &err);
	buf_append_str(to, "cache         ");
	if (outcome == 0) {
		buf_append_str(to, "hit");
	} else if (outcome < 0) {
		buf_append_str(to, err.text);
	} else {
		buf_append_str(to, "miss: ");
		misses_describe(&why, to);
	}
	buf_append_char(to, '\n');
	explain_last_miss(daemon, key, to);
	if (outcome != 0 && plan_is_remembered_as_local(daemon, plan, key))
		explain_local(&(struct reason){ .code = REASON_REMEMBERED }, to);
}

/* In the order in which a request is decided. */
static void explain_engine(struct daemon *daemon, const struct plan *plan, const struct toolchain *toolchain,
	struct arena *arena, struct buf *to)
{
	const struct engine *engine = plan->engine;
	buf_printf(to, "engine        %s\n", !engine || !toolchain->reproduced ? "sandbox, in place" :
					      engine == &daemon->sandbox	    ? "sandbox, in namespaces" :
										      engine->name);
	buf_printf(to, "toolchain     %zu look-ups", toolchain->lookups.n);
	if (engine)
		buf_printf(to, ", %sreproduced in %s%s%s", toolchain->reproduced ? "" : "not ",
			engine == &daemon->sandbox ? "namespaces" : engine->name, *toolchain->unreproduced_why ? ": " : "",
			toolchain->unreproduced_why);
	buf_append_char(to, '\n');
	if (inputs_source_uses_clock(daemon, plan)) {
		explain_local(&(struct reason){ .code = REASON_DATE_TIME }, to);
		return;
	}
	if (plan->command.wants_native) {
		buf_append_str(to, "key           depends on what -march=native means here, which the compiler is "
				   "asked when it runs\n");
		return;
	}
	struct digest key = plan_key(plan, toolchain);
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&key, hex);
	buf_printf(to, "key           %s\n", hex);
	explain_cache(daemon, plan, &key, arena, to);
	explain_share(daemon, plan, toolchain, &key, arena, to);
}

/* One question, which may have to wait. */
struct explanation {
	struct daemon *daemon;
	struct connection *connection;
	struct connection_user user;
	struct arena arena;
	struct buf text;
	struct plan plan;
	struct toolchain_waiter waiter;
};

static void explanation_free(struct explanation *explanation)
{
	buf_deinit(&explanation->text);
	arena_deinit(&explanation->arena);
	free(explanation);
}

static void answer(struct explanation *explanation)
{
	connection_set_user(explanation->connection, NULL);
	struct frame_control_reply reply = { .text = buf_slice(&explanation->text) };
	struct buf frame = { 0 };
	frame_put_control_reply(&frame, &reply);
	connection_send(explanation->connection, &frame, true);
	explanation_free(explanation);
}

static void explain_toolchain(struct explanation *explanation, struct toolchain *toolchain)
{
	struct buf *to = &explanation->text;
	if (toolchain->refused.code != REASON_NONE)
		explain_local(&toolchain->refused, to);
	else
		explain_engine(explanation->daemon, &explanation->plan, toolchain, &explanation->arena, to);
	toolchain_unref(toolchain);
	answer(explanation);
}

static void observed(struct toolchain_waiter *waiter, struct toolchain *toolchain)
{
	explain_toolchain(container_of(waiter, struct explanation, waiter), toolchain);
}

static void hung_up(struct connection_user *user)
{
	struct explanation *explanation = container_of(user, struct explanation, user);
	toolchains_leave(&explanation->waiter);
	explanation_free(explanation);
}

void explain(struct daemon *daemon, struct connection *connection, struct slice payload)
{
	struct explanation *explanation = calloc(1, sizeof(*explanation));
	if (!explanation)
		abort();
	explanation->daemon = daemon;
	explanation->connection = connection;
	explanation->user.hung_up = hung_up;
	explanation->waiter.fn = observed;
	list_init(&explanation->waiter.link);
	connection_set_user(connection, &explanation->user);
	struct frame_control *control = arena_new(&explanation->arena, struct frame_control);
	int decoded = frame_get_control(payload, &explanation->arena, control, NULL);
	assert(decoded == 0 && control->has_request);

	struct buf *to = &explanation->text;
	struct plan *plan = &explanation->plan;
	struct reason reason;
	int outcome = plan_make(
		daemon, &control->request, view_arrive(daemon->view), &explanation->arena, plan, &reason);
	buf_printf(to, "compiler      %s\n", plan->compiler && *plan->compiler ? plan->compiler : "none was found");
	if (outcome != 0) {
		explain_local(&reason, to);
		answer(explanation);
		return;
	}
	command_describe(&plan->command, to);
	struct toolchain *toolchain = toolchains_get(daemon->toolchains, plan, &explanation->waiter);
	if (toolchain)
		explain_toolchain(explanation, toolchain);
}
