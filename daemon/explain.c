#include "daemon/explain.h"

#include "compiler/describe.h"
#include "daemon/daemon_internal.h"
#include "daemon/plan.h"
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

static void ignore(struct toolchain_waiter *waiter, struct toolchain *toolchain)
{
	toolchain_unref(toolchain);
}

void explain(struct daemon *daemon, const struct frame_request *request, struct buf *to)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct plan plan;
	struct reason reason;
	uint64_t since = view_arrive(daemon->view);
	int outcome = plan_make(daemon, request, since, &arena, &plan, &reason);
	buf_printf(to, "compiler: %s\n", plan.compiler && *plan.compiler ? plan.compiler : "none was found");
	if (outcome != 0) {
		buf_append_str(to, "runs here: ");
		reason_format(&reason, to);
		buf_printf(to, " (%s)\n", reason_text(reason.code));
		return;
	}
	command_describe(&plan.command, to);
	buf_printf(to, "engine: %s\n", daemon->sandbox ? "sandbox (namespaces)" : "in place");
	if (plan.command.wants_native) {
		buf_append_str(to, "key: depends on what -march=native means here, which is asked of the compiler at run time\n");
		return;
	}
	struct toolchain_waiter waiter = { .fn = ignore };
	list_init(&waiter.link);
	struct toolchain *toolchain = toolchains_get(daemon->toolchains, &plan, &waiter);
	if (!toolchain) {
		/* It is being observed now; nobody here can wait for it. */
		toolchains_leave(&waiter);
		buf_append_str(to, "toolchain: not observed yet; ask again in a second\n");
		return;
	}
	if (toolchain->refused.code != REASON_NONE)
		buf_printf(to, "runs here: %s (%s)\n", reason_name(toolchain->refused.code), reason_text(toolchain->refused.code));
	else
		explain_cached(daemon, &plan, toolchain, &arena, to);
	toolchain_unref(toolchain);
}
