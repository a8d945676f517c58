#include "daemon/stats.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/list.h"
#include "base/map.h"

enum { BUILDS_KEPT = 32, BUILD_ID_BYTES = 64 };

struct reason_count {
	char *name; /* owned; the map's key */
	uint64_t n;
};

/* One set of counters. */
struct tally {
	struct list link; /* stats.builds, oldest first */
	char build_id[BUILD_ID_BYTES];
	struct stats_counters counters;
	struct map reasons; /* name → struct reason_count, owned */
};

struct stats {
	char *path; /* owned */
	struct tally total;
	struct list builds;
	unsigned n_builds;
};

static void tally_reset(struct tally *tally)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&tally->reasons, &at));) {
		struct reason_count *count = e->value;
		free(count->name);
		free(count);
	}
	map_deinit(&tally->reasons);
	tally->counters = (struct stats_counters){ 0 };
}

static void tally_add_reason(struct tally *tally, const char *name, uint64_t n)
{
	struct reason_count *count = map_get(&tally->reasons, slice_str(name));
	if (!count) {
		count = calloc(1, sizeof(*count));
		if (!count || !(count->name = strdup(name)))
			abort();
		map_put(&tally->reasons, slice_str(count->name), count);
	}
	count->n += n;
}

static struct tally *find_build(const struct stats *stats, const char *build_id)
{
	struct tally *tally;
	list_for_each(tally, &stats->builds, struct tally, link)
		if (strncmp(tally->build_id, build_id, BUILD_ID_BYTES - 1) == 0)
			return tally;
	return NULL;
}

static void forget_build(struct stats *stats, struct tally *tally)
{
	list_remove(&tally->link);
	tally_reset(tally);
	free(tally);
	stats->n_builds--;
}

static struct tally *need_build(struct stats *stats, const char *build_id)
{
	if (!build_id || !*build_id)
		return NULL;
	struct tally *tally = find_build(stats, build_id);
	if (tally)
		return tally;
	if (stats->n_builds == BUILDS_KEPT)
		forget_build(stats, list_first(&stats->builds, struct tally, link));
	tally = calloc(1, sizeof(*tally));
	if (!tally)
		abort();
	snprintf(tally->build_id, sizeof(tally->build_id), "%s", build_id);
	list_append(&stats->builds, &tally->link);
	stats->n_builds++;
	return tally;
}

/* The object that holds the last part of a dotted key, and that part. */
static json_t *nested(json_t *object, const char *key, const char **last)
{
	for (const char *dot; (dot = strchr(key, '.')); key = dot + 1) {
		char group[32];
		snprintf(group, sizeof(group), "%.*s", (int)(dot - key), key);
		json_t *child = json_object_get(object, group);
		if (!child) {
			child = json_object();
			json_object_set_new(object, group, child);
		}
		object = child;
	}
	*last = key;
	return object;
}

static json_t *tally_to_json(const struct tally *tally)
{
	json_t *object = json_object();
	const char *last;
#define X(field, key)                                                                                                 \
	{                                                                                                             \
		json_t *in = nested(object, key, &last);                                                              \
		json_object_set_new(in, last, json_integer((json_int_t)tally->counters.field));                       \
	}
	STATS_TABLE(X)
#undef X
	json_object_set_new(json_object_get(object, "lambda"), "gb_seconds",
		json_real((double)tally->counters.lambda_billed_mb_ms / (1024.0 * 1000)));
	json_t *reasons = json_object();
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&tally->reasons, &at));) {
		const struct reason_count *count = e->value;
		json_object_set_new(reasons, count->name, json_integer((json_int_t)count->n));
	}
	json_object_set_new(json_object_get(object, "local"), "reasons", reasons);
	return object;
}

static uint64_t counter_from_json(const json_t *value)
{
	json_int_t n = json_integer_value(value);
	return n > 0 ? (uint64_t)n : 0;
}

static void tally_from_json(struct tally *tally, json_t *object)
{
	const char *last;
#define X(field, key)                                                                                                 \
	{                                                                                                             \
		json_t *in = nested(object, key, &last);                                                              \
		tally->counters.field = counter_from_json(json_object_get(in, last));                                 \
	}
	STATS_TABLE(X)
#undef X
	const char *name;
	json_t *n;
	json_object_foreach(json_object_get(json_object_get(object, "local"), "reasons"), name, n)
		tally_add_reason(tally, name, counter_from_json(n));
}

struct stats *stats_new(const char *path)
{
	struct stats *stats = calloc(1, sizeof(*stats));
	if (!stats || !(stats->path = strdup(path)))
		abort();
	list_init(&stats->builds);
	list_init(&stats->total.link);
	json_t *saved = json_load_file(path, 0, NULL);
	if (json_is_object(saved))
		tally_from_json(&stats->total, saved);
	json_decref(saved);
	return stats;
}

void stats_free(struct stats *stats)
{
	if (!stats)
		return;
	while (!list_empty(&stats->builds))
		forget_build(stats, list_first(&stats->builds, struct tally, link));
	tally_reset(&stats->total);
	free(stats->path);
	free(stats);
}

int stats_save(struct stats *stats, struct error *err)
{
	json_t *object = tally_to_json(&stats->total);
	_cleanup_free_ char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(object);
	if (!text)
		return error_set(err, ENOMEM, "cannot write %s", stats->path);
	return file_replace(stats->path, slice_str(text), 0600, err);
}

void stats_reset(struct stats *stats)
{
	tally_reset(&stats->total);
}

static void counter_add(struct tally *tally, size_t offset, uint64_t n)
{
	if (tally)
		*(uint64_t *)(void *)((char *)&tally->counters + offset) += n;
}

void stats_add_at(struct stats *stats, const char *build_id, size_t offset, uint64_t n)
{
	counter_add(&stats->total, offset, n);
	counter_add(need_build(stats, build_id), offset, n);
}

void stats_max_rss(struct stats *stats, const char *build_id, uint64_t rss_kb)
{
	struct tally *tallies[] = { &stats->total, need_build(stats, build_id) };
	for (size_t i = 0; i < 2; i++)
		if (tallies[i] && tallies[i]->counters.engine_max_rss_kb < rss_kb)
			tallies[i]->counters.engine_max_rss_kb = rss_kb;
}

void stats_add_local(struct stats *stats, const char *build_id, const struct reason *reason)
{
	_cleanup_buf_ struct buf name = { 0 };
	reason_format(reason, &name);
	/* An option may hold any bytes; a key of JSON may not. */
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] >= 0x80)
			name.ptr[i] = '?';
	struct tally *tallies[] = { &stats->total, need_build(stats, build_id) };
	for (size_t i = 0; i < 2; i++) {
		if (!tallies[i])
			continue;
		tallies[i]->counters.local_total++;
		tally_add_reason(tallies[i], buf_str(&name), 1);
	}
}

static uint64_t resident_bytes(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
	unsigned long size, resident;
	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static json_t *daemon_to_json(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	int64_t cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	return json_pack("{s:f, s:I}", "cpu_ms", (double)cpu_us / 1000, "rss_bytes", (json_int_t)resident_bytes());
}

void stats_print(const struct stats *stats, const char *build_id, struct buf *to)
{
	static const struct tally none;
	const struct tally *tally = build_id ? find_build(stats, build_id) : &stats->total;
	json_t *object = tally_to_json(tally ? tally : &none);
	json_object_set_new(object, "daemon", daemon_to_json());
	_cleanup_free_ char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(object);
	if (!text)
		abort();
	buf_append_str(to, text);
	buf_append_char(to, '\n');
}
