/* swarm WIDTH FILE: run many commands, WIDTH of them at once, as make -j does, their output thrown away; print what they cost together:
 * commands, failures, wall nanoseconds, CPU microseconds.
 *
 * A line of FILE is a working directory and the words of a command, separated by tabs. Small and spawning by vfork, because what
 * starts a thousand clients must not use up the processors that they are measured on. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"

extern char **environ;

enum { WORDS = 4096 };

struct totals {
	long commands, failures;
	long long cpu_us;
};

static long long microseconds(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

static int start(char *line)
{
	char *words[WORDS], *save;
	size_t n = 0;
	for (char *word = strtok_r(line, "\t\n", &save); word && n < WORDS - 1; word = strtok_r(NULL, "\t\n", &save))
		words[n++] = word;
	words[n] = NULL;
	if (n < 2)
		return -1;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addchdir_np(&actions, words[0]);
	pid_t pid;
	int failure = posix_spawnp(&pid, words[1], &actions, NULL, words + 1, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (failure != 0)
		fprintf(stderr, "swarm: cannot run %s: %s\n", words[1], strerror(failure));
	return failure == 0 ? 0 : -1;
}

static void reap(struct totals *totals)
{
	int status;
	struct rusage usage;
	if (wait4(-1, &status, 0, &usage) < 0) {
		perror("swarm: wait4");
		exit(2);
	}
	totals->failures += status != 0;
	totals->cpu_us += microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: swarm WIDTH FILE\n");
		return 2;
	}
	FILE *file = fopen(argv[2], "re");
	if (!file) {
		perror(argv[2]);
		return 2;
	}
	struct totals totals = { 0 };
	char *line = NULL;
	size_t capacity = 0;
	long running = 0, width = atol(argv[1]);
	int64_t begin_ns = clock_monotonic_ns();
	while (getline(&line, &capacity, file) > 0) {
		if (running == width) {
			reap(&totals);
			running--;
		}
		if (start(line) < 0)
			return 2;
		totals.commands++;
		running++;
	}
	for (; running > 0; running--)
		reap(&totals);
	printf("%ld %ld %lld %lld\n", totals.commands, totals.failures, (long long)(clock_monotonic_ns() - begin_ns), totals.cpu_us);
	free(line);
	fclose(file);
	return 0;
}
