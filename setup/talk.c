#include "setup/talk.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void talk_begin(bool yes, struct talk *ret)
{
	*ret = (struct talk){ .yes = yes, .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) };
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

int talk_ask(const struct talk *talk, const char *question, struct arena *arena, const char **ret)
{
	char line[256];
	if (!talk->terminal)
		return -1;
	printf("%s ", question);
	fflush(stdout);
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
