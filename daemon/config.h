/* The configuration. One table of options (config_options) parses the file and the environment, prints `llama config`,
 * and writes the list in the manual page llama-config(5): an option exists everywhere or nowhere.
 *
 * Precedence: an environment variable, then the file's section [profile.NAME] if LLAMA_PROFILE is NAME, then the rest of the
 * file, then the default. An unknown key in the file is no error, so that one file serves several versions: it is kept for
 * `llama config` to report. A bad value is an error everywhere, also in the section of a profile that wasn't chosen.
 *
 * A daemon serves one profile (wire/endpoint.h), and two daemons can't have one cache directory: that of a profile is
 * `profiles/NAME` below what cache_dir says, unless the profile's own section says it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum config_cache { CONFIG_CACHE_READWRITE, CONFIG_CACHE_READONLY, CONFIG_CACHE_OFF };
enum config_sandbox { CONFIG_SANDBOX_AUTO, CONFIG_SANDBOX_NAMESPACES, CONFIG_SANDBOX_INPLACE };
enum config_engine { CONFIG_ENGINE_SANDBOX, CONFIG_ENGINE_LAMBDA, CONFIG_ENGINE_LOCAL };

extern const char *const config_engine_words[]; /* in the order of the enum; NULL-terminated */

enum config_share { CONFIG_SHARE_OFF, CONFIG_SHARE_READ, CONFIG_SHARE_WRITE };

enum config_type {
	CONFIG_COUNT,	 /* unsigned */
	CONFIG_SIZE,	 /* uint64_t bytes: 10G */
	CONFIG_DURATION, /* int64_t milliseconds: 15m */
	CONFIG_CHOICE,	 /* int, an index of `words` */
	CONFIG_PATH,	 /* const char *: absolute, or ~/…; NULL = unset */
	CONFIG_NAME,	 /* const char *: of something of AWS's; NULL = unset */
};

struct config_option {
	const char *name;
	enum config_type type;
	size_t offset;		  /* of the field in struct config */
	const char *fallback;	  /* the default as one would write it, or NULL: computed (see fallback_text) */
	const char *environment;  /* LLAMA_<NAME> */
	const char *alias;	  /* a second environment variable, or NULL; `environment` wins */
	const char *const *words; /* CONFIG_CHOICE: NULL-terminated, in the order of the enum */
	uint64_t minimum, maximum;
	bool environment_only;	   /* llamacc needs it too, and reads no file */
	const char *fallback_text; /* what the manual says when `fallback` is NULL */
	const char *help;	   /* whole sentences for the manual */
};

enum { CONFIG_OPTIONS = 23 };
extern const struct config_option config_options[CONFIG_OPTIONS];

/* Where a value comes from. */
struct config_origin {
	const char *variable; /* name of the environment variable, or NULL */
	unsigned line;	      /* in the file, or 0: with `variable` NULL too, it is the default */
	bool in_profile;      /* the line is in the profile's section */
};

struct config_profile {
	const char *name;
	struct config_profile *next;
};

struct config_unknown {
	const char *name; /* "section.key", or "key" */
	unsigned line;
	struct config_unknown *next;
};

/* All strings live as long as the configuration. */
struct config {
	unsigned jobs;
	uint64_t cache_size_bytes;
	enum config_cache cache;
	enum config_sandbox sandbox;
	enum config_engine engine;
	enum config_share share;
	const char *base_dir;	 /* NULL: results are shared between equal paths only */
	const char *region, *bucket, *function, *profile; /* engine = lambda */
	unsigned concurrency;	 /* functions that may run at once; 0: not known */
	unsigned verify;	 /* one in so many results is checked; 0 = none */
	int64_t idle_timeout_ms; /* 0 = never leave */
	const char *log;	 /* NULL = no log */
	const char *cache_dir;
	unsigned dev_sabotage;   /* per mille of predicted inputs left out; see the option */
	unsigned dev_racy_ms;    /* see the option */
	const char *dev_record;  /* NULL: results of the sandbox are not recorded */
	const char *dev_replay;  /* NULL: compilers run; see the option */
	unsigned dev_replay_width, dev_replay_latency_ms;
	const char *runtime_dir; /* NULL = endpoint_init's own default */

	const char *file; /* the path that was looked for */
	bool file_found;
	const char *profile_name;	 /* LLAMA_PROFILE (`profile` is AWS's), or NULL */
	struct config_profile *profiles; /* all that the file has, in its order */
	struct config_origin origins[CONFIG_OPTIONS];
	struct config_unknown *unknown; /* in the order of the file */
	struct arena arena;
};

/* Read `path`, or with NULL the file that LLAMA_CONFIG, XDG_CONFIG_HOME and HOME lead to; a file that is absent means
 * defaults. `environment` is like environ. -1: a value is bad, the file unreadable, or the profile not in it; the text names
 * file and line or the variable, the value, and what is allowed. `ret` is set in either case and wants config_deinit. */
int config_load(const char *path, char *const *environment, struct config *ret, struct error *err);
void config_deinit(struct config *config); /* NULL is allowed */

/* The value of option `i`, written so that it would be read back the same; nothing for an unset path. */
void config_format(const struct config *config, size_t i, struct buf *to);

/* "default", "environment LLAMA_JOBS" or "/home/me/.config/llama/config.ini:3", with " [profile.NAME]" if it is from there. */
void config_format_origin(const struct config *config, size_t i, struct buf *to);

/* What option `i` accepts, as words for people: "a size such as 500M or 10G". */
void config_format_allowed(size_t i, struct buf *to);

/* The list of options as an mdoc(7) list, for llama-config(5). */
void config_format_manual(struct buf *to);

/* Whether a variable of the environment is called as ours are (LLAMA_…, LLAMACC_…) and is none. */
bool config_is_unknown_variable(struct slice name);

/* The value of `name` in an environ-like vector, or NULL; borrowed. */
const char *config_environment_get(char *const *environment, const char *name);

#define _cleanup_config_ __attribute__((cleanup(config_deinit)))
