#include "setup/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void talk_begin(bool yes, uv_loop_t *loop, struct talk *ret)
{
	*ret = (struct talk){ .yes = yes, .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO), .loop = loop };
}

void talk_step(const char *what, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf("%-10s ", what);
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
}

void talk_more(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf("%-10s   ", "");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
}

/* libuv's signal handlers restart a read(), and are told in the loop's next turn only. */
static void wait_for_input(uv_loop_t *loop)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = uv_backend_fd(loop), .events = POLLIN } };
	do
		uv_run(loop, UV_RUN_NOWAIT);
	while ((poll(fds, 2, -1) < 0 && errno == EINTR) || !fds[0].revents);
}

int talk_ask(const struct talk *talk, const char *question, struct arena *arena, const char **ret)
{
	char line[256];
	if (!talk->terminal)
		return -1;
	printf("%s ", question);
	fflush(stdout);
	wait_for_input(talk->loop);
	if (!fgets(line, sizeof(line), stdin))
		return -1;
	size_t begin = strspn(line, " \t"), n = strcspn(line + begin, " \t\r\n");
	*ret = arena_strndup(arena, line + begin, n);
	return n ? 0 : -1;
}

int talk_confirm(const struct talk *talk, const char *question, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *answer = "";
	if (talk->yes)
		return 0;
	if (!talk->terminal)
		return error_set(err, 0,
			"there is no terminal to ask whether to go on: say --yes if so, or --dry-run to see no more "
			"than the plan");
	bool said = talk_ask(talk, arena_printf(&arena, "%s [y/N]", question), &arena, &answer) == 0;
	return said && (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0) ? 0 : TALK_NO;
}
