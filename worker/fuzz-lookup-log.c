/* Any bytes behind a plausible header: parsed or refused, and what is parsed keeps the contract. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/path.h"
#include "worker/lookup_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf mapping = { 0 };
	buf_append(&mapping, data, size);
	struct trace_header header;
	if (size >= sizeof(header)) {
		/* The size is the one thing that mutation would hardly ever get right. */
		memcpy(&header, data, sizeof(header));
		header.magic = TRACE_MAGIC;
		header.size = (uint32_t)size;
		memcpy(mapping.ptr, &header, sizeof(header));
	}
	const char *outputs[] = { "/out/x.o", NULL };
	struct lookup_log_filter filter = { .outputs = outputs, .private_dir = "/.llama" };
	struct lookup_log log;
	struct error err;
	if (lookup_log_parse(buf_slice(&mapping), &filter, &arena, &log, &err) < 0)
		return 0;
	for (size_t i = 0; i < log.lookups.n; i++) {
		const char *path = log.lookups.v[i].path;
		assert(path[0] == '/' && strcmp(path, path_squeeze(&arena, path)) == 0);
		assert(!path_is_below(path, "/.llama") && strcmp(path, "/out/x.o") != 0);
		assert(i == 0 || lookup_compare(&log.lookups.v[i - 1], &log.lookups.v[i]) < 0);
	}
	for (size_t i = 1; i < log.n_written; i++)
		assert(strcmp(log.written[i - 1], log.written[i]) < 0);
	return 0;
}
