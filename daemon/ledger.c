#include "daemon/ledger.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"

/* A slot holds paths, each with its NUL, and ends with an empty one. The file has holes: a slot takes as much of the disk as its paths do. */
enum { SLOT_BYTES = 32 << 10 };

struct ledger {
	int fd;
	unsigned n;      /* slots so far; they are numbered from 1 */
	unsigned *unused; /* of those; room for `n` */
	unsigned n_unused;
};

static bool is_temporary(const char *path)
{
	static const char prefix[] = ".llama-";
	const char *name = path_basename(path);
	struct stat st;
	return path[0] == '/' && strncmp(name, prefix, strlen(prefix)) == 0 &&
		strspn(name + strlen(prefix), "0123456789abcdef") == 16 && name[strlen(prefix) + 16] == '\0' && lstat(path, &st) == 0 &&
		S_ISREG(st.st_mode);
}

static void remove_listed(int fd)
{
	char *slot = malloc(SLOT_BYTES + 1);
	if (!slot)
		abort();
	ssize_t n;
	for (off_t at = 0; (n = pread(fd, slot, SLOT_BYTES, at)) > 0; at += SLOT_BYTES) {
		slot[n] = '\0';
		for (const char *path = slot; path < slot + n && *path; path += strlen(path) + 1)
			if (is_temporary(path))
				unlink(path);
	}
	free(slot);
}

struct ledger *ledger_open(const char *path, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s", path), NULL;
	remove_listed(fd);
	if (ftruncate(fd, 0) < 0)
		return error_set(err, errno, "cannot empty %s", path), NULL;
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	if (!ledger)
		abort();
	ledger->fd = take_fd(fd);
	return ledger;
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	close(ledger->fd);
	free(ledger->unused);
	free(ledger);
}

static off_t offset_of(unsigned slot)
{
	return (off_t)(slot - 1) * SLOT_BYTES;
}

static unsigned take_slot(struct ledger *ledger)
{
	if (ledger->n_unused > 0)
		return ledger->unused[--ledger->n_unused];
	ledger->unused = realloc(ledger->unused, ++ledger->n * sizeof(*ledger->unused));
	if (!ledger->unused)
		abort();
	return ledger->n;
}

void ledger_put(struct ledger *ledger, unsigned *slot, const char *const *paths, size_t n)
{
	_cleanup_buf_ struct buf text = { 0 };
	for (size_t i = 0; i < n; i++)
		if (text.len + strlen(paths[i]) + 2 <= SLOT_BYTES)
			buf_append(&text, paths[i], strlen(paths[i]) + 1);
	buf_append_char(&text, '\0');
	if (*slot == 0)
		*slot = take_slot(ledger);
	if (pwrite(ledger->fd, text.ptr, text.len, offset_of(*slot)) < 0)
		return; /* see the header */
}

void ledger_drop(struct ledger *ledger, unsigned slot)
{
	if (slot == 0)
		return;
	ledger->unused[ledger->n_unused++] = slot;
	if (pwrite(ledger->fd, "", 1, offset_of(slot)) < 0)
		return; /* what it lists is gone, or is about to be looked for in vain */
}
