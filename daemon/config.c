#include "daemon/config.h"

#include <assert.h>
#include <ctype.h>
#include <ini.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char *const cache_words[] = {
	[CONFIG_CACHE_READWRITE] = "readwrite",
	[CONFIG_CACHE_READONLY] = "readonly",
	[CONFIG_CACHE_OFF] = "off",
	NULL,
};
static const char *const sandbox_words[] = {
	[CONFIG_SANDBOX_AUTO] = "auto",
	[CONFIG_SANDBOX_NAMESPACES] = "namespaces",
	[CONFIG_SANDBOX_INPLACE] = "inplace",
	NULL,
};
static const char *const share_words[] = {
	[CONFIG_SHARE_OFF] = "off",
	[CONFIG_SHARE_READ] = "read",
	[CONFIG_SHARE_WRITE] = "write",
	NULL,
};
const char *const config_engine_words[] = {
	[CONFIG_ENGINE_SANDBOX] = "sandbox",
	[CONFIG_ENGINE_LAMBDA] = "lambda",
	[CONFIG_ENGINE_LOCAL] = "local",
	NULL,
};

#define FIELD(field) offsetof(struct config, field)

const struct config_option config_options[CONFIG_OPTIONS] = {
	{ .name = "jobs",
		.type = CONFIG_COUNT,
		.offset = FIELD(jobs),
		.environment = "LLAMA_JOBS",
		.minimum = 1,
		.maximum = 4096,
		.fallback_text = "the number of usable processors",
		.help = "How many compilers and linkers run on this machine at once, in the sandbox and beside it "
			"together." },
	{ .name = "cache",
		.type = CONFIG_CHOICE,
		.offset = FIELD(cache),
		.environment = "LLAMA_CACHE",
		.fallback = "readwrite",
		.words = cache_words,
		.help = "Whether results are looked up and kept, only looked up, or neither." },
	{ .name = "cache_size",
		.type = CONFIG_SIZE,
		.offset = FIELD(cache_size_bytes),
		.environment = "LLAMA_CACHE_SIZE",
		.fallback = "10G",
		.minimum = 1 << 20,
		.maximum = UINT64_C(1) << 50,
		.help = "How large the stored results may grow. The least recently used ones leave first." },
	{ .name = "cache_dir",
		.type = CONFIG_PATH,
		.offset = FIELD(cache_dir),
		.environment = "LLAMA_CACHE_DIR",
		.fallback_text = "$XDG_CACHE_HOME/llama, else ~/.cache/llama",
		.help = "Where results, the index and the sandbox's trees are kept. Not on a network file system." },
	{ .name = "sandbox",
		.type = CONFIG_CHOICE,
		.offset = FIELD(sandbox),
		.environment = "LLAMA_SANDBOX",
		.alias = "LLAMACC_SANDBOX",
		.fallback = "auto",
		.words = sandbox_words,
		.help = "Whether the sandbox engine runs compilers in namespaces with a private root, or in place. "
			"With auto it tries namespaces at its start and runs in place where they are forbidden." },
	{ .name = "engine",
		.type = CONFIG_CHOICE,
		.offset = FIELD(engine),
		.environment = "LLAMA_ENGINE",
		.fallback = "sandbox",
		.words = config_engine_words,
		.help = "Where compilations run: on the embedded sandbox engine, in AWS Lambda functions, or all as plain local "
			"commands." },
	{ .name = "region",
		.type = CONFIG_NAME,
		.offset = FIELD(region),
		.environment = "LLAMA_REGION",
		.fallback_text = "as for AWS's own tools: AWS_REGION, AWS_DEFAULT_REGION, the profile's",
		.help = "The AWS region of the function and the bucket." },
	{ .name = "function",
		.type = CONFIG_NAME,
		.offset = FIELD(function),
		.environment = "LLAMA_FUNCTION",
		.fallback_text = "none",
		.help = "The Lambda function that compiles, by its name or ARN. Needed for engine = lambda." },
	{ .name = "concurrency",
		.type = CONFIG_COUNT,
		.offset = FIELD(concurrency),
		.environment = "LLAMA_CONCURRENCY",
		.fallback = "0",
		.minimum = 0,
		.maximum = 100000,
		.help = "How many functions the account may run at once in this region: never are more asked for. With 0 it isn't "
			"known, and as many as most accounts have, 1000, are the limit. What there really is of it is found out." },
	{ .name = "bucket",
		.type = CONFIG_NAME,
		.offset = FIELD(bucket),
		.environment = "LLAMA_BUCKET",
		.fallback_text = "none",
		.help = "The S3 bucket that function and daemon share. Needed for engine = lambda." },
	{ .name = "share",
		.type = CONFIG_CHOICE,
		.offset = FIELD(share),
		.environment = "LLAMA_SHARE",
		.fallback = "off",
		.words = share_words,
		.help = "Whether results are shared by way of the bucket: with read, what others have compiled is found there; "
			"with write, what is compiled here is put there, too. Looked up after the local cache." },
	{ .name = "base_dir",
		.type = CONFIG_PATH,
		.offset = FIELD(base_dir),
		.environment = "LLAMA_BASE_DIR",
		.fallback_text = "results are shared between equal paths only",
		.help = "A directory that other machines have elsewhere, the checkout or what it is in: results of files below it "
			"are shared with whoever names their own place of it here, dependency files with the names of that place. "
			"Not where an output has the path or can't be searched for it (-g without -ffile-prefix-map, __FILE__, "
			"LTO; llama stats counts them by reason). What compilers work out of the path and leave nothing of, such as "
			"a hash of __FILE__, isn't noticed: with absolute names of sources, set this only where nothing does that. "
			"Symlinks in it are resolved; in its path may be letters, digits and ._+-@." },
	{ .name = "profile",
		.type = CONFIG_NAME,
		.offset = FIELD(profile),
		.environment = "LLAMA_AWS_PROFILE",
		.fallback_text = "as for AWS's own tools: AWS_PROFILE, else the credentials of the environment, else default",
		.help = "The profile of AWS's configuration files whose credentials and region are used." },
	{ .name = "verify",
		.type = CONFIG_COUNT,
		.offset = FIELD(verify),
		.environment = "LLAMA_VERIFY",
		.fallback = "0",
		.minimum = 0,
		.maximum = 1000000,
		.help = "One in so many results, executed or found, is also compiled locally and compared; 0 checks "
			"none. A difference is "
			"counted, the local object delivered and the result dropped." },
	{ .name = "dev_sabotage",
		.type = CONFIG_COUNT,
		.offset = FIELD(dev_sabotage),
		.environment = "LLAMA_DEV_SABOTAGE",
		.fallback = "0",
		.minimum = 0,
		.maximum = 1000,
		.help = "For tests: so many per mille of a job's predicted inputs, toolchain included, are left out of its "
			"input root, to prove that a wrong prediction costs time and nothing else." },
	{ .name = "dev_racy_ms",
		.type = CONFIG_COUNT,
		.offset = FIELD(dev_racy_ms),
		.environment = "LLAMA_DEV_RACY_MS",
		.fallback = "2000",
		.minimum = 0,
		.maximum = 3600000,
		.help = "For tests: how recently a file or directory must have changed for what was read of it not to be "
			"kept. Below the grain of the file system's clock, objects may be wrong." },
	{ .name = "dev_record",
		.type = CONFIG_PATH,
		.offset = FIELD(dev_record),
		.environment = "LLAMA_DEV_RECORD",
		.fallback_text = "nothing is recorded",
		.help = "For tests: a directory that keeps what the sandbox's jobs gave, for dev_replay." },
	{ .name = "dev_replay",
		.type = CONFIG_PATH,
		.offset = FIELD(dev_replay),
		.environment = "LLAMA_DEV_REPLAY",
		.fallback_text = "compilers run",
		.help = "For tests: a directory of recorded results, which answer in place of the sandbox without running a "
			"compiler. A job that was not recorded gets the result of another of similar size: the objects "
			"are wrong, and what everything but the compiler costs can be measured." },
	{ .name = "dev_replay_latency_ms",
		.type = CONFIG_COUNT,
		.offset = FIELD(dev_replay_latency_ms),
		.environment = "LLAMA_DEV_REPLAY_LATENCY_MS",
		.fallback = "0",
		.minimum = 0,
		.maximum = 3600000,
		.help = "For tests: how long each replayed job takes." },
	{ .name = "dev_replay_width",
		.type = CONFIG_COUNT,
		.offset = FIELD(dev_replay_width),
		.environment = "LLAMA_DEV_REPLAY_WIDTH",
		.fallback = "1000",
		.minimum = 1,
		.maximum = 1000000,
		.help = "For tests: how many jobs are replayed at once, however many processors there are." },
	{ .name = "idle_timeout",
		.type = CONFIG_DURATION,
		.offset = FIELD(idle_timeout_ms),
		.environment = "LLAMA_IDLE_TIMEOUT",
		.fallback = "30m",
		.minimum = 0,
		.maximum = UINT64_C(366) * 86400 * 1000,
		.help = "The daemon leaves when nothing was asked of it for so long; 0 keeps it." },
	{ .name = "log",
		.type = CONFIG_PATH,
		.offset = FIELD(log),
		.environment = "LLAMA_LOG",
		.fallback_text = "no log",
		.help = "A file that gets a line per request: the decision, the reason, the times." },
	{ .name = "runtime_dir",
		.type = CONFIG_PATH,
		.offset = FIELD(runtime_dir),
		.environment = "LLAMA_RUNTIME_DIR",
		.environment_only = true,
		.fallback_text = "$XDG_RUNTIME_DIR/llama, else /tmp/llama-UID",
		.help = "Where the daemon's socket is. Only from the environment: llamacc looks there too, and reads "
			"no file." },
};

static int find_option(const char *name)
{
	for (int i = 0; i < CONFIG_OPTIONS; i++)
		if (strcmp(config_options[i].name, name) == 0)
			return i;
	return -1;
}

const char *config_environment_get(char *const *environment, const char *name)
{
	size_t n = strlen(name);
	for (; *environment; environment++)
		if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
			return *environment + n + 1;
	return NULL;
}

/* llamacc's, as llamacc(1) documents them, and what the configuration itself is found by. */
static const char *const other_variables[] = { "LLAMA_CONFIG", "LLAMA_PROFILE", "LLAMACC_VERBOSE", "LLAMACC_LOCAL", "LLAMACC_ENGINE",
	"LLAMACC_REMOTE_ASSEMBLE", "LLAMACC_FUNCTION", "LLAMACC_LOCAL_CC", "LLAMACC_LOCAL_CXX", "LLAMACC_LOCAL_FALLBACK", "LLAMACC_BUILD_ID",
	"LLAMACC_FILTER_WARNINGS", "LLAMACC_RECACHE", "LLAMACC_SANDBOX", "LLAMACC_NESTED", NULL };

bool config_is_unknown_variable(struct slice name)
{
	/* LLAMACC_DEV_… is internal, LLAMA_CLOUD_… the test cloud's own (docs/test-cloud.md). */
	if ((!slice_has_prefix(name, "LLAMA_") && !slice_has_prefix(name, "LLAMACC_")) || slice_has_prefix(name, "LLAMACC_DEV_") ||
		slice_has_prefix(name, "LLAMA_CLOUD_"))
		return false;
	for (size_t i = 0; other_variables[i]; i++)
		if (slice_equal_str(name, other_variables[i]))
			return false;
	for (size_t i = 0; i < CONFIG_OPTIONS; i++)
		if (slice_equal_str(name, config_options[i].environment))
			return false;
	return true;
}

/* A set but empty variable counts as unset, as XDG wants it. */
static const char *get_nonempty(char *const *environment, const char *name)
{
	const char *value = config_environment_get(environment, name);
	return value && *value ? value : NULL;
}

/* ---- values ---- */

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = { { "T", UINT64_C(1) << 40 }, { "G", 1 << 30 }, { "M", 1 << 20 },
	{ "K", 1 << 10 }, { "", 1 }, { NULL, 0 } };
static const struct unit duration_units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	{ "ms", 1 }, { NULL, 0 } };
static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *units_of(enum config_type type)
{
	return type == CONFIG_SIZE ? size_units : type == CONFIG_DURATION ? duration_units : count_units;
}

/* Digits and one of the units; a bare 0 needs none. False when it is anything else, or doesn't fit. */
static bool parse_number(const char *text, const struct unit *units, uint64_t *ret)
{
	if (!isdigit((unsigned char)*text))
		return false;
	char *end;
	errno = 0;
	uint64_t number = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	if (number == 0 && *end == '\0') {
		*ret = 0;
		return true;
	}
	for (; units->suffix; units++)
		if (strcmp(end, units->suffix) == 0)
			return !__builtin_mul_overflow(number, units->factor, ret);
	return false;
}

static void format_number(uint64_t number, const struct unit *units, struct buf *to)
{
	if (number == 0) {
		buf_append_char(to, '0');
		return;
	}
	while (number % units->factor != 0)
		units++;
	buf_printf(to, "%" PRIu64 "%s", number / units->factor, units->suffix);
}

static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/";

/* Set the field of option `i` from `text`; false when the option doesn't accept it. */
static bool set_value(struct config *config, int i, const char *text, const char *home)
{
	const struct config_option *option = &config_options[i];
	void *field = (char *)config + option->offset;
	uint64_t number;
	switch (option->type) {
	case CONFIG_COUNT:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
		if (!parse_number(text, units_of(option->type), &number) || number < option->minimum ||
			number > option->maximum)
			return false;
		if (option->type == CONFIG_COUNT)
			*(unsigned *)field = (unsigned)number;
		else if (option->type == CONFIG_SIZE)
			*(uint64_t *)field = number;
		else
			*(int64_t *)field = (int64_t)number;
		return true;
	case CONFIG_CHOICE:
		for (int word = 0; option->words[word]; word++) {
			if (strcmp(option->words[word], text) == 0) {
				*(int *)field = word;
				return true;
			}
		}
		return false;
	case CONFIG_PATH:
		if (text[0] == '~' && text[1] == '/' && home && !option->environment_only)
			*(const char **)field = arena_printf(&config->arena, "%s%s", home, text + 1);
		else if (text[0] == '/')
			*(const char **)field = arena_strdup(&config->arena, text);
		else
			return false;
		return true;
	case CONFIG_NAME:
		if (!*text || text[strspn(text, name_characters)] != '\0')
			return false;
		*(const char **)field = arena_strdup(&config->arena, text);
		return true;
	}
	return false;
}

void config_format_allowed(size_t i, struct buf *to)
{
	const struct config_option *option = &config_options[i];
	switch (option->type) {
	case CONFIG_COUNT:
		buf_printf(to, "a number from %" PRIu64 " to %" PRIu64, option->minimum, option->maximum);
		break;
	case CONFIG_SIZE:
		buf_append_str(to, "a size such as 500M or 10G, at least ");
		format_number(option->minimum, size_units, to);
		break;
	case CONFIG_DURATION:
		buf_append_str(to, "a time such as 90s, 15m or 2h, or 0 for never");
		break;
	case CONFIG_CHOICE:
		for (int word = 0; option->words[word]; word++) {
			if (word > 0)
				buf_append_str(to, option->words[word + 1] ? ", " : " or ");
			buf_append_str(to, option->words[word]);
		}
		break;
	case CONFIG_PATH:
		buf_append_str(to,
			option->environment_only ? "an absolute path" : "an absolute path, or one that begins with ~/");
		break;
	case CONFIG_NAME:
		buf_append_str(to, "a name of letters, digits and any of -_.:/");
		break;
	}
}

void config_format(const struct config *config, size_t i, struct buf *to)
{
	const struct config_option *option = &config_options[i];
	const void *field = (const char *)config + option->offset;
	switch (option->type) {
	case CONFIG_COUNT:
		format_number(*(const unsigned *)field, count_units, to);
		break;
	case CONFIG_SIZE:
		format_number(*(const uint64_t *)field, size_units, to);
		break;
	case CONFIG_DURATION:
		format_number((uint64_t) * (const int64_t *)field, duration_units, to);
		break;
	case CONFIG_CHOICE:
		buf_append_str(to, option->words[*(const int *)field]);
		break;
	case CONFIG_PATH:
	case CONFIG_NAME:
		if (*(const char *const *)field)
			buf_append_str(to, *(const char *const *)field);
		break;
	}
}

void config_format_origin(const struct config *config, size_t i, struct buf *to)
{
	const struct config_origin *origin = &config->origins[i];
	if (origin->variable)
		buf_printf(to, "environment %s", origin->variable);
	else if (origin->line)
		buf_printf(to, "%s:%u", config->file, origin->line);
	else
		buf_append_str(to, "default");
	if (origin->in_profile)
		buf_printf(to, " [profile.%s]", config->profile_name);
	else if (config->profile_name && strcmp(config_options[i].name, "cache_dir") == 0)
		buf_printf(to, ", profiles/%s below it", config->profile_name);
}

static int bad_value(int i, const char *where, const char *text, struct error *err)
{
	_cleanup_buf_ struct buf allowed = { 0 };
	config_format_allowed((size_t)i, &allowed);
	return error_set(
		err, 0, "%s: %s = %s is not valid; it takes %s", where, config_options[i].name, text, allowed.ptr);
}

/* ---- defaults, file, environment ---- */

static unsigned usable_processors(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	/* Fails on machines with more processors than cpu_set_t has bits. */
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

static int set_defaults(struct config *config, char *const *environment, const char *home, struct error *err)
{
	for (int i = 0; i < CONFIG_OPTIONS; i++) {
		const char *fallback = config_options[i].fallback;
		bool valid = !fallback || set_value(config, i, fallback, home);
		assert(valid);
	}
	config->jobs = usable_processors();
	const char *cache_home = get_nonempty(environment, "XDG_CACHE_HOME");
	if (cache_home)
		config->cache_dir = arena_printf(&config->arena, "%s/llama", cache_home);
	else if (home)
		config->cache_dir = arena_printf(&config->arena, "%s/.cache/llama", home);
	else if (!get_nonempty(environment, "LLAMA_CACHE_DIR"))
		return error_set(err, 0, "no place for the cache: set HOME, XDG_CACHE_HOME or LLAMA_CACHE_DIR");
	return 0;
}

static const char profile_prefix[] = "profile.";

struct file_reader {
	struct config *config;
	struct config passed_over; /* takes what doesn't count: values of other profiles, and those that the profile has, too */
	FILE *file;
	const char *home;
	unsigned line;
	bool too_long; /* the line doesn't fit inih's buffer */
	bool failed;
	struct error *err;
};

/* A section without keys is one, too; inih doesn't tell it. */
static void note_profile(struct config *config, const char *line)
{
	size_t n = sizeof(profile_prefix) - 1;
	if (line[0] != '[' || strncmp(line + 1, profile_prefix, n) != 0)
		return;
	const char *name = line + 1 + n;
	size_t length = strcspn(name, "]\n");
	struct config_profile **end = &config->profiles;
	for (; *end; end = &(*end)->next)
		if (strlen((*end)->name) == length && strncmp((*end)->name, name, length) == 0)
			return;
	*end = arena_new(&config->arena, struct config_profile);
	(*end)->name = arena_strndup(&config->arena, name, length);
}

/* inih as distributions build it tells no line numbers, so the lines are counted as it asks for them. Indentation goes:
 * inih would take an indented line for a continuation of the value before. */
static char *read_line(char *text, int size, void *user)
{
	struct file_reader *reader = user;
	if (reader->failed || reader->too_long || !fgets(text, size, reader->file))
		return NULL;
	reader->line++;
	size_t n = strlen(text);
	if (n > 0 && text[n - 1] != '\n' && !feof(reader->file)) {
		reader->too_long = true;
		return NULL;
	}
	size_t indentation = strspn(text, " \t\v\f\r");
	memmove(text, text + indentation, n - indentation + 1);
	note_profile(reader->config, text);
	return text;
}

static int handle_value(void *user, const char *section, const char *name, const char *value)
{
	struct file_reader *reader = user;
	struct config *config = reader->config;
	size_t n = sizeof(profile_prefix) - 1;
	bool is_profile = strncmp(section, profile_prefix, n) == 0;
	bool in_profile = is_profile && config->profile_name && strcmp(section + n, config->profile_name) == 0;
	int i = *section == '\0' || is_profile || strcmp(section, "llama") == 0 ? find_option(name) : -1;
	if (i < 0) {
		struct config_unknown *unknown = arena_new(&config->arena, struct config_unknown);
		unknown->name = arena_printf(&config->arena, "%s%s%s", section, *section ? "." : "", name);
		unknown->line = reader->line;
		struct config_unknown **end = &config->unknown;
		while (*end)
			end = &(*end)->next;
		*end = unknown;
		return 1;
	}
	_cleanup_buf_ struct buf where = { 0 };
	buf_printf(&where, "%s:%u", config->file, reader->line);
	bool counts = is_profile ? in_profile : !config->origins[i].in_profile;
	if (config_options[i].environment_only) {
		error_set(reader->err, 0,
			"%s: %s can't be set in a file, because llamacc reads none; set %s in the environment",
			where.ptr, name, config_options[i].environment);
		reader->failed = true;
	} else if (!set_value(counts ? config : &reader->passed_over, i, value, reader->home)) {
		bad_value(i, where.ptr, value, reader->err);
		reader->failed = true;
	} else if (counts) {
		config->origins[i] = (struct config_origin){ .line = reader->line, .in_profile = in_profile };
	}
	return !reader->failed;
}

static int read_file(struct config *config, const char *home, struct error *err)
{
	_cleanup_fclose_ FILE *file = fopen(config->file, "re");
	if (!file) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return error_set(err, errno, "cannot open the configuration %s", config->file);
	}
	config->file_found = true;
	struct file_reader reader = { .config = config, .passed_over.arena = ARENA_INIT, .file = file, .home = home, .err = err };
	int line = ini_parse_stream(read_line, &reader, handle_value, &reader);
	config_deinit(&reader.passed_over);
	if (reader.failed)
		return -1;
	if (ferror(file))
		return error_set(err, errno, "cannot read the configuration %s", config->file);
	if (reader.too_long)
		return error_set(err, 0, "%s:%u: the line is too long", config->file, reader.line);
	if (line != 0)
		return error_set(err, 0, "%s:%d: neither [section] nor name = value", config->file, line);
	return 0;
}

static int read_environment(struct config *config, char *const *environment, const char *home, struct error *err)
{
	for (int i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *option = &config_options[i];
		const char *variable = option->environment;
		const char *value = get_nonempty(environment, variable);
		if (!value && option->alias) {
			variable = option->alias;
			value = get_nonempty(environment, variable);
		}
		if (!value)
			continue;
		if (!set_value(config, i, value, home)) {
			_cleanup_buf_ struct buf where = { 0 };
			buf_printf(&where, "environment variable %s", variable);
			return bad_value(i, where.ptr, value, err);
		}
		config->origins[i] = (struct config_origin){ .variable = variable };
	}
	return 0;
}

static int check_profile(const struct config *config, struct error *err)
{
	/* It becomes a directory's name, and inih keeps 49 bytes of a section's. */
	enum { NAME_BYTES = 32 };
	const char *characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t n = strlen(config->profile_name);
	if (n > NAME_BYTES || strspn(config->profile_name, characters) != n)
		return error_set(err, EINVAL, "environment variable LLAMA_PROFILE: %s is not a profile's name; it takes up to %d letters, digits and any of -_",
			config->profile_name, NAME_BYTES);
	const struct config_profile *profile = config->profiles;
	while (profile && strcmp(profile->name, config->profile_name) != 0)
		profile = profile->next;
	if (profile)
		return 0;
	_cleanup_buf_ struct buf names = { 0 };
	for (profile = config->profiles; profile; profile = profile->next)
		buf_printf(&names, "%s%s", names.len ? ", " : "", profile->name);
	return error_set(err, ENOENT, "environment variable LLAMA_PROFILE: %s has no section [profile.%s]; its profiles: %s",
		config->file ? config->file : "no file", config->profile_name, names.len ? names.ptr : "none");
}

static void separate_cache(struct config *config)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++)
		if (config_options[i].offset == FIELD(cache_dir) && !config->origins[i].in_profile)
			config->cache_dir = arena_printf(&config->arena, "%s/profiles/%s", config->cache_dir, config->profile_name);
}

static const char *default_file(struct config *config, char *const *environment, const char *home)
{
	const char *path = get_nonempty(environment, "LLAMA_CONFIG");
	if (path)
		return arena_strdup(&config->arena, path);
	const char *config_home = get_nonempty(environment, "XDG_CONFIG_HOME");
	if (config_home)
		return arena_printf(&config->arena, "%s/llama/config.ini", config_home);
	return home ? arena_printf(&config->arena, "%s/.config/llama/config.ini", home) : NULL;
}

int config_load(const char *path, char *const *environment, struct config *ret, struct error *err)
{
	*ret = (struct config){ .arena = ARENA_INIT };
	const char *home = get_nonempty(environment, "HOME");
	ret->file = path ? arena_strdup(&ret->arena, path) : default_file(ret, environment, home);
	const char *profile = get_nonempty(environment, "LLAMA_PROFILE");
	if (profile)
		ret->profile_name = arena_strdup(&ret->arena, profile);
	if (set_defaults(ret, environment, home, err) < 0)
		return -1;
	if (ret->file && read_file(ret, home, err) < 0)
		return -1;
	if (profile && check_profile(ret, err) < 0)
		return -1;
	if (read_environment(ret, environment, home, err) < 0)
		return -1;
	if (profile)
		separate_cache(ret);
	return 0;
}

void config_deinit(struct config *config)
{
	if (!config)
		return;
	arena_deinit(&config->arena);
	*config = (struct config){ .arena = ARENA_INIT };
}

void config_format_manual(struct buf *to)
{
	buf_append_str(to, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *option = &config_options[i];
		buf_printf(to, ".It Cm %s\n%s\n", option->name, option->help);
		buf_append_str(to, "It takes ");
		config_format_allowed(i, to);
		buf_printf(to, ".\nDefault: %s.\nEnvironment:\n.Ev %s",
			option->fallback ? option->fallback : option->fallback_text, option->environment);
		if (option->alias)
			buf_printf(to, " ,\n.Ev %s", option->alias);
		buf_append_str(to, " .\n");
	}
	buf_append_str(to, ".El\n");
}
