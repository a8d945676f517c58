/* What the test cloud and llama-cloud-jail say to each other, over two sockets that the jail finds open: one packet
 * each way per request, and events as they happen. */
#pragma once

#include <stdint.h>

enum { JAIL_REQUESTS = 3, JAIL_EVENTS = 4 }; /* descriptors of the jail program */

enum jail_verb {
	JAIL_START, /* run the entry point; its strings follow: directory, n_args arguments, n_env variables, each with its NUL */
	JAIL_FREEZE, /* stop every process */
	JAIL_THAW,
	JAIL_KILL, /* end every process; the mounts, /tmp among them, stay */
};

struct jail_request {
	uint32_t verb;
	uint32_t generation; /* of JAIL_START: comes back in the event of its end */
	uint32_t n_args, n_env;
};

enum { JAIL_REQUEST_BYTES = 128 << 10 }; /* with its strings */

struct jail_answer {
	int32_t failed;	      /* an errno; 0: done */
	int32_t invalid;      /* what failed is the entry point */
	int64_t memory_bytes; /* most that all processes together were seen to use since the entry point started */
	char text[240];	      /* what failed */
};

/* The entry point has ended, and everything else that ran in the jail with it. */
struct jail_event {
	uint32_t generation;
	int32_t status;	       /* as waitpid gives it */
	int32_t out_of_memory; /* killed for using more than the limit */
	int64_t memory_bytes;
};
