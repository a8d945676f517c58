/* meter RUNS COMMAND…: run a command again and again, its output thrown away, and print what each run cost.
 *
 * A line per run: wall nanoseconds, CPU microseconds (user + system, waited-for children included), largest resident set in KiB,
 * exit status. Small, static and spawning by vfork, because the kernel counts what happens between fork and exec, and the
 * resident set of whoever forked, as the child's. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"

extern char **environ;

static long long microseconds(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: meter RUNS COMMAND…\n");
		return 2;
	}
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);

	for (long run = 0, runs = atol(argv[1]); run < runs; run++) {
		pid_t pid;
		int64_t begin = clock_monotonic_ns();
		int failure = posix_spawnp(&pid, argv[2], &actions, NULL, argv + 2, environ);
		if (failure != 0) {
			fprintf(stderr, "meter: cannot run %s: %s\n", argv[2], strerror(failure));
			return 2;
		}
		int status;
		struct rusage usage;
		if (wait4(pid, &status, 0, &usage) != pid) {
			perror("meter: wait4");
			return 2;
		}
		int64_t wall_ns = clock_monotonic_ns() - begin;
		printf("%lld %lld %ld %d\n", (long long)wall_ns,
			microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_maxrss,
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	posix_spawn_file_actions_destroy(&actions);
	return 0;
}
