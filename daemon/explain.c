#include "daemon/explain.h"

#include <assert.h>
#include <stdlib.h>

#include "compiler/describe.h"
#include "daemon/daemon_internal.h"
#include "daemon/plan.h"
#include "daemon/server.h"
#include "daemon/toolchains.h"

static void explain_miss(const struct cache_why *why, struct buf *to)
{
	switch (why->what) {
	case CACHE_WHY_NO_KEY:
		buf_append_str(to, "cache: miss; nothing was kept yet for this compiler, these arguments, this source and directory\n");
		break;
	case CACHE_WHY_INPUT:
		buf_printf(to, "cache: miss; since the last result this input has changed: %s\n", why->path);
		break;
	case CACHE_WHY_MESSAGES:
		buf_append_str(to, "cache: miss; the kept result has messages made for another terminal or colour setting\n");
		break;
	case CACHE_WHY_BLOB:
		buf_append_str(to, "cache: miss; the kept result's content is no longer in the store\n");
		break;
	case CACHE_WHY_ALIAS:
		buf_append_str(to, "cache: miss; headers of equal content share an inode or a time stamp where they did not, or the reverse\n");
		break;
	}
}

static void explain_cached(struct daemon *daemon, const struct plan *plan, const struct toolchain *toolchain, struct arena *arena,
	struct buf *to)
{
	char hex[DIGEST_HEX_CHARS + 1];
	struct digest key = plan_key(plan, toolchain);
	digest_hex(&key, hex);
	buf_printf(to, "toolchain: %zu look-ups, %s\n", toolchain->lookups.n,
		!daemon->sandbox       ? "used in place" :
		toolchain->sandboxed ? "proven in the sandbox" : "used in place, because the sandbox does not reproduce it");
	if (*toolchain->unsandboxed_why)
		buf_printf(to, "  %s\n", toolchain->unsandboxed_why);
	buf_printf(to, "key: %s\n", hex);
	struct cache_result result;
	struct cache_why why;
	struct error err;
	int outcome = cache_get(daemon->cache, daemon->view, plan->since, &key, &plan->messages_kind, arena, &result, &why, &err);
	if (outcome == 0)
		buf_append_str(to, "cache: hit\n");
	else if (outcome < 0)
		buf_printf(to, "cache: %s\n", err.text);
	else
		explain_miss(&why, to);
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
		buf_printf(to, "runs here: %s (%s)\n", reason_name(toolchain->refused.code), reason_text(toolchain->refused.code));
	else
		explain_cached(explanation->daemon, &explanation->plan, toolchain, &explanation->arena, to);
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
	int outcome = plan_make(daemon, &control->request, view_arrive(daemon->view), &explanation->arena, plan, &reason);
	buf_printf(to, "compiler: %s\n", plan->compiler && *plan->compiler ? plan->compiler : "none was found");
	if (outcome != 0) {
		buf_append_str(to, "runs here: ");
		reason_format(&reason, to);
		buf_printf(to, " (%s)\n", reason_text(reason.code));
		answer(explanation);
		return;
	}
	command_describe(&plan->command, to);
	buf_printf(to, "engine: %s\n", daemon->sandbox ? "sandbox (namespaces)" : "in place");
	if (plan->command.wants_native) {
		buf_append_str(to, "key: depends on what -march=native means here, which is asked of the compiler at run time\n");
		answer(explanation);
		return;
	}
	struct toolchain *toolchain = toolchains_get(daemon->toolchains, plan, &explanation->waiter);
	if (toolchain)
		explain_toolchain(explanation, toolchain);
}
