#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Whatever a file says, it is accepted with every value printable, or refused with words. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	int fd = memfd_create("config", 0);
	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		__builtin_trap();
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	char *const environment[] = { (char *)"HOME=/home/me", NULL };
	struct config config;
	struct error err = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	if (config_load(path, environment, &config, &err) == 0) {
		for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
			config_format(&config, i, &text);
			config_format_origin(&config, i, &text);
		}
	} else if (!err.text[0]) {
		__builtin_trap();
	}
	config_deinit(&config);
	close(fd);
	return 0;
}
