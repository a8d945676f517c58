/* What daemon and llama-runner say to each other over a stream socket. Both come from one build; a runner of another build refuses by its
 * version argument.
 *
 *	llama-runner VERSION namespaces|inplace|rooted INTERPOSER ROOT|TMPDIR NOFILE      (the socket is descriptor 3)
 *
 * The runner first sends a struct runner_answer: code 0, or the step that failed. Then it takes requests: RUN, with three descriptors
 * (stdout, stderr, look-up log) attached to the request's first byte and followed by its strings, is answered when the command is over and nothing of
 * it is left. KILL while a command runs kills it and has no answer of its own; otherwise it means nothing. */
#pragma once

#include <stdint.h>

enum { RUNNER_SOCKET = 3, RUNNER_DESCRIPTORS = 3 };
enum { RUNNER_PROTOCOL = 1 };

#define RUNNER_INTERPOSER "/.llama/interpose.so" /* in namespaces */
#define RUNNER_TMPDIR	  "/.llama/tmp"

enum runner_op { RUNNER_RUN = 1, RUNNER_KILL };

/* Followed by `size` bytes of NUL-terminated strings: cwd, arguments, environment. */
struct runner_request {
	uint32_t op;
	uint32_t size;
	uint32_t n_argv, n_env;
	uint32_t umask;
	uint32_t trace_fd; /* number under which the command gets the look-up log */
};

struct runner_answer {
	int32_t code;	/* errno of a failed step; 0 */
	int32_t status; /* as from waitpid */
	int64_t user_us, system_us, wall_us, max_rss_kb;
	char step[232]; /* what failed, fit to print; else "" */
};
