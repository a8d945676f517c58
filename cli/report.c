#include "cli/report.h"

#include <stdio.h>
#include <string.h>

static void print_remedy(const char *remedy)
{
	while (*remedy) {
		size_t n = strcspn(remedy, "\n");
		printf("%-24s%s%.*s\n", "", *remedy == ' ' ? "" : "-> ", (int)n, remedy);
		remedy += n + (remedy[n] == '\n');
	}
}

static void print_finding(void *ctx, const struct examine_finding *finding)
{
	struct report *report = ctx;
	if (!report->brief && (!report->area || strcmp(report->area, finding->area) != 0))
		printf("%s%s\n", report->area ? "\n" : "", finding->area);
	report->area = finding->area;
	printf("  %-8s%-14s%s\n", examine_words[finding->verdict], finding->name, finding->fact);
	if (finding->remedy)
		print_remedy(finding->remedy);
	fflush(stdout); /* what comes next may take a while */
}

void report_begin(struct report *report)
{
	*report = (struct report){ .examiner = { .fn = print_finding, .ctx = report } };
}
