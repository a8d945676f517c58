#include "setup/bootstrap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "aws/image.h"
#include "aws/sts.h"
#include "base/clock.h"
#include "base/file.h"
#include "setup/environment.h"
#include "setup/push.h"
#include "setup/settings.h"
#include "setup/smoke.h"
#include "setup/stack.h"
#include "setup/talk.h"
#include "setup/template.h"

enum {
	ROLE_PAUSE_MS = 1000,
	ROLE_TRIES = 90,
	IMAGES_KEPT = 3,     /* by the repository's rule in the template */
	FEW_FUNCTIONS = 100, /* less is a new account's limit */
	CONFIG_BYTES = 1 << 20,
};

struct bootstrap {
	const struct bootstrap_options *options;
	struct talk talk;
	struct arena arena;
	struct aws_session session;
	struct scratch scratch;
	struct environment environment;
	struct environment_state state;
	struct account_limits limits; /* concurrency 0: unknown */
	const char *account;
	/* The image. */
	struct image_report image;
	const char *image_dir, *digest, *architecture;
};

unsigned bootstrap_allowed_memory(const char *refusal)
{
	static const char mark[] = "may have ";
	const char *at = strstr(refusal, mark);
	unsigned long n = at ? strtoul(at + sizeof(mark) - 1, NULL, 10) : 0;
	return n >= FUNCTION_LEAST_MB && n <= FUNCTION_MOST_MB ? (unsigned)n : 0;
}

static double seconds_since(int64_t begin_ms)
{
	return (double)(clock_monotonic_ms() - begin_ms) / 1000;
}

static double megabytes(int64_t bytes)
{
	return (double)bytes / 1e6;
}

/* --- Who and where --------------------------------------------------------------------------------------------- */

static int open_session(struct bootstrap *b, struct error *err)
{
	const struct bootstrap_options *options = b->options;
	const char *region = options->region;
	if (aws_session_open(options->profile, region, options->environment, &b->session, err) < 0)
		return -1;
	if (b->session.config.region)
		return 0;
	if (talk_ask(&b->talk, "In which region of AWS (us-east-1, eu-central-1, …)?", &b->arena, &region) < 0)
		return error_set(err, 0,
			"no region is configured: say --region, for instance --region us-east-1; the nearest one is "
			"the fastest");
	aws_session_close(&b->session);
	return aws_session_open(options->profile, region, options->environment, &b->session, err);
}

static int identify(struct bootstrap *b, struct error *err)
{
	struct sts_identity identity;
	if (sts_get_caller_identity(&b->session, &b->arena, &identity, err) < 0)
		return -1;
	b->account = identity.account;
	talk_step("account", "%s, as %s", identity.account, identity.arn);
	talk_step("region", "%s", b->session.config.region);
	return 0;
}

/* Not knowing them hinders nothing. */
static void tell_limits(struct bootstrap *b)
{
	struct error err;
	if (account_limits(&b->session, &b->limits, &err) < 0) {
		b->limits.concurrency = 0;
		talk_step("limit", "unknown: %s", err.text);
		return;
	}
	unsigned n = b->limits.concurrency;
	talk_step("limit", "%u functions at a time", n);
	if (b->limits.unreserved < n)
		talk_more("%u of them are reserved for other functions", n - b->limits.unreserved);
	if (n < FEW_FUNCTIONS) {
		talk_more("That is a new account's: a build compiles %u files at a time, whatever its -j. To raise it, "
			  "ask for more of the quota",
			n);
		talk_more("\"Concurrent executions\" (L-B99A9384), which costs nothing:");
		talk_more("aws service-quotas request-service-quota-increase --region %s --service-code lambda "
			  "--quota-code L-B99A9384 --desired-value 1000",
			b->session.config.region);
	}
}

/* --- The image ------------------------------------------------------------------------------------------------- */

static int check_architecture(struct bootstrap *b, struct error *err)
{
	struct utsname name;
	uname(&name);
	b->architecture = environment_architecture(name.machine);
	if (!b->architecture)
		return error_set(err, 0, "Lambda has no functions for processors of this kind (%s)", name.machine);
	const char *wanted = b->options->architecture ? environment_architecture(b->options->architecture)
						      : b->architecture;
	if (!wanted)
		return error_set(
			err, 0, "there is no architecture %s: Lambda has x86_64 and arm64", b->options->architecture);
	if (strcmp(wanted, b->architecture) != 0)
		return error_set(err, 0,
			"functions have to be of this machine's architecture, %s: its compilers run in them",
			b->architecture);
	return 0;
}

static int build_image(struct bootstrap *b, struct error *err)
{
	const struct bootstrap_options *options = b->options;
	struct image_options image = {
		.runtime = options->runtime, .runner = options->runner, .interposer = options->interposer
	};
	char hex[DIGEST_HEX_CHARS + 1];
	b->image_dir = arena_printf(&b->arena, "%s/image", b->scratch.directory);
	if (image_build(&image, b->image_dir, &b->image, err) < 0)
		return error_wrap(err, "cannot build the function's image");
	digest_hex(&b->image.manifest, hex);
	b->digest = arena_printf(&b->arena, "sha256:%s", hex);
	talk_step("image", "%.1f MB for %s, %.19s", megabytes(b->image.layer_bytes), b->architecture, b->digest);
	return 0;
}

/* --- The plan -------------------------------------------------------------------------------------------------- */

static unsigned wanted_memory(const struct bootstrap *b)
{
	return b->options->memory_mb				      ? b->options->memory_mb
	       : b->state.has_function && b->state.function.memory_mb ? b->state.function.memory_mb
								      : BOOTSTRAP_MEMORY_MB;
}

static bool runs_image(const struct bootstrap *b)
{
	return b->state.has_function && strcmp(b->state.function.image_digest, b->digest) == 0;
}

/* Whether something is being done with it, or it never came to life. */
static bool is_settled(const struct function *function)
{
	return strcmp(function->state, "Pending") != 0 && strcmp(function->state, "Failed") != 0 &&
	       strcmp(function->update_status, "InProgress") != 0;
}

static bool is_configured(const struct bootstrap *b)
{
	const struct function *function = &b->state.function;
	return b->state.role && strcmp(function->role, b->state.role) == 0 && function->memory_mb == wanted_memory(b) &&
	       function->timeout_s == BOOTSTRAP_TIMEOUT_S && function->storage_mb == BOOTSTRAP_STORAGE_MB &&
	       b->state.release && strcmp(b->state.release, LLAMA_VERSION) == 0;
}

static void tell_cost(const struct bootstrap *b)
{
	double images = (double)b->image.layer_bytes * IMAGES_KEPT / 1e9;
	talk_more("When nothing is built it costs about $%.2f a month: up to %d images of %.0f MB in ECR ($%.2f for a "
		  "GB), and $%.3f for each GB in the",
		images * ECR_DOLLARS + S3_DOLLARS, IMAGES_KEPT, megabytes(b->image.layer_bytes), ECR_DOLLARS,
		S3_DOLLARS);
	talk_more("bucket, one of them reckoned here; it empties itself within 45 days. A build is paid for by the "
		  "millisecond.");
}

/* What is to be done; *ret_any is false when nothing is. */
static void tell_plan(const struct bootstrap *b, bool *ret_any)
{
	const struct environment *environment = &b->environment;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	static const char *const stack_words[] = {
		[STACK_NEEDS_NOTHING] = "as it should be",
		[STACK_NEEDS_CREATION] = "to be created: a bucket, images, a role, a policy for builders, a log",
		[STACK_NEEDS_UPDATE] = "to be updated to this llama's template",
		[STACK_NEEDS_REPLACEMENT] = "failed before: to be removed and created anew",
		[STACK_NEEDS_PATIENCE] = "something is being done with it: to be waited for",
		[STACK_NEEDS_HELP] = "needs a person",
	};
	enum stack_need need = stack_needs(&b->state, template_version(&arena));
	bool code = runs_image(b) && is_settled(&b->state.function),
	     settings = b->state.has_function && is_configured(b);
	*ret_any = need != STACK_NEEDS_NOTHING || !code || !settings;
	talk_step("plan", "the environment \"%s\" in %s:", environment->name, b->session.config.region);
	talk_more("stack %s: %s", environment->stack, stack_words[need]);
	if (!b->state.has_function)
		talk_more("function %s: to be created, with %u MB of memory, %d s, and %d MB in /tmp",
			environment->function, wanted_memory(b), BOOTSTRAP_TIMEOUT_S, BOOTSTRAP_STORAGE_MB);
	else if (code && settings)
		talk_more("function %s: as it should be", environment->function);
	else
		talk_more("function %s: %s%s%s", environment->function, code ? "" : "to run this llama's image",
			!code && !settings ? ", " : "", settings ? "" : "its settings to be updated");
	talk_more("configuration %s", b->options->config_file);
	if (*ret_any)
		tell_cost(b);
	else
		talk_more("There is nothing to change in the cloud.");
}

/* --- Making it ------------------------------------------------------------------------------------------------- */

static int bring_stack(struct bootstrap *b, struct error *err)
{
	int64_t begin_ms = clock_monotonic_ms();
	bool was_there = stack_needs(&b->state, template_version(&b->arena)) == STACK_NEEDS_NOTHING;
	if (stack_ensure(&b->session, &b->environment, &b->arena, &b->state, err) < 0)
		return -1;
	if (!b->state.bucket || !b->state.role || !b->state.repository)
		return error_set(err, 0,
			"the stack %s has lost its outputs: `llama teardown` removes it, and then it can be made anew",
			b->environment.stack);
	if (!was_there)
		talk_step("stack", "%s is complete after %.0f s", b->environment.stack, seconds_since(begin_ms));
	return 0;
}

/* `ret_uri` names the image by its digest. */
static int push(struct bootstrap *b, const char **ret_uri, struct error *err)
{
	struct pushed pushed;
	int outcome = push_image(&b->session, b->state.repository, b->image_dir, &b->arena, &pushed, err);
	if (outcome == PUSH_NO_REPOSITORY)
		return error_set(err, 0,
			"the stack's repository %s is gone: `llama teardown` and another bootstrap make everything "
			"anew",
			b->state.repository);
	if (outcome == 0)
		*ret_uri = pushed.uri;
	return outcome;
}

static int refresh_function(struct bootstrap *b, struct error *err)
{
	return environment_read_function(&b->session, &b->environment, &b->arena, &b->state, err);
}

static int wait_for_function(struct bootstrap *b, struct error *err)
{
	return function_wait(&b->session, b->environment.function, NULL, NULL, err);
}

/* A fresh role takes a while to reach Lambda. */
static int role_not_ready(struct bootstrap *b, int tries, struct error *err)
{
	if (tries >= ROLE_TRIES)
		return error_set(err, 0,
			"Lambda can't assume the role %s even after %d s: see that nothing in the account forbids it "
			"(a permissions boundary, a service control "
			"policy); then again",
			b->state.role, ROLE_TRIES);
	if (tries == 0)
		talk_more("waiting until Lambda knows the new role");
	aws_wait(&b->session, ROLE_PAUSE_MS);
	return 0;
}

static int create_function(struct bootstrap *b, struct function_settings *settings, struct error *err)
{
	const char *name = b->environment.function;
	for (int tries = 0;;) {
		int outcome = function_create(&b->session, name, settings, err);
		if (outcome == FUNCTION_EXISTS) /* by a request whose answer was lost, or another bootstrap: if it is ours */
			return refresh_function(b, err);
		if (outcome == 0)
			return 0;
		unsigned allowed = outcome < 0 && err->code == ERANGE && !b->options->memory_mb
					   ? bootstrap_allowed_memory(err->text)
					   : 0;
		if (allowed && allowed < settings->memory_mb) {
			talk_more(
				"this account allows no more than %u MB of memory: compilers will be slower", allowed);
			settings->memory_mb = allowed;
		} else if (outcome < 0 || role_not_ready(b, tries++, err) < 0) {
			return -1;
		}
	}
}

static int configure_function(struct bootstrap *b, const struct function_settings *settings, struct error *err)
{
	for (int tries = 0;; tries++) {
		int outcome = function_update_configuration(&b->session, b->environment.function, settings, err);
		if (outcome == 0)
			return wait_for_function(b, err);
		if (outcome < 0 || role_not_ready(b, tries, err) < 0)
			return -1;
	}
}

/* What an earlier run has begun is waited for; what never came to life is removed. */
static int settle_function(struct bootstrap *b, struct error *err)
{
	struct error ignored; /* what failed is tried again */
	if (!b->state.has_function || is_settled(&b->state.function))
		return 0;
	if (strcmp(b->state.function.state, "Failed") != 0)
		wait_for_function(b, &ignored);
	if (refresh_function(b, err) < 0)
		return -1;
	if (!b->state.has_function || strcmp(b->state.function.state, "Failed") != 0)
		return 0;
	talk_more("the function failed before: it is removed, and made anew");
	if (function_delete(&b->session, b->environment.function, err) < 0)
		return -1;
	b->state.has_function = false;
	return 0;
}

static int bring_function(struct bootstrap *b, struct error *err)
{
	int64_t begin_ms = clock_monotonic_ms();
	const char *uri = NULL;
	if (settle_function(b, err) < 0 || (!runs_image(b) && push(b, &uri, err) < 0))
		return -1;
	const struct aws_pair variables[] = { { ENVIRONMENT_VERSION, LLAMA_VERSION } },
			      tags[] = { { ENVIRONMENT_TAG, b->environment.name } };
	struct function_settings settings = {
		.image_uri = uri,
		.role = b->state.role,
		.architecture = b->architecture,
		.memory_mb = wanted_memory(b),
		.timeout_s = BOOTSTRAP_TIMEOUT_S,
		.storage_mb = BOOTSTRAP_STORAGE_MB,
		.environment = variables,
		.n_environment = 1,
		.tags = tags,
		.n_tags = 1,
	};
	const char *done = "created";
	if (!b->state.has_function) {
		if (create_function(b, &settings, err) < 0 || wait_for_function(b, err) < 0)
			return -1;
	} else {
		bool code = !runs_image(b), configuration = !is_configured(b);
		if (code &&
			(function_update_code(&b->session, b->environment.function, uri, b->architecture, err) < 0 ||
				wait_for_function(b, err) < 0))
			return -1;
		if (configuration && configure_function(b, &settings, err) < 0)
			return -1;
		done = code || configuration ? "updated" : NULL;
	}
	if (done)
		talk_step("function", "%s %s in %.0f s", b->environment.function, done, seconds_since(begin_ms));
	return 0;
}

/* --- Using it -------------------------------------------------------------------------------------------------- */

static int smoke(struct bootstrap *b, struct error *err)
{
	const struct bootstrap_options *options = b->options;
	struct smoke_report report;
	struct smoke_options smoke = {
		.llama = options->llama,
		.llamacc = options->llamacc,
		.region = b->session.config.region,
		.bucket = b->state.bucket,
		.function = b->environment.function,
		.profile = options->profile,
		.cache_dir = options->cache_dir,
		.path = getenv("PATH"),
		.environment = options->environment,
	};
	talk_step("test", "each compiler of this machine, in Lambda:");
	if (smoke_test(&b->scratch, &smoke, &report, err) < 0)
		return -1;
	if (report.n_compilers == 0)
		talk_more("there is none on PATH: nothing was tried");
	if (report.own_cache)
		talk_more(
			"A daemon runs, and has the cache for itself: the next build sends these compilers once more.");
	return 0;
}

static int write_settings(struct bootstrap *b, struct error *err)
{
	const char *file = b->options->config_file;
	struct settings_entry entries[6] = {
		{ "engine", "lambda" },
		{ "region", b->session.config.region },
		{ "bucket", b->state.bucket },
		{ "function", b->environment.function },
	};
	size_t n = 4;
	if (b->limits.concurrency) /* unknown: what is written there stays */
		entries[n++] = (struct settings_entry){ "concurrency",
			arena_printf(&b->arena, "%u", b->limits.concurrency) };
	if (b->options->profile)
		entries[n++] = (struct settings_entry){ "profile", b->options->profile };
	_cleanup_buf_ struct buf before = { 0 }, after = { 0 };
	struct error stopped;
	file_read(file, CONFIG_BYTES, &before, NULL);
	if (settings_write(file, b->environment.section, entries, n, err) < 0 ||
		file_read(file, CONFIG_BYTES, &after, err) < 0)
		return -1;
	if (before.len == after.len && (after.len == 0 || memcmp(before.ptr, after.ptr, after.len) == 0)) {
		talk_step("config", "%s says so already", file);
		return 0;
	}
	talk_step("config", "written to %s%s%s%s", file, b->environment.section ? ", section [" : "",
		b->environment.section ? b->environment.section : "", b->environment.section ? "]" : "");
	/* The daemon reads it at its start. */
	if (scratch_stop_daemon(&b->scratch, b->options->llama, b->environment.section ? b->environment.name : NULL,
		    b->options->environment, &stopped) < 0)
		talk_more("The daemon that runs doesn't know of it yet: `llama daemon --stop` (%s)", stopped.text);
	return 0;
}

static void tell_end(struct bootstrap *b)
{
	const char *profile = b->environment.section ? arena_printf(&b->arena, "LLAMA_PROFILE=%s ", b->environment.name)
						     : "";
	talk_step("ready", "`%sllama build make` compiles in the cloud", profile);
	if (!b->options->join && b->state.policy)
		talk_more("Whoever has the policy %s joins by `llama bootstrap --join%s%s --region %s`.",
			b->state.policy, b->environment.section ? " --name " : "",
			b->environment.section ? b->environment.name : "", b->session.config.region);
}

static int use(struct bootstrap *b, struct error *err)
{
	if (smoke(b, err) < 0 || write_settings(b, err) < 0)
		return -1;
	tell_end(b);
	return 0;
}

static int join(struct bootstrap *b, struct error *err)
{
	if (environment_read_stack(&b->session, &b->environment, &b->arena, &b->state, err) < 0)
		return -1;
	if (!b->state.has_stack)
		return error_set(err, 0,
			"there is no environment \"%s\" in %s of account %s to join: see that --region, --name and the "
			"credentials are right; whoever administers "
			"the account makes one by `llama bootstrap`",
			b->environment.name, b->session.config.region, b->account);
	if (!b->state.bucket)
		return error_set(err, 0,
			"the environment \"%s\" isn't complete (its stack is %s): whoever administers it runs `llama "
			"bootstrap` again",
			b->environment.name, b->state.stack.status);
	/* Who may invoke the function need not be allowed to look at it. */
	if (environment_read_function(&b->session, &b->environment, &b->arena, &b->state, err) < 0) {
		if (err->code != EACCES)
			return -1;
	} else if (!b->state.has_function) {
		return error_set(err, 0,
			"the environment \"%s\" has no function yet: whoever administers it runs `llama bootstrap` again",
			b->environment.name);
	}
	if (b->state.release && strcmp(b->state.release, LLAMA_VERSION) != 0)
		talk_step("release",
			"the function is of llama %s, this is %s: should it not work, whoever administers it runs "
			"`llama bootstrap` with this one",
			b->state.release, LLAMA_VERSION);
	talk_step("stack", "%s, with the bucket %s", b->environment.stack, b->state.bucket);
	return b->options->dry_run ? 0 : use(b, err);
}

static int run(struct bootstrap *b, struct error *err)
{
	bool any;
	if (environment_name(b->options->name, &b->arena, &b->environment, err) < 0 || check_architecture(b, err) < 0 ||
		open_session(b, err) < 0 || scratch_open(&b->session, &b->scratch, err) < 0 || identify(b, err) < 0)
		return -1;
	tell_limits(b);
	if (b->options->join)
		return join(b, err);
	if (build_image(b, err) < 0 || environment_read(&b->session, &b->environment, &b->arena, &b->state, err) < 0)
		return -1;
	tell_plan(b, &any);
	if (b->options->dry_run)
		return 0;
	int outcome = any ? talk_confirm(&b->talk, "Go on?", err) : 0;
	if (outcome != 0)
		return outcome == TALK_NO ? BOOTSTRAP_DECLINED : -1;
	return bring_stack(b, err) < 0 || bring_function(b, err) < 0 || use(b, err) < 0 ? -1 : 0;
}

int bootstrap(const struct bootstrap_options *options, struct error *err)
{
	struct bootstrap b = { .options = options };
	talk_begin(options->yes, &b.session.loop, &b.talk);
	int outcome = run(&b, err);
	scratch_close(&b.scratch);
	aws_session_close(&b.session);
	arena_deinit(&b.arena);
	return outcome;
}
