#include "tests/cloud/faults.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"

struct rule {
	struct list link;
	char *service, *operation, *value; /* owned */
	enum fault_kind kind;
	unsigned per_mille;
	uint64_t seed;
	uint64_t asked, struck;
};

struct faults {
	pthread_mutex_t lock;
	uint64_t seed;
	struct list rules;
};

#define FAULT_NAME(id, name) name,
static const char *const kind_names[] = { FAULT_KINDS(FAULT_NAME) };
static_assert(sizeof kind_names / sizeof kind_names[0] == N_FAULT_KINDS, "a name for each kind");

static void rule_free(struct rule *rule)
{
	list_remove(&rule->link);
	free(rule->service);
	free(rule->operation);
	free(rule->value);
	free(rule);
}

struct faults *faults_new(uint64_t seed)
{
	struct faults *faults = calloc(1, sizeof *faults);
	if (!faults)
		abort();
	*faults = (struct faults){ .lock = PTHREAD_MUTEX_INITIALIZER, .seed = seed };
	list_init(&faults->rules);
	return faults;
}

void faults_free(struct faults *faults)
{
	if (!faults)
		return;
	faults_clear(faults);
	free(faults);
}

uint64_t faults_seed(const struct faults *faults)
{
	return faults->seed;
}

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static int malformed(const char *rule, struct error *err)
{
	return error_set(err, 0,
		"fault \"%s\" is not SERVICE.OPERATION.KIND=PER_MILLE[:VALUE], such as s3.GetObject.corrupt=100", rule);
}

static char *copy(const char *s, size_t n)
{
	char *text = strndup(s, n);
	if (!text)
		abort();
	return text;
}

int faults_add(struct faults *faults, const char *rule, struct error *err)
{
	const char *service_end = strchr(rule, '.');
	const char *operation_end = service_end ? strchr(service_end + 1, '.') : NULL;
	const char *equals = operation_end ? strchr(operation_end + 1, '=') : NULL;
	if (!equals || service_end == rule || operation_end == service_end + 1)
		return malformed(rule, err);
	size_t kind = 0, kind_length = (size_t)(equals - operation_end - 1);
	while (kind < N_FAULT_KINDS && (strlen(kind_names[kind]) != kind_length ||
					       memcmp(kind_names[kind], operation_end + 1, kind_length) != 0))
		kind++;
	if (kind == N_FAULT_KINDS)
		return error_set(
			err, 0, "fault \"%s\": there is no kind \"%.*s\"", rule, (int)kind_length, operation_end + 1);
	char *end;
	unsigned long per_mille = strtoul(equals + 1, &end, 10);
	if (end == equals + 1 || per_mille > 1000 || (*end && *end != ':'))
		return malformed(rule, err);

	struct rule *new = calloc(1, sizeof *new);
	if (!new)
		abort();
	list_init(&new->link);
	new->service = copy(rule, (size_t)(service_end - rule));
	new->operation = copy(service_end + 1, (size_t)(operation_end - service_end - 1));
	new->value = copy(*end ? end + 1 : "", strlen(*end ? end + 1 : ""));
	new->kind = (enum fault_kind)kind;
	new->per_mille = (unsigned)per_mille;
	new->seed = faults->seed ^ map_hash(slice_of(rule, (size_t)(equals - rule)));

	pthread_mutex_lock(&faults->lock);
	struct rule *old;
	list_for_each (old, &faults->rules, struct rule, link)
		if (old->kind == new->kind && strcmp(old->service, new->service) == 0 &&
			strcmp(old->operation, new->operation) == 0 &&
			(new->per_mille == 0 || strcmp(old->value, new->value) == 0))
			rule_free(old);
	if (new->per_mille > 0)
		list_append(&faults->rules, &new->link);
	else
		rule_free(new);
	pthread_mutex_unlock(&faults->lock);
	return 0;
}

void faults_clear(struct faults *faults)
{
	pthread_mutex_lock(&faults->lock);
	struct rule *rule;
	list_for_each (rule, &faults->rules, struct rule, link)
		rule_free(rule);
	pthread_mutex_unlock(&faults->lock);
}

static bool matches(const char *pattern, const char *name)
{
	return strcmp(pattern, "*") == 0 || strcmp(pattern, name) == 0;
}

bool faults_strike(struct faults *faults, const char *service, const char *operation, enum fault_kind kind,
	struct arena *arena, const char **value)
{
	bool struck = false;
	pthread_mutex_lock(&faults->lock);
	struct rule *rule;
	list_for_each (rule, &faults->rules, struct rule, link) {
		if (struck || rule->kind != kind || !matches(rule->service, service) ||
			!matches(rule->operation, operation))
			continue;
		struck = mix(rule->seed ^ mix(rule->asked++)) % 1000 < rule->per_mille;
		if (struck) {
			rule->struck++;
			if (value)
				*value = arena_strdup(arena, rule->value);
		}
	}
	pthread_mutex_unlock(&faults->lock);
	return struck;
}

void faults_visit(struct faults *faults, faults_visit_fn *fn, void *ctx)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	pthread_mutex_lock(&faults->lock);
	struct rule *rule;
	list_for_each (rule, &faults->rules, struct rule, link)
		fn(ctx,
			arena_printf(&arena, "%s.%s.%s=%u%s%s", rule->service, rule->operation, kind_names[rule->kind],
				rule->per_mille, rule->value[0] ? ":" : "", rule->value),
			rule->asked, rule->struck);
	pthread_mutex_unlock(&faults->lock);
}
