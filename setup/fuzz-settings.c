#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"
#include "setup/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static int load(struct slice text, struct config *ret)
{
	int fd = memfd_create("config", 0);
	if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len)
		__builtin_trap();
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	char *const environment[] = { (char *)"HOME=/home/me", NULL };
	struct error err;
	int result = config_load(path, environment, ret, &err);
	close(fd);
	return result;
}

/* The values of all options, but for those that were changed. */
static void print(const struct config *config, struct buf *to)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		if (strcmp(config_options[i].name, "region") != 0 && strcmp(config_options[i].name, "bucket") != 0)
			config_format(config, i, to);
		buf_append_char(to, '\n');
	}
}

static void check(bool holds)
{
	if (!holds)
		__builtin_trap();
}

/* A file that is accepted, is accepted after the change, says what was set, and nothing else has another value. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct settings_entry entries[] = { { "region", "eu-north-1" }, { "bucket", NULL } };
	struct slice text = slice_of(bytes, n);
	struct error err;
	_cleanup_config_ struct config before, after;
	_cleanup_buf_ struct buf edited = { 0 }, rest = { 0 }, values = { 0 }, values_after = { 0 };
	bool was_valid = load(text, &before) == 0;
	settings_edit_remove_section(text, "profile.x", &rest);
	bool written = settings_edit(buf_slice(&rest), NULL, entries, 2, &edited, &err) == 0;
	bool is_valid = load(buf_slice(&edited), &after) == 0;
	if (!was_valid || !written)
		return 0;
	check(is_valid && after.region && strcmp(after.region, "eu-north-1") == 0 && !after.bucket);
	print(&before, &values);
	print(&after, &values_after);
	check(slice_equal(buf_slice(&values), buf_slice(&values_after)));
	return 0;
}
