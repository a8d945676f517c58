/* llama stats */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/command.h"
#include "cli/control.h"
#include "compiler/portable.h"
#include "compiler/reason.h"

enum { STATS_FILE_LIMIT = 16 << 20 };

static const char *stats_file(const struct control *control, struct arena *arena)
{
	return arena_printf(arena, "%s/stats.json", control->config.cache_dir);
}

/* What the last daemon left; an empty object when none ever did. */
static int read_file(const char *path, json_t **ret, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		*ret = json_object();
		return 0;
	}
	if (file_read(path, STATS_FILE_LIMIT, &text, err) < 0)
		return -1;
	json_error_t problem;
	*ret = json_loadb(buf_str(&text), text.len, 0, &problem);
	if (!*ret)
		return error_set(err, 0, "cannot read %s: line %d: %s; `llama stats --reset` begins a new one", path,
			problem.line, problem.text);
	return 0;
}

static void print_row(const char *label, uint64_t n, const char *note)
{
	printf("%-28s %10" PRIu64 "%s%s\n", label, n, *note ? "  " : "", note);
}

struct reason_count {
	const char *name;
	uint64_t n;
};

static int compare_counts(const void *a, const void *b)
{
	const struct reason_count *x = a, *y = b;
	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* What llama-stats(1) says of a key like "link" or "option:-fplugin="; "" for one of another version. */
static const char *explanation(const char *key)
{
	size_t n = strcspn(key, ":");
	for (int code = REASON_NONE + 1; code < REASON_COUNT; code++)
		if (strlen(reason_name(code)) == n && strncmp(reason_name(code), key, n) == 0)
			return reason_text(code);
	return "";
}

static void print_reasons(const json_t *stats)
{
	json_t *reasons = json_object_get(json_object_get(stats, "local"), "reasons");
	size_t n = json_object_size(reasons);
	if (n == 0)
		return;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct reason_count *counts = arena_array(&arena, struct reason_count, n);
	size_t at = 0;
	const char *name;
	json_t *value;
	json_object_foreach(reasons, name, value)
		counts[at++] = (struct reason_count){ name, (uint64_t)json_integer_value(value) };
	qsort(counts, n, sizeof(*counts), compare_counts);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf label = { 0 };
		buf_printf(&label, "  %s", counts[i].name);
		print_row(label.ptr, counts[i].n, explanation(counts[i].name));
	}
}

static void print_megabytes(const char *label, uint64_t bytes)
{
	printf("%-28s %10.1f  MB\n", label, (double)bytes / 1e6);
}

/* What was asked of AWS, and how much of it there was; nothing if nothing was. */
static void print_cloud(const json_t *stats)
{
	_cleanup_buf_ struct buf note = { 0 };
	uint64_t invocations = control_json_number(stats, "lambda.requests"), gets = control_json_number(stats, "s3.gets"),
		 puts = control_json_number(stats, "s3.puts");
	if (invocations + gets + puts == 0)
		return;
	buf_printf(&note, "%" PRIu64 " cold starts, %" PRIu64 " throttled, %" PRIu64 " tried again, %" PRIu64 " failed",
		control_json_number(stats, "lambda.cold_starts"), control_json_number(stats, "lambda.throttles"),
		control_json_number(stats, "lambda.retries"), control_json_number(stats, "lambda.errors"));
	print_row("Lambda requests", invocations, note.ptr);
	printf("%-28s %10.1f  GB-seconds in %.1f s\n", "  billed", (double)control_json_number(stats, "lambda.billed_mb_ms") / (1024 * 1000),
		(double)control_json_number(stats, "lambda.billed_ms") / 1000);
	buf_reset(&note);
	buf_printf(&note, "%" PRIu64 " got, %" PRIu64 " put, by this machine and the functions", gets, puts);
	print_row("S3 requests", gets + puts, note.ptr);
	print_megabytes("sent to AWS", control_json_number(stats, "lambda.bytes_out") + control_json_number(stats, "s3.bytes_out"));
	print_megabytes("received", control_json_number(stats, "lambda.bytes_in") + control_json_number(stats, "s3.bytes_in"));
}

/* Results that are shared for one place only although there is a base_dir. */
static void print_skipped(const json_t *stats)
{
	static const struct {
		const char *key, *text;
	} rows[] = {
#define X(enumerator, name, text) { "share.skipped." #name, text },
		PORTABLE_TABLE(X)
#undef X
	};
	uint64_t all = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		all += control_json_number(stats, rows[i].key);
	if (all == 0)
		return;
	print_row("not for another base_dir", all, "shared between equal paths only; llama explain tells which");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_buf_ struct buf label = { 0 };
		uint64_t n = control_json_number(stats, rows[i].key);
		buf_printf(&label, "  %s", strrchr(rows[i].key, '.') + 1);
		if (n > 0)
			print_row(label.ptr, n, rows[i].text);
	}
}

static void print_table(const json_t *stats, bool running)
{
	uint64_t requests = control_json_number(stats, "requests"), hits = control_json_number(stats, "hits.local");
	uint64_t shared = control_json_number(stats, "hits.shared"),
		 rejected = control_json_number(stats, "share.rejected");
	uint64_t lambda = control_json_number(stats, "executed.lambda");
	uint64_t executed = control_json_number(stats, "executed.sandbox") + lambda +
			    control_json_number(stats, "executed.inplace");
	char share[64] = "";
	if (hits + shared + executed > 0)
		snprintf(share, sizeof(share), "%.1f %% of what was not run locally",
			100.0 * (double)(hits + shared) / (double)(hits + shared + executed));
	print_row("requests", requests, "");
	print_row("hits", hits + shared, share);
	if (shared > 0)
		print_row("  shared", shared, "by way of the bucket");
	if (rejected > 0)
		print_row("rejected from the bucket", rejected, "damaged or forged; the log has more");
	print_skipped(stats);
	print_row("compiled in the sandbox", control_json_number(stats, "executed.sandbox"), "");
	if (lambda > 0)
		print_row("compiled in Lambda", lambda, "");
	print_row("compiled in place", control_json_number(stats, "executed.inplace"), "");
	print_row("run locally", control_json_number(stats, "local.total"), "");
	print_reasons(stats);
	print_row("compile errors", control_json_number(stats, "compile_errors"), "");
	print_row("inputs not foreseen", control_json_number(stats, "scan_miss"), "");
	print_row("inputs told by -M", control_json_number(stats, "scan_fallback"), "");
	print_row("given up by the client", control_json_number(stats, "cancelled"), "");
	uint64_t checked = control_json_number(stats, "verify.checked"),
		 differed = control_json_number(stats, "verify.differed");
	if (checked > 0)
		print_row("verified", checked, "");
	if (differed > 0)
		print_row("verified, and DIFFERENT", differed, "please report this");
	print_cloud(stats);
	if (running) {
		printf("%-28s %10.2f  s of CPU time\n", "daemon",
			(double)control_json_number(stats, "daemon.cpu_ms") / 1000);
		printf("%-28s %10.1f  MB of memory\n", "",
			(double)control_json_number(stats, "daemon.rss_bytes") / 1e6);
	} else {
		printf("(no daemon runs: these are the numbers that the last one left)\n");
	}
}

static int reset(const struct control *control, struct error *err)
{
	_cleanup_buf_ struct buf answer = { 0 };
	int outcome = control_ask(control, "stats", "reset", NULL, 30000, &answer, err);
	if (outcome != CONTROL_NO_DAEMON)
		return outcome;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *path = stats_file(control, &arena);
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return error_set(err, errno, "cannot remove %s", path);
	return 0;
}

static int print(const struct control *control, bool as_json, struct error *err)
{
	json_t *stats;
	int outcome = control_ask_json(control, "stats", NULL, &stats, err);
	bool running = outcome == 0;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	if (outcome == CONTROL_NO_DAEMON)
		outcome = read_file(stats_file(control, &arena), &stats, err);
	if (outcome < 0)
		return -1;
	if (as_json) {
		json_dumpf(stats, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_table(stats, running);
	}
	json_decref(stats);
	return 0;
}

/* The reasons as an mdoc(7) list, for llama-stats(1). */
static void print_manual(void)
{
	printf(".Bl -tag -width Ds\n");
	for (int code = REASON_NONE + 1; code < REASON_COUNT; code++) {
		bool detailed = code == REASON_OPTION || code == REASON_ENVIRONMENT;
		printf(".It Cm %s%s\n%s\n", reason_name(code), detailed ? ": Ns Ar name" : "", reason_text(code));
	}
	printf(".El\n");
}

enum { OPTION_JSON, OPTION_RESET, OPTION_MAN };

static const struct command_option options[] = {
	[OPTION_JSON] = { 0, "json", NULL, "print the numbers under their documented keys" },
	[OPTION_RESET] = { 0, "reset", NULL, "set all to zero" },
	[OPTION_MAN] = { 0, "man", NULL, "print the list of reasons as llama-stats(1) has it, in mdoc" },
	{ 0 },
};

static int command_run(struct command_args *args)
{
	const struct command *command = args->command;
	bool as_json = false, resets = false, manual = false;
	for (int option; (option = command_next_option(args)) >= 0;) {
		as_json |= option == OPTION_JSON;
		resets |= option == OPTION_RESET;
		manual |= option == OPTION_MAN;
	}
	command_no_operands(args);
	if (as_json && resets)
		command_misuse(command, "--json and --reset exclude each other.");
	if (manual) {
		print_manual();
		return command_finish_output(command, COMMAND_OK);
	}

	struct error err;
	_cleanup_control_ struct control control;
	if (control_init(&control, &err) < 0)
		return command_fail(command, &err);
	if ((resets ? reset(&control, &err) : print(&control, as_json, &err)) < 0)
		return command_fail(command, &err);
	return command_finish_output(command, COMMAND_OK);
}

const struct command command_stats = {
	.name = "stats",
	.operands = "",
	.summary = "what was compiled where, and why some of it locally",
	.help = "Show what became of the compiler commands since the cache began, or since the last --reset.",
	.options = options,
	.run = command_run,
};
