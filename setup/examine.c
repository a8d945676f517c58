#include "setup/examine.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cache/cache.h"
#include "wire/endpoint.h"

enum {
	SPACE_LEAST_MB = 64, /* what one compilation may need */
	SPACE_LITTLE_MB = 1024,
	FILES_FEW = 1024,
	PROCESSES_FEW = 512,
};

const char *const examine_words[] = {
	[EXAMINE_OK] = "ok",
	[EXAMINE_WARNING] = "warning",
	[EXAMINE_FAILED] = "failed",
	[EXAMINE_SKIPPED] = "skipped",
};

void examine_tell(struct examiner *examiner, const char *name, enum examine_verdict verdict, const char *remedy,
	const char *format, ...)
{
	_cleanup_buf_ struct buf fact = { 0 };
	va_list args;
	va_start(args, format);
	buf_vprintf(&fact, format, args);
	va_end(args);
	examiner->n[verdict]++;
	examiner->fn(examiner->ctx, &(struct examine_finding){ examiner->area, name, verdict, buf_str(&fact), remedy });
}

/* ---- configuration ---- */

static void examine_names(struct examiner *examiner, const struct config *config, char *const *environment)
{
	unsigned before = examiner->n[EXAMINE_WARNING];
	for (const struct config_unknown *unknown = config->unknown; unknown; unknown = unknown->next)
		examine_tell(examiner, "names", EXAMINE_WARNING,
			"correct it, or take the line out; llama-config(5) lists the options",
			"%s:%u: there is no option %s", config->file, unknown->line, unknown->name);
	for (; *environment; environment++) {
		struct slice name = slice_of(*environment, strcspn(*environment, "="));
		if (config_is_unknown_variable(name))
			examine_tell(examiner, "names", EXAMINE_WARNING,
				"correct or unset it; llamacc(1) and llama-config(5) list them",
				"there is no environment variable %.*s", (int)name.len, name.ptr);
	}
	if (examiner->n[EXAMINE_WARNING] == before)
		examine_tell(examiner, "names", EXAMINE_OK, NULL, "every option and variable is known");
}

/* What says no where it is set to anything but 0. */
static bool is_switched_on(char *const *environment, const char *name)
{
	const char *value = config_environment_get(environment, name);
	return value && *value && strcmp(value, "0") != 0;
}

static void examine_engine(struct examiner *examiner, const struct config *config, char *const *environment)
{
	const char *word = config_engine_words[config->engine];
	const char *other = config_environment_get(environment, "LLAMACC_ENGINE");
	if (is_switched_on(environment, "LLAMACC_LOCAL"))
		examine_tell(examiner, "engine", EXAMINE_FAILED, "unset LLAMACC_LOCAL",
			"LLAMACC_LOCAL is set: every compilation is run as a plain command");
	else if (other && *other && strcmp(other, word) != 0)
		examine_tell(examiner, "engine", EXAMINE_FAILED, "unset LLAMACC_ENGINE",
			"engine = %s is configured, but LLAMACC_ENGINE says %s", word, other);
	else if (config->engine == CONFIG_ENGINE_LAMBDA && (!config->function || !config->bucket))
		examine_tell(examiner, "engine", EXAMINE_FAILED,
			"`llama bootstrap` sets up a cloud and writes down where it is; `llama bootstrap --join` uses "
			"somebody's",
			"engine = lambda, but %s configured",
			!config->function && !config->bucket ? "neither function nor bucket are"
			: !config->function		     ? "no function is"
							     : "no bucket is");
	else
		examine_tell(examiner, "engine", EXAMINE_OK, NULL, "%s", word);
	if (config->share != CONFIG_SHARE_OFF && !config->bucket)
		examine_tell(examiner, "share", EXAMINE_WARNING, "set bucket, or take share out",
			"results are to be shared, but no bucket is configured");
	if (config->cache != CONFIG_CACHE_READWRITE)
		examine_tell(examiner, "cache", EXAMINE_WARNING, "set cache = readwrite",
			"cache = %s: what is compiled is not kept",
			config->cache == CONFIG_CACHE_OFF ? "off" : "readonly");
	if (config->base_dir && access(config->base_dir, F_OK) < 0)
		examine_tell(examiner, "base_dir", EXAMINE_WARNING, "name the directory that others have elsewhere",
			"base_dir %s: %s", config->base_dir, strerror(errno));
}

static void examine_knobs(struct examiner *examiner, const struct config *config)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		if (strncmp(config_options[i].name, "dev_", 4) != 0 ||
			(!config->origins[i].variable && !config->origins[i].line))
			continue;
		_cleanup_buf_ struct buf origin = { 0 };
		config_format_origin(config, i, &origin);
		bool wrong = config_options[i].offset == offsetof(struct config, dev_replay);
		examine_tell(examiner, config_options[i].name, wrong ? EXAMINE_FAILED : EXAMINE_WARNING, "take it out",
			"%s: it is for tests%s", origin.ptr, wrong ? ", and gives wrong objects" : "");
	}
}

void examine_configuration(struct examiner *examiner, const struct config *config, char *const *environment)
{
	examiner->area = "configuration";
	examine_tell(examiner, "file", EXAMINE_OK, NULL, "%s%s%s%s",
		config->file ? config->file : "none, as HOME is not set",
		config->file && !config->file_found ? " (not there: every option has its default)" : "",
		config->profile_name ? ", profile " : "", config->profile_name ? config->profile_name : "");
	examine_names(examiner, config, environment);
	examine_engine(examiner, config, environment);
	examine_knobs(examiner, config);
}

/* ---- machine ---- */

static void examine_space(struct examiner *examiner, const struct config *config)
{
	struct statvfs fs;
	if (statvfs(config->cache_dir, &fs) < 0) {
		examine_tell(examiner, "space", EXAMINE_SKIPPED, NULL, "%s: %s", config->cache_dir, strerror(errno));
		return;
	}
	uint64_t free_mb = fs.f_bavail * fs.f_frsize >> 20;
	enum examine_verdict verdict = free_mb < SPACE_LEAST_MB || (fs.f_files && !fs.f_favail) ? EXAMINE_FAILED
				       : free_mb < SPACE_LITTLE_MB				? EXAMINE_WARNING
												: EXAMINE_OK;
	examine_tell(examiner, "space", verdict,
		verdict == EXAMINE_OK ? NULL
				      : "make room on that file system (`llama cache --clear` gives up what is "
					"stored), or set cache_dir to another",
		"%" PRIu64 " MB%s free for %s", free_mb, fs.f_files && !fs.f_favail ? ", but no inode, are" : "",
		config->cache_dir);
}

static void examine_cache(struct examiner *examiner, const struct config *config)
{
	static const char remedy[] = "set cache_dir (LLAMA_CACHE_DIR) to a directory of your own on a local disk";
	struct error err;
	if (file_make_dirs(config->cache_dir, 0700, &err) < 0 || file_check_own_dir(config->cache_dir, &err) < 0 ||
		cache_check_directory(config->cache_dir, &err) < 0) {
		examine_tell(examiner, "cache", EXAMINE_FAILED, remedy, "%s", err.text);
		return;
	}
	if (access(config->cache_dir, W_OK | X_OK) < 0) {
		examine_tell(examiner, "cache", EXAMINE_FAILED, remedy, "cannot write to %s: %s", config->cache_dir,
			strerror(errno));
		return;
	}
	examine_tell(examiner, "cache", EXAMINE_OK, NULL, "%s", config->cache_dir);
	examine_space(examiner, config);
}

static void examine_runtime(struct examiner *examiner, const struct endpoint *endpoint)
{
	struct error err;
	if (endpoint_make_directory(endpoint, &err) < 0)
		examine_tell(examiner, "runtime", EXAMINE_FAILED,
			"set LLAMA_RUNTIME_DIR to a directory of your own, for llamacc too", "%s", err.text);
	else
		examine_tell(examiner, "runtime", EXAMINE_OK, NULL, "%s", endpoint->directory);
}

static void examine_limit(
	struct examiner *examiner, const char *name, int resource, const char *what, uint64_t few, const char *remedy)
{
	struct rlimit limit;
	if (getrlimit(resource, &limit) < 0) {
		examine_tell(examiner, name, EXAMINE_SKIPPED, NULL, "%s", strerror(errno));
	} else if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= few) {
		char number[24] = "as many as wanted";
		if (limit.rlim_max != RLIM_INFINITY)
			snprintf(number, sizeof(number), "%llu", (unsigned long long)limit.rlim_max);
		examine_tell(examiner, name, EXAMINE_OK, NULL, "%s %s", number, what);
	} else {
		examine_tell(examiner, name, EXAMINE_WARNING, remedy,
			"at most %llu %s; a build with hundreds of jobs needs more", (unsigned long long)limit.rlim_max,
			what);
	}
}

void examine_machine(struct examiner *examiner, const struct config *config, const struct endpoint *endpoint)
{
	examiner->area = "machine";
	examine_runtime(examiner, endpoint);
	examine_cache(examiner, config);
	examine_limit(examiner, "open files", RLIMIT_NOFILE, "at once", FILES_FEW,
		"raise the hard limit: `ulimit -Hn`, nofile in /etc/security/limits.conf");
	examine_limit(examiner, "processes", RLIMIT_NPROC, "at once", PROCESSES_FEW,
		"raise the limit: `ulimit -u`, nproc in /etc/security/limits.conf");
}
