#include "files/listing.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/buf.h"
#include "base/cleanup.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

enum { ZFS_SUPER_MAGIC = 0x2fc12fc1, BCACHEFS_SUPER_MAGIC = 0xca451a4e };

void listing_deinit(struct listing *listing)
{
	map_deinit(&listing->names);
	arena_deinit(&listing->memory);
	listing->trusted = false;
}

/* proc, sysfs, autofs, FUSE and network file systems may show and hide names without touching the directory. */
static bool file_system_stamps_directories(int fd)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return false;
	switch ((uint32_t)fs.f_type) {
	case EXT4_SUPER_MAGIC: /* ext2 and ext3 too */
	case BTRFS_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case SQUASHFS_MAGIC:
	case ZFS_SUPER_MAGIC:
	case BCACHEFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/* Whether the directory also answers to a listed name whose case was changed, as ext4 and tmpfs may per directory, XFS
 * per file system. Directories without a letter in any name pass: they have no other case to be found under. */
static bool folds_case(int fd, const struct listing *listing)
{
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&listing->names, &at));) {
		char name[256];
		size_t length = e->key.len;
		if (length >= sizeof(name))
			continue;
		memcpy(name, e->key.ptr, length);
		name[length] = '\0';
		bool letters = false;
		for (char *p = name; *p; p++) {
			if (isascii(*p) && isalpha((unsigned char)*p)) {
				*p ^= 'a' ^ 'A';
				letters = true;
			}
		}
		if (!letters || listing_has(listing, slice_of(name, length)))
			continue;
		struct stat st;
		return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	}
	return false;
}

static char type_of(int fd, const struct dirent *d)
{
	int type = d->d_type;
	if (type == DT_UNKNOWN) {
		struct stat st;
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			type = IFTODT(st.st_mode);
	}
	switch (type) {
	case DT_REG:
		return VIEW_NAME_FILE;
	case DT_DIR:
		return VIEW_NAME_DIRECTORY;
	case DT_LNK:
		return VIEW_NAME_LINK;
	default:
		return VIEW_NAME_SPECIAL;
	}
}

static int read_names(DIR *dir, struct listing *listing)
{
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (!d)
			return errno ? -1 : 0;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (listing->names.n == LISTING_LIMIT)
			return LISTING_TOO_LONG;
		size_t length = strlen(d->d_name);
		char *typed = arena_alloc(&listing->memory, length + 2);
		typed[0] = type_of(dirfd(dir), d);
		memcpy(typed + 1, d->d_name, length + 1);
		map_put(&listing->names, slice_of(typed + 1, length), typed + 1);
	}
}

int listing_read(int fd, struct listing *listing)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	int r = read_names(dir, listing);
	if (r != 0) {
		int saved = errno;
		listing_deinit(listing);
		errno = saved;
		return r;
	}
	/* Without search permission even an absent name is answered EACCES. */
	listing->trusted = file_system_stamps_directories(fd) && faccessat(fd, ".", X_OK, AT_EACCESS) == 0 &&
			   !folds_case(fd, listing);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct view_name *)a)->name, ((const struct view_name *)b)->name);
}

struct view_name *listing_sorted(const struct listing *listing, struct arena *arena)
{
	struct view_name *v = arena_array(arena, struct view_name, listing->names.n), *next = v;
	size_t at = 0;
	for (const struct map_entry *e; (e = map_next(&listing->names, &at)); next++)
		*next = (struct view_name){ e->value, (enum view_name_type)e->key.ptr[-1] };
	if (listing->names.n)
		qsort(v, listing->names.n, sizeof(*v), compare_names);
	return v;
}

struct digest listing_digest(const struct listing *listing)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf text = { 0 };
	const struct view_name *names = listing_sorted(listing, &arena);
	for (size_t i = 0; i < listing->names.n; i++) {
		buf_append_char(&text, (char)names[i].type);
		buf_append_char(&text, ' ');
		buf_append(&text, names[i].name, strlen(names[i].name) + 1);
	}
	return digest_of(buf_slice(&text));
}
