#include "daemon/control.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/cloud.h"
#include "daemon/daemon_internal.h"
#include "daemon/explain.h"
#include "daemon/server.h"
#include "store/store_disk.h"

static void put_json(json_t *object, struct buf *to)
{
	_cleanup_free_ char *text = json_dumps(object, JSON_INDENT(2));
	json_decref(object);
	if (!text)
		abort();
	buf_append_str(to, text);
	buf_append_char(to, '\n');
}

static uint32_t answer_status(struct daemon *daemon, const struct frame_control *control, struct buf *text)
{
	json_t *status = json_pack("{s:i, s:s, s:I, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:b}",
			"pid", (int)getpid(),
			"version", LLAMA_VERSION,
			"uptime_ms", (json_int_t)(clock_monotonic_ms() - daemon->started_ms),
			"jobs", (int)daemon->slots.total,
			"running", (int)(daemon->slots.used + daemon->remote_slots.used),
			"waiting", (int)(daemon->slots.n_waiting + daemon->remote_slots.n_waiting),
			"requests", (int)daemon->n_requests,
			"sandbox", daemon->sandbox.executor ? "namespaces" : "inplace",
			"sandbox_why", daemon->sandbox.why,
			"engine", config_engine_words[daemon->config->engine],
			"socket", daemon->options->endpoint.socket,
			"cache_dir", daemon->cache_dir,
			"leaving", (int)daemon->leaving);
	cloud_put_status(daemon, status);
	put_json(status, text);
	return 0;
}

static uint32_t answer_stats(struct daemon *daemon, const struct frame_control *control, struct buf *text)
{
	const char *arg = control->args.n ? control->args.v[0] : "";
	cloud_count(daemon->cloud);
	if (strcmp(arg, "reset") == 0) {
		stats_reset(daemon->stats);
		stats_print(daemon->stats, NULL, text);
	} else if (strncmp(arg, "build=", 6) == 0) {
		stats_print(daemon->stats, arg + 6, text);
	} else {
		stats_print(daemon->stats, NULL, text);
	}
	return 0;
}

static uint32_t answer_stop(struct daemon *daemon, const struct frame_control *control, struct buf *text)
{
	daemon_leave(daemon);
	return 0;
}

static uint32_t answer_cache(struct daemon *daemon, const struct frame_control *control, struct buf *text)
{
	static const char *const modes[] = {
		[CONFIG_CACHE_READWRITE] = "readwrite",
		[CONFIG_CACHE_READONLY] = "readonly",
		[CONFIG_CACHE_OFF] = "off",
	};
	struct error err;
	if (control->args.n && strcmp(control->args.v[0], "clear") == 0 &&
		(cache_clear(daemon->cache, &err) < 0 || store_disk_clear(daemon->content, &err) < 0)) {
		buf_append_str(text, err.text);
		return 1;
	}
	struct cache_counters counters = cache_counters(daemon->cache);
	put_json(json_pack("{s:I, s:I, s:I, s:I, s:s, s:s}",
			"size_bytes", (json_int_t)store_disk_size(daemon->content),
			"limit_bytes", (json_int_t)store_disk_limit(daemon->content),
			"entries", (json_int_t)counters.entries,
			"index_bytes", (json_int_t)counters.index_bytes,
			"directory", daemon->cache_dir,
			"mode", modes[daemon->config->cache]),
		text);
	return 0;
}

static const struct verb {
	const char *name;
	uint32_t (*answer)(struct daemon *daemon, const struct frame_control *control, struct buf *text);
} verbs[] = {
	{ "status", answer_status },
	{ "stats", answer_stats },
	{ "stop", answer_stop },
	{ "cache", answer_cache },
};

int control_answer(struct daemon *daemon, struct connection *connection, struct slice payload, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf text = { 0 };
	struct frame_control control;
	if (frame_get_control(payload, &arena, &control, err) < 0)
		return -1;
	if (strcmp(control.verb, "explain") == 0 && control.has_request) {
		explain(daemon, connection, payload);
		return 0;
	}
	const struct verb *verb = NULL;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs) && !verb; i++)
		if (strcmp(verbs[i].name, control.verb) == 0)
			verb = &verbs[i];
	struct frame_control_reply reply = { .status = 2 };
	if (verb)
		reply.status = verb->answer(daemon, &control, &text);
	else
		buf_printf(&text, "this daemon (version %s) doesn't know the verb %s", LLAMA_VERSION, control.verb);
	reply.text = buf_slice(&text);
	struct buf frame = { 0 };
	frame_put_control_reply(&frame, &reply);
	connection_send(connection, &frame, true);
	return 0;
}
