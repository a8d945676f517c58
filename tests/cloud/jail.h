/* An execution environment's walls, as strict as Lambda's are for what runs inside (docs of the limits:
 * aws.amazon.com/lambda, and what people met):
 *
 * - the image's root, read-only; /tmp a private, empty file system of limited size; /proc read-only; /dev with null,
 *   zero, full, random, urandom and no more: no /dev/shm, no /dev/fd;
 * - user 993, no capabilities, namespaces of its own for users, mounts, processes, IPC and the host name;
 * - chroot, ptrace, mount and the like, namespaces, seccomp, fallocate, PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, keys,
 *   bpf: EPERM; clone3: ENOSYS;
 * - 1,024 descriptors, 1,024 processes;
 * - memory: the processes' own pages together, sampled; over the limit everything is killed. (RLIMIT_AS would punish
 *   address space that nobody uses.)
 *
 * Not as Lambda's: the network is the host's, because the bucket and the Runtime API are on its loopback; the CPU
 * isn't limited; freezing is SIGSTOP and SIGCONT, so that calls like epoll_wait may return EINTR after it and
 * parents may see SIGCHLD.
 *
 * The processes live below a small program of ours, llama-cloud-jail, found beside our own or named by
 * LLAMA_CLOUD_JAIL; they end with us. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum { JAIL_UID = 993, JAIL_GID = 990 };

#define JAIL_CA_FILE                                                                                                   \
	"/.cloud/ca.pem" /* where the certificate authority is found inside; image_unpack makes the place */

struct jail;

struct jail_options {
	const char *root; /* as image_unpack left it */
	int64_t tmp_mb;
	int64_t memory_mb;   /* 0: no limit */
	const char *ca_file; /* "" is none */
	int log_fd;	     /* stdout and stderr of what runs; borrowed until the call returns */
};

/* Ready and empty. NULL says why not, for example that the system allows no user namespace. */
struct jail *jail_open(const struct jail_options *options, struct error *err);
void jail_close(struct jail *jail); /* kills everything in it; NULL is allowed */

struct jail_program {
	const char *directory;
	const char *const *args; /* NULL at the end; the first is the file */
	const char *const *env;
};

enum { JAIL_INVALID = 1 };

/* Run the entry point. 0, -1, or JAIL_INVALID: there is no such file, it cannot be executed…, as `err` says. One at
 * a time; its end is told with `generation` by jail_wait. */
int jail_start(struct jail *jail, uint32_t generation, const struct jail_program *program, struct error *err);

/* All processes. Synchronous: after them they stand still, run, or are gone (only /tmp remains). */
int jail_freeze(struct jail *jail, struct error *err);
int jail_thaw(struct jail *jail, struct error *err);
int jail_kill(struct jail *jail, struct error *err);

struct jail_end {
	uint32_t generation;
	int status; /* as waitpid gives it */
	bool out_of_memory;
	int64_t memory_bytes; /* most that was seen in use */
};

/* To be polled for: an entry point has ended, or the jail itself has. */
int jail_fd(const struct jail *jail);
/* 1: an end, in `ret`; 0: the jail is gone, whoever killed it. Blocks. */
int jail_wait(struct jail *jail, struct jail_end *ret);

/* Most that all processes together were seen to use since the entry point started, as of the last synchronous call. */
int64_t jail_memory(const struct jail *jail);

/* The jail's outer process: when it is killed, so is all the rest. */
pid_t jail_pid(const struct jail *jail);
