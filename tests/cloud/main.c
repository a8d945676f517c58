/* See print_help. Leaves its directory behind, to be looked at. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/lambda.h"
#include "tests/cloud/link.h"
#include "tests/cloud/tls.h"

struct options {
	const char *state_dir, *region, *ready_file, *replay;
	uint16_t port, plain_port;
	int64_t settings[CLOUD_N_SETTINGS];
	const char *faults[64];
	size_t n_faults;
};

enum { OPTION_STATE = CLOUD_N_SETTINGS, OPTION_PORT, OPTION_PLAIN_PORT, OPTION_REGION, OPTION_READY, OPTION_REPLAY, OPTION_FAULT, OPTION_HELP, N_OPTIONS };

static void print_help(void)
{
	printf("Usage: llama-cloud [OPTION]...\n"
	       "A test cloud on loopback: S3, Lambda, CloudFormation, ECR, STS, logs. Prints what to export, and serves until it is told to end.\n\n"
	       "  --state=DIR             where everything is kept; absent or empty (default: a new one below /tmp)\n"
	       "  --port=N, --plain-port=N  of https, and of http with the control endpoints (default: free ones)\n"
	       "  --region=NAME           (default: us-east-1)\n"
	       "  --ready=FILE            written, with what is to be exported, when it serves\n"
	       "  --replay=DIR            jobs whose results are recorded there (by the daemon's dev_record) take\n"
	       "                          their time, but aren't run\n"
	       "  --fault=RULE            SERVICE.OPERATION.KIND=PER_MILLE[:VALUE]; may be repeated\n");
	for (size_t i = 0; i < CLOUD_N_SETTINGS; i++)
		printf("  --%s=N%*s%s (default: %lld)\n", cloud_settings[i].name, (int)(20 - strlen(cloud_settings[i].name)), "",
				cloud_settings[i].help, (long long)cloud_settings[i].value);
}

static int parse_number(const char *name, const char *text, int64_t max, int64_t *ret, struct error *err)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end || errno || value > max || (max == UINT16_MAX && value < 0))
		return error_set(err, 0, "--%s wants a number, not \"%s\"", name, text);
	*ret = value;
	return 0;
}

/* 1: there is nothing left to do. */
static int parse_options(int argc, char **argv, struct options *options, struct error *err)
{
	struct option table[N_OPTIONS + 1] = {
		[OPTION_STATE] = { "state", required_argument, NULL, OPTION_STATE },
		[OPTION_PORT] = { "port", required_argument, NULL, OPTION_PORT },
		[OPTION_PLAIN_PORT] = { "plain-port", required_argument, NULL, OPTION_PLAIN_PORT },
		[OPTION_REGION] = { "region", required_argument, NULL, OPTION_REGION },
		[OPTION_REPLAY] = { "replay", required_argument, NULL, OPTION_REPLAY },
		[OPTION_READY] = { "ready", required_argument, NULL, OPTION_READY },
		[OPTION_FAULT] = { "fault", required_argument, NULL, OPTION_FAULT },
		[OPTION_HELP] = { "help", no_argument, NULL, OPTION_HELP },
	};
	*options = (struct options){ .region = "us-east-1" };
	for (int i = 0; i < CLOUD_N_SETTINGS; i++) {
		table[i] = (struct option){ cloud_settings[i].name, required_argument, NULL, i };
		options->settings[i] = cloud_settings[i].value;
	}
	int c;
	int64_t number;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case OPTION_STATE:
			options->state_dir = optarg;
			break;
		case OPTION_PORT:
		case OPTION_PLAIN_PORT:
			if (parse_number(table[c].name, optarg, UINT16_MAX, &number, err) < 0)
				return -1;
			*(c == OPTION_PORT ? &options->port : &options->plain_port) = (uint16_t)number;
			break;
		case OPTION_REGION:
			options->region = optarg;
			break;
		case OPTION_REPLAY:
			options->replay = optarg;
			break;
		case OPTION_READY:
			options->ready_file = optarg;
			break;
		case OPTION_FAULT:
			if (options->n_faults == sizeof options->faults / sizeof options->faults[0])
				return error_set(err, 0, "too many faults");
			options->faults[options->n_faults++] = optarg;
			break;
		case OPTION_HELP:
			print_help();
			return 1;
		case '?':
			return error_set(err, 0, "%s is no option, or lacks its value; see --help", argv[optind - 1]);
		default:
			if (parse_number(table[c].name, optarg, INT64_MAX, &options->settings[c], err) < 0)
				return -1;
		}
	}
	return optind < argc ? error_set(err, 0, "%s: there are only options; see --help", argv[optind]) : 0;
}

static int64_t goaway_requests(struct cloud *cloud)
{
	return cloud_setting(cloud, SETTING_GOAWAY_REQUESTS);
}

/* Print the exports, and put them into the file. */
static int announce(const struct cloud *cloud, const struct options *options, const char *ca_path, uint16_t port, uint16_t plain_port, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };
	const struct sigv4_key *key = &cloud->keys->keys[0];
	buf_printf(&text,
			"export AWS_ENDPOINT_URL=https://127.0.0.1:%u\nexport AWS_CA_BUNDLE='%s'\nexport AWS_ACCESS_KEY_ID=%s\n"
			"export AWS_SECRET_ACCESS_KEY=%s\nexport AWS_REGION=%s\nexport AWS_DEFAULT_REGION=%s\n"
			"export AWS_EC2_METADATA_DISABLED=true\nunset AWS_SESSION_TOKEN AWS_PROFILE\n"
			"export LLAMA_CLOUD_CONTROL=http://127.0.0.1:%u/_cloud\n",
			port, ca_path, key->access_key, key->secret_key, cloud->region, cloud->region, plain_port);
	fputs(buf_str(&text), stdout);
	if (fflush(stdout) != 0)
		return error_set(err, errno, "cannot print what to export");
	return options->ready_file ? file_replace(options->ready_file, buf_slice(&text), 0644, err) : 0;
}

static int serve(struct cloud *cloud, const struct options *options, const char *ca_path, SSL_CTX *tls, const sigset_t *ends, struct error *err)
{
	uint16_t port = options->port, plain_port = options->plain_port;
	struct server_options front = { .handler = cloud_handle, .tls = tls, .idle_ms = options->settings[SETTING_IDLE_MS],
		.goaway_requests = goaway_requests, .connect_delay_ms = link_connect_ms, .now_s = cloud_now_s };
	struct server *secure = server_listen(cloud, &port, &front, err);
	cloud->port = port;
	front.handler = cloud_handle_plain;
	front.tls = NULL;
	struct server *plain = secure ? server_listen(cloud, &plain_port, &front, err) : NULL;
	int r = plain ? announce(cloud, options, ca_path, port, plain_port, err) : -1;
	int signal;
	if (r == 0)
		sigwait(ends, &signal);
	lambda_stop(cloud->lambda);
	server_close(plain);
	server_close(secure);
	return r;
}

int main(int argc, char **argv)
{
	struct options options;
	struct error err;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	int r = parse_options(argc, argv, &options, &err);
	if (r != 0) {
		if (r < 0)
			fprintf(stderr, "llama-cloud: %s\n", err.text);
		return r < 0 ? 2 : 0;
	}
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);

	char template[] = "/tmp/llama-cloud-XXXXXX";
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	const char *state_dir = options.state_dir ? path_absolute(&arena, cwd ? cwd : "/", options.state_dir) : mkdtemp(template);
	const char *ca_path = arena_printf(&arena, "%s/ca.pem", state_dir ? state_dir : "");
	struct cloud *cloud = state_dir ? cloud_new(state_dir, options.region, options.settings, &err) : NULL;
	if (!state_dir)
		error_set(&err, errno, "cannot make a directory below /tmp");
	SSL_CTX *tls = cloud ? tls_new(ca_path, &err) : NULL;
	r = tls ? 0 : -1;
	if (r == 0 && options.replay)
		r = lambda_replay(cloud->lambda, options.replay, &err);
	for (size_t i = 0; r == 0 && i < options.n_faults; i++)
		r = faults_add(cloud->faults, options.faults[i], &err);
	if (r == 0) {
		if (options.n_faults > 0)
			fprintf(stderr, "llama-cloud: faults by seed %llu\n", (unsigned long long)faults_seed(cloud->faults));
		r = serve(cloud, &options, ca_path, tls, &ends, &err);
	}
	if (r < 0)
		fprintf(stderr, "llama-cloud: %s\n", err.text);
	cloud_free(cloud);
	SSL_CTX_free(tls);
	return r < 0 ? 1 : 0;
}
