/* cache_check_directory(): which file systems the index may live on. */
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/slice.h"
#include "cache/cache.h"

/* Not in every linux/magic.h. */
enum {
	FS_SMB2 = (int)0xfe534d42,
	FS_CIFS = (int)0xff534d42,
	FS_LUSTRE = 0x0bd00bd0,
	FS_GPFS = 0x47504653,
	FS_GFS2 = 0x01161970,
	FS_CEPH = 0x00c36400,
	FS_FUSE = 0x65735546,
};

static const char *network_name(int type)
{
	switch (type) {
	case NFS_SUPER_MAGIC:
		return "NFS";
	case SMB_SUPER_MAGIC:
	case FS_SMB2:
	case FS_CIFS:
		return "SMB";
	case AFS_SUPER_MAGIC:
	case AFS_FS_MAGIC:
		return "AFS";
	case CODA_SUPER_MAGIC:
		return "Coda";
	case OCFS2_SUPER_MAGIC:
		return "OCFS2";
	case FS_LUSTRE:
		return "Lustre";
	case FS_GPFS:
		return "GPFS";
	case FS_GFS2:
		return "GFS2";
	case FS_CEPH:
		return "Ceph";
	default:
		return NULL;
	}
}

/* The type of a mounted FUSE file system ("fuse.sshfs"), from the line of the mount table for its device; "" when there
 * is none. Behind FUSE are local ones too: fuse-overlayfs is the root of many a container. */
static void fuse_type(const struct stat *st, char *ret, size_t size)
{
	*ret = '\0';
	_cleanup_fclose_ FILE *table = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	while (table && getline(&line, &room, table) > 0) {
		unsigned major_number, minor_number;
		const char *type = strstr(line, " - ");
		if (!type || sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) != 2 ||
			makedev(major_number, minor_number) != st->st_dev)
			continue;
		type += 3;
		snprintf(ret, size, "%.*s", (int)strcspn(type, " \n"), type);
		return;
	}
}

static bool is_remote_fuse(const char *type)
{
	static const char *const remote[] = { "sshfs", "s3fs", "rclone", "glusterfs", "gcsfuse", "goofys", "davfs",
		"ceph", "curlftpfs", "mount-s3", "moosefs", "juicefs", "blobfuse", "seaweedfs" };
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (strstr(type, remote[i]))
			return true;
	return false;
}

int cache_check_directory(const char *dir, struct error *err)
{
	struct statfs fs;
	struct stat st;
	if (statfs(dir, &fs) < 0 || stat(dir, &st) < 0)
		return error_set(err, errno, "cannot examine the cache directory %s", dir);
	char fuse[64] = "";
	const char *name = network_name((int)fs.f_type);
	if ((int)fs.f_type == FS_FUSE) {
		fuse_type(&st, fuse, sizeof(fuse));
		if (is_remote_fuse(fuse))
			name = fuse;
	}
	if (!name)
		return 0;
	return error_set(err, 0,
		"the cache directory %s is on a network file system (%s), which can't hold the index; set "
		"LLAMA_CACHE_DIR "
		"to a directory on a local disk",
		dir, name);
}
