#include "daemon/journal.h"

#include "base/buf.h"
#include "base/clock.h"
#include "daemon/misses.h"

static void put(struct buf *line, const char *key, const char *value)
{
	buf_printf(line, " %s=", key);
	for (const unsigned char *p = (const unsigned char *)(value ? value : ""); *p; p++) {
		if (*p <= ' ' || *p == '%' || *p == '=' || *p >= 0x7f)
			buf_printf(line, "%%%02x", *p);
		else
			buf_append_char(line, (char)*p);
	}
}

static void put_miss(struct buf *line, const struct cache_why *why)
{
	_cleanup_buf_ struct buf text = { 0 };
	buf_printf(&text, "%s%s%s", misses_name(why), *why->path ? ":" : "", why->path);
	put(line, "miss", buf_str(&text));
}

static void begin(struct buf *line)
{
	int64_t now = clock_realtime_ns();
	buf_printf(line, "time=%lld.%03lld", (long long)(now / 1000000000), (long long)(now / 1000000 % 1000));
}

static void finish(FILE *file, struct buf *line)
{
	buf_append_char(line, '\n');
	/* One write per line; a full disk loses lines, not builds. */
	if (fwrite(line->ptr, 1, line->len, file) == line->len)
		fflush(file);
}

void journal_begin(struct journal_entry *entry)
{
	*entry = (struct journal_entry){ .started_ns = clock_monotonic_ns(), .decision = "cancelled" };
}

void journal_write(FILE *file, const struct journal_entry *entry, const struct plan *plan, const struct reason *reason)
{
	if (!file)
		return;
	_cleanup_buf_ struct buf line = { 0 }, why = { 0 };
	begin(&line);
	put(&line, "decision", entry->decision);
	if (reason->code != REASON_NONE)
		reason_format(reason, &why);
	put(&line, "reason", buf_str(&why));
	if (reason->detail)
		put(&line, "detail", reason->detail);
	if (entry->miss)
		put_miss(&line, entry->miss);
	if (entry->unkept)
		put(&line, "unkept", entry->unkept);
	put(&line, "cwd", plan->frame->cwd);
	put(&line, "compiler", plan->frame->compiler);
	put(&line, "input", plan->command.input);
	put(&line, "output", plan->n_outputs ? plan->outputs[0].path : NULL);
	buf_printf(&line, " wall_us=%lld scan_us=%lld engine_us=%lld",
		(long long)((clock_monotonic_ns() - entry->started_ns) / 1000), (long long)entry->scan_us,
		(long long)entry->engine_us);
	finish(file, &line);
}

void journal_note(FILE *file, const char *subject, const char *text)
{
	if (!file)
		return;
	_cleanup_buf_ struct buf line = { 0 };
	begin(&line);
	put(&line, "note", subject);
	put(&line, "text", text);
	finish(file, &line);
}
