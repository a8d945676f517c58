/* Every source of keys, their refreshing and their sharing, before servers that are played here (http_start and its kin are this file's) and a clock that is
 * set by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "aws/credentials.h"
#include "base/file.h"

enum { MINUTE = 60 * 1000 };
#define START_MS INT64_C(1795458606000) /* 2026-11-23T18:30:06Z */

/* --- the world outside -------------------------------------------------------------------------------------------- */

struct reply {
	int status; /* 0: none comes, and `code` is why; -1: we wait and wait */
	int code;
	const char *body;
	const char *date; /* a header; NULL: none */
};

typedef struct reply server_fn(const struct http_request *request, unsigned serial);

static server_fn *server;
static struct buf asked; /* "GET url\n" of each request; then its headers and body, each with a line of its own */
static unsigned n_asked, n_cancelled;
static int64_t clock_ms;

struct http_op {
	uv_timer_t timer;
	struct reply reply;
	http_done_fn *fn;
	void *ctx;
};

static uv_loop_t loop;

static void free_op(uv_handle_t *handle)
{
	free(handle->data);
}

static void answer(uv_timer_t *timer)
{
	struct http_op *op = timer->data;
	struct error err;
	uv_close((uv_handle_t *)timer, free_op);
	if (!op->reply.status) {
		error_set(&err, op->reply.code, "cannot reach it");
		op->fn(op->ctx, NULL, false, &err);
		return;
	}
	const struct aws_pair date = { "date", op->reply.date };
	struct http_response response = {
		.status = op->reply.status, .headers = &date, .n_headers = op->reply.date ? 1 : 0
	};
	if (op->reply.body)
		buf_append_str(&response.body, op->reply.body);
	op->fn(op->ctx, &response, true, NULL);
	buf_deinit(&response.body);
}

struct http_op *http_start(struct http *http, const struct http_request *request, http_done_fn *fn, void *ctx)
{
	struct http_op *op = calloc(1, sizeof(*op));
	assert_non_null(op);
	buf_printf(&asked, "%s %s%s\n", request->method, request->url, request->no_proxy ? " directly" : "");
	for (size_t i = 0; i < request->n_headers; i++)
		buf_printf(&asked, "  %s: %s\n", request->headers[i].name, request->headers[i].value);
	if (request->body.len)
		buf_printf(&asked, "  %.*s\n", (int)request->body.len, request->body.ptr);
	*op = (struct http_op){ .reply = server(request, n_asked++), .fn = fn, .ctx = ctx };
	uv_timer_init(&loop, &op->timer);
	op->timer.data = op;
	if (op->reply.status >= 0)
		uv_timer_start(&op->timer, answer, 0, 0);
	return op;
}

void http_cancel(struct http_op *op)
{
	n_cancelled++;
	uv_close((uv_handle_t *)&op->timer, free_op);
}

const char *http_header(const struct http_response *response, const char *name)
{
	return response->n_headers && strcmp(response->headers[0].name, name) == 0 ? response->headers[0].value : NULL;
}

static int64_t read_clock(void *ctx)
{
	return clock_ms;
}

/* --- a program that wants keys ------------------------------------------------------------------------------------ */

static char home[] = "/tmp/test-credentials.XXXXXX";

struct client {
	struct credentials_waiter waiter; /* first */
	unsigned calls;
	struct buf keys, err; /* "access/secret/token from source" */
};

struct world {
	struct arena arena;
	struct aws_config config;
	struct credentials *credentials;
};

static const char *path_of(struct arena *arena, const char *name)
{
	return arena_printf(arena, "%s/.aws/%s", home, name);
}

static void write_file(const char *name, const char *text)
{
	struct error err;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_int_equal(file_replace(path_of(&arena, name), slice_str(text), 0600, &err), 0);
}

static int make_home(void **state)
{
	struct error err;
	(void)state;
	assert_non_null(mkdtemp(home));
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	return file_make_dirs(path_of(&arena, "sso/cache"), 0700, &err);
}

static int remove_home(void **state)
{
	struct error err;
	(void)state;
	buf_deinit(&asked);
	return file_remove_tree(AT_FDCWD, home, &err);
}

static void begin(struct world *world, const char *profile, const char *const *variables, server_fn *fn)
{
	struct error err = { 0 };
	*world = (struct world){ .arena = ARENA_INIT };
	char **environment = arena_array(&world->arena, char *, 16);
	size_t n = 0;
	environment[n++] = arena_printf(&world->arena, "HOME=%s", home);
	environment[n++] = arena_strdup(&world->arena, "PATH=/usr/bin:/bin");
	for (; variables && *variables; variables++)
		environment[n++] = arena_strdup(&world->arena, *variables);
	int result = aws_config_load(profile, "eu-west-1", environment, &world->config, &err);
	assert_string_equal(err.text, "");
	assert_int_equal(result, 0);
	server = fn;
	buf_reset(&asked);
	n_asked = n_cancelled = 0;
	clock_ms = START_MS;
	uv_loop_init(&loop);
	world->credentials = credentials_new(&loop, NULL, &world->config);
	credentials_set_clock(world->credentials, read_clock, NULL);
}

static void end(struct world *world)
{
	credentials_free(world->credentials);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	aws_config_deinit(&world->config);
	arena_deinit(&world->arena);
}

#define _cleanup_world_ __attribute__((cleanup(end)))
#define V(...)		((const char *const[]){ __VA_ARGS__, NULL })

static void note(struct client *client, const struct aws_keys *keys, const struct error *err)
{
	client->calls++;
	buf_reset(&client->keys);
	buf_reset(&client->err);
	if (keys)
		buf_printf(&client->keys, "%s/%s/%s from %s", keys->access_key, keys->secret_key,
			keys->session_token ? keys->session_token : "-", keys->source);
	else
		buf_append_str(&client->err, err->text);
}

static void told(struct credentials_waiter *waiter, const struct aws_keys *keys, const struct error *err)
{
	note((struct client *)waiter, keys, err);
}

/* True: at once. */
static bool ask(struct world *world, struct client *client)
{
	unsigned calls = client->calls;
	client->waiter.fn = told;
	const struct aws_keys *keys = credentials_get(world->credentials, &client->waiter);
	assert_int_equal(client->calls, calls);
	if (keys)
		note(client, keys, NULL);
	return keys != NULL;
}

static void forget(struct client *client)
{
	buf_deinit(&client->keys);
	buf_deinit(&client->err);
}

#define _cleanup_client_ __attribute__((cleanup(forget)))

static void run(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

static void expect_keys(struct world *world, const char *expected)
{
	_cleanup_client_ struct client client = { 0 };
	if (!ask(world, &client))
		run();
	assert_string_equal(buf_str(&client.err), "");
	assert_string_equal(buf_str(&client.keys), expected);
	assert_int_equal(client.calls, 1);
}

/* No secret is called otherwise in these tests. */
static void expect_error(struct world *world, const char *part)
{
	_cleanup_client_ struct client client = { 0 };
	assert_false(ask(world, &client));
	run();
	assert_int_equal(client.calls, 1);
	assert_string_equal(buf_str(&client.keys), "");
	assert_null(strstr(client.err.ptr, "SECRET"));
	if (!strstr(client.err.ptr, part))
		fail_msg("\"%s\" does not say \"%s\"", client.err.ptr, part);
}

static void expect_asked(const char *part)
{
	if (!strstr(buf_str(&asked), part))
		fail_msg("\"%s\" is not among\n%s", part, buf_str(&asked));
}

static struct reply nobody(const struct http_request *request, unsigned serial)
{
	return (struct reply){ .code = EHOSTUNREACH };
}

static struct reply says_nothing(const struct http_request *request, unsigned serial)
{
	return (struct reply){ .status = -1 };
}

/* --- sources ------------------------------------------------------------------------------------------------------ */

static void credentials__keys_of_the_environment_are_there_for_good(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "");
	_cleanup_world_ struct world world;
	begin(&world, NULL, V("AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=SECRET", "AWS_SESSION_TOKEN=T"), nobody);
	expect_keys(&world, "A/SECRET/T from the environment");
	_cleanup_client_ struct client client = { 0 };
	clock_ms += 1000 * INT64_C(1000) * MINUTE;
	assert_true(ask(&world, &client));
	assert_int_equal(n_asked, 0);
}

static void credentials__keys_no_header_could_hold_are_refused(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	begin(&world, NULL, V("AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=SECRET\r\nx: y"), nobody);
	expect_error(&world,
		"no AWS credentials from the environment: the keys are empty, or have characters that no key has");
}

static void credentials__whoever_mends_the_files_need_not_start_us_anew(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "");
	_cleanup_world_ struct world world;
	begin(&world, NULL, V("AWS_EC2_METADATA_DISABLED=true"), nobody);
	expect_error(&world, "`aws configure`");
	write_file("credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = SECRET\n");
	expect_keys(&world, arena_printf(&world.arena, "A/SECRET/- from profile default in %s",
				    path_of(&world.arena, "credentials")));
	write_file("credentials", "[default]\naws_access_key_id = B\naws_secret_access_key = SECRET\n");
	clock_ms += MINUTE;
	credentials_drop(world.credentials);
	expect_keys(&world, arena_printf(&world.arena, "B/SECRET/- from profile default in %s",
				    path_of(&world.arena, "credentials")));
	write_file("credentials", "default]\nSECRET\n");
	clock_ms += MINUTE;
	credentials_drop(world.credentials);
	expect_error(&world, "/.aws/credentials: line 1: ");
}

#define STS(access, expires)                                                                                           \
	"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>"      \
	"<AccessKeyId>" access                                                                                         \
	"</AccessKeyId><SecretAccessKey>SECRET</SecretAccessKey><SessionToken>SECRETTOKEN</SessionToken>"              \
	"<Expiration>" expires "</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
#define STS_ERROR(code, message)                                                                                       \
	"<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code><Message>" message                              \
	"</Message></Error></ErrorResponse>"

static struct reply sts(const struct http_request *request, unsigned serial)
{
	static const char *const bodies[] = { STS("ONE", "2026-11-23T19:30:06Z"), STS("TWO", "2026-11-23T19:30:06Z") };
	return (struct reply){ .status = 200, .body = bodies[serial % 2] };
}

static void credentials__roles_are_assumed_one_with_the_keys_of_the_other(void **state)
{
	(void)state;
	write_file("config", "[profile outer]\nrole_arn = arn:aws:iam::1:role/outer\nsource_profile = "
			     "inner\nrole_session_name = me\n"
			     "external_id = a b&c\nduration_seconds = 3600\n"
			     "[profile inner]\nrole_arn = arn:inner\nsource_profile = keys\n");
	write_file("credentials", "[keys]\naws_access_key_id = BASE\naws_secret_access_key = SECRET\n");
	_cleanup_world_ struct world world;
	begin(&world, "outer", NULL, sts);
	expect_keys(&world, "TWO/SECRET/SECRETTOKEN from role arn:aws:iam::1:role/outer (profile outer)");
	assert_int_equal(n_asked, 2);
	expect_asked("POST https://sts.eu-west-1.amazonaws.com/\n");
	expect_asked("  Authorization: AWS4-HMAC-SHA256 Credential=BASE/20261123/eu-west-1/sts/aws4_request, "
		     "SignedHeaders=content-type;host;x-amz-date, ");
	expect_asked("  Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ainner&RoleSessionName=llama-1795458606\n");
	expect_asked("  X-Amz-Security-Token: SECRETTOKEN\n");
	expect_asked("  Authorization: AWS4-HMAC-SHA256 Credential=ONE/20261123/eu-west-1/sts/aws4_request, "
		     "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, ");
	expect_asked(
		"  "
		"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fouter&RoleSessionName=me"
		"&ExternalId=a%20b%26c&DurationSeconds=3600\n");
}

static struct reply refuses(const struct http_request *request, unsigned serial)
{
	return (struct reply){ .status = 403,
		.body = STS_ERROR("AccessDenied",
			"User: arn:x is not authorized to perform: sts:AssumeRole\n\nx-amz-security-token:SECRET") };
}

static void credentials__what_sts_refuses_is_said_and_not_tried_again(void **state)
{
	(void)state;
	write_file("config", "[profile r]\nrole_arn = arn:r\nsource_profile = keys\n[profile w]\nrole_arn = arn:w\n"
			     "web_identity_token_file = /nonexistent\n");
	write_file("credentials", "[keys]\naws_access_key_id = BASE\naws_secret_access_key = SECRET\n");
	struct world world;
	begin(&world, "r", NULL, refuses);
	expect_error(&world,
		"no AWS credentials from role arn:r (profile r): STS refuses (so it will `aws sts get-caller-identity "
		"--profile r`): HTTP 403 AccessDenied: User: arn:x is not authorized to perform: sts:AssumeRole");
	assert_int_equal(n_asked, 1);
	end(&world);
	begin(&world, "w", NULL, refuses);
	expect_error(&world, "no AWS credentials from web identity as arn:w: ");
	assert_int_equal(n_asked, 0);
	end(&world);
}

static struct reply stumbles(const struct http_request *request, unsigned serial)
{
	switch (serial) {
	case 0:
		return (struct reply){ .code = ECONNRESET };
	case 1:
		return (struct reply){ .status = 400, .body = STS_ERROR("Throttling", "Rate exceeded") };
	default:
		return (struct reply){ .status = 200, .body = STS("THREE", "2026-11-23T19:30:06Z") };
	}
}

static struct reply is_broken(const struct http_request *request, unsigned serial)
{
	return (struct reply){ .status = 503 };
}

static void credentials__what_passes_is_tried_again_three_times_in_all(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "");
	write_file("token", " TOKEN.x-y \n");
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *const variables[] = { arena_printf(
						  &arena, "AWS_WEB_IDENTITY_TOKEN_FILE=%s", path_of(&arena, "token")),
		"AWS_ROLE_ARN=arn:w", "AWS_ROLE_SESSION_NAME=ci", NULL };
	struct world world;
	begin(&world, NULL, variables, stumbles);
	expect_keys(&world, "THREE/SECRET/SECRETTOKEN from web identity as arn:w");
	assert_int_equal(n_asked, 3);
	expect_asked("  Content-Type: application/x-www-form-urlencoded; charset=utf-8\n"
		     "  "
		     "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aw&RoleSessionName=ci&"
		     "WebIdentityToken=TOKEN.x-y\n");
	assert_null(strstr(asked.ptr, "Authorization"));
	end(&world);
	begin(&world, NULL, variables, is_broken);
	expect_error(&world, "HTTP 503");
	assert_int_equal(n_asked, 3);
	end(&world);
}

static struct reply an_hour_ahead(const struct http_request *request, unsigned serial)
{
	static const char date[] = "Mon, 23 Nov 2026 19:30:06 GMT";
	if (serial == 0)
		return (struct reply){
			.status = 403, .date = date, .body = STS_ERROR("SignatureDoesNotMatch", "Signature expired")
		};
	return (struct reply){ .status = 200, .date = date, .body = STS("K", "2026-11-23T20:30:06Z") };
}

static void credentials__a_wrong_clock_is_mended_by_the_servers(void **state)
{
	(void)state;
	write_file("config", "[profile r]\nrole_arn = arn:r\nsource_profile = keys\n");
	write_file("credentials", "[keys]\naws_access_key_id = BASE\naws_secret_access_key = SECRET\n");
	_cleanup_world_ struct world world;
	begin(&world, "r", NULL, an_hour_ahead);
	_cleanup_client_ struct client client = { .waiter.fn = told };
	assert_false(ask(&world, &client));
	run();
	assert_string_equal(buf_str(&client.err), "");
	assert_int_equal(n_asked, 2);
	expect_asked("  X-Amz-Date: 20261123T183006Z\n");
	expect_asked("  X-Amz-Date: 20261123T193006Z\n");
	/* Its expiry is by our clock then: good for an hour, not for two. */
	const struct aws_keys *keys = credentials_get(world.credentials, &client.waiter);
	assert_int_equal(keys->expires_ms, START_MS + 60 * MINUTE);
}

#define SSO_PROFILE                                                                                                    \
	"[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = My Role\n[sso-session s]\nsso_region = "  \
	"us-east-2\n"                                                                                                  \
	"sso_start_url = https://x/start\n"
/* printf s | sha1sum */
#define SSO_CACHE "sso/cache/a0f1490a20d0211c997b44bc357e1972deab8ae3.json"

static struct reply sso(const struct http_request *request, unsigned serial)
{
	return (struct reply){ .status = 200,
		.body = "{\"roleCredentials\":{\"accessKeyId\":\"SSO\",\"secretAccessKey\":\"SECRET\",\"sessionToken\":"
			"\"T\",\"expiration\":"
			"1795462206000}}" };
}

static struct reply sso_refuses(const struct http_request *request, unsigned serial)
{
	return (struct reply){ .status = 401,
		.body = "{\"__type\":\"UnauthorizedException\",\"message\":\"Session token not found or invalid\"}" };
}

static void credentials__sso_uses_the_token_that_login_left(void **state)
{
	(void)state;
	write_file("config", SSO_PROFILE);
	write_file("credentials", "");
	write_file(SSO_CACHE, "{\"accessToken\":\"SECRETBEARER\",\"expiresAt\":\"2026-11-23T19:30:06Z\"}");
	struct world world;
	begin(&world, "sso", NULL, sso);
	expect_keys(&world, "SSO/SECRET/T from SSO role My Role (profile sso)");
	assert_string_equal(asked.ptr,
		"GET "
		"https://portal.sso.us-east-2.amazonaws.com/federation/credentials?account_id=1&role_name=My%20Role\n"
		"  x-amz-sso_bearer_token: SECRETBEARER\n");
	end(&world);
	begin(&world, "sso", NULL, sso_refuses);
	expect_error(&world, "nobody is logged in (`aws sso login --profile sso`): HTTP 401 UnauthorizedException: "
			     "Session token not found");
	assert_int_equal(n_asked, 1);
	clock_ms = START_MS + 60 * MINUTE;
	expect_error(&world, "nobody is logged in (`aws sso login --profile sso`): the session has expired");
	write_file(SSO_CACHE, "{\"accessToken\":7}");
	expect_error(&world, "there is no access token in it");
	write_file("config",
		"[profile sso]\nsso_account_id = 1\nsso_role_name = r\nsso_region = x\nsso_start_url = never seen\n");
	expect_error(&world, "nobody is logged in (`aws sso login --profile sso`)");
	assert_int_equal(n_asked, 1);
	end(&world);
}

#define SSO_SESSION(expires)                                                                                           \
	"{\"accessToken\":\"SECRETOLD\",\"expiresAt\":\"" expires                                                      \
	"\",\"clientId\":\"i\",\"clientSecret\":\"SECRETCLIENT\","                                                     \
	"\"registrationExpiresAt\":\"2027-01-01T00:00:00Z\",\"refreshToken\":\"SECRETREFRESH\"}"

static struct reply sso_goes_on(const struct http_request *request, unsigned serial)
{
	if (serial == 0)
		return (struct reply){ .status = 200, .body = "{\"accessToken\":\"SECRETNEW\",\"expiresIn\":3600}" };
	return sso(request, serial);
}

static struct reply sso_goes_on_no_more(const struct http_request *request, unsigned serial)
{
	if (strstr(request->url, "/token"))
		return (struct reply){ .status = 400,
			.body = "{\"error\":\"invalid_grant\",\"message\":\"Session is over\"}" };
	return sso(request, serial);
}

static void credentials__sso_tokens_are_renewed_while_the_session_lasts(void **state)
{
	(void)state;
	write_file("config", SSO_PROFILE);
	write_file("credentials", "");
	write_file(SSO_CACHE, SSO_SESSION("2026-11-23T18:00:00Z"));
	struct world world;
	begin(&world, "sso", NULL, sso_goes_on);
	expect_keys(&world, "SSO/SECRET/T from SSO role My Role (profile sso)");
	expect_asked("POST https://oidc.us-east-2.amazonaws.com/token\n  Content-Type: application/json\n"
		     "  {\"grantType\":\"refresh_token\",\"clientId\":\"i\",\"clientSecret\":\"SECRETCLIENT\","
		     "\"refreshToken\":\"SECRETREFRESH\"}\nGET https://portal.sso.us-east-2");
	expect_asked("  x-amz-sso_bearer_token: SECRETNEW\n");
	end(&world);
	begin(&world, "sso", NULL, sso); /* it was kept for the next */
	expect_keys(&world, "SSO/SECRET/T from SSO role My Role (profile sso)");
	assert_int_equal(n_asked, 1);
	expect_asked("  x-amz-sso_bearer_token: SECRETNEW\n");
	end(&world);
	write_file(SSO_CACHE, SSO_SESSION("2026-11-23T18:40:00Z")); /* ten minutes are enough */
	begin(&world, "sso", NULL, sso_goes_on_no_more);
	expect_keys(&world, "SSO/SECRET/T from SSO role My Role (profile sso)");
	assert_int_equal(n_asked, 2);
	expect_asked("  x-amz-sso_bearer_token: SECRETOLD\n");
	end(&world);
	write_file(SSO_CACHE, SSO_SESSION("2026-11-23T18:30:00Z"));
	begin(&world, "sso", NULL, sso_goes_on_no_more);
	expect_error(&world, "nobody is logged in (`aws sso login --profile sso`): HTTP 400: Session is over");
	end(&world);
}

static void credentials__processes_print_keys(void **state)
{
	(void)state;
	static const struct {
		const char *command, *keys, *error;
	} cases[] = {
		{ "printf '{\"Version\":1,\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"%s\"}' SECRET",
			"P/SECRET/- from credential_process of profile p", NULL },
		{ "sh -c 'echo SECRET; echo \"please log in\nagain\" >&2; exit 3'", NULL,
			"no AWS credentials from credential_process of profile p: sh: it exited with 3: please log "
			"in" },
		{ "sh -c 'kill -9 $$'", NULL, "it was killed by signal 9" },
		{ "echo SECRET", NULL, "echo: the answer is not a JSON object" },
		{ "yes SECRET", NULL, "it wrote too much" },
		{ "/nonexistent/helper x", NULL, "cannot start /nonexistent/helper: No such file or directory" },
		{ "printf "
		  "'{\"Version\":1,\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"SECRET\",\"Expiration\":\"2026-11-23T18:"
		  "30:06Z\"}'",
			NULL, "its keys have expired already" },
	};
	write_file("credentials", "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_buf_ struct buf config = { 0 };
		buf_append_str(&config, "[profile p]\ncredential_process = ");
		for (const char *c = cases[i].command; *c; c++) /* lines further in go on */
			buf_append_str(&config, *c == '\n' ? "\n  " : ((char[]){ *c, '\0' }));
		write_file("config", config.ptr);
		_cleanup_world_ struct world world;
		begin(&world, "p", NULL, nobody);
		if (cases[i].keys)
			expect_keys(&world, cases[i].keys);
		else
			expect_error(&world, cases[i].error);
	}
}

static struct reply container(const struct http_request *request, unsigned serial)
{
	return (struct reply){ .status = 200,
		.body = "{\"RoleArn\":\"r\",\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"SECRET\",\"Token\":\"T\","
			"\"Expiration\":\"2026-11-23T19:30:06Z\"}" };
}

static void credentials__containers_are_asked_with_their_token(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "");
	write_file("token", "SECRETFILE\n");
	struct world world;
	begin(&world, NULL, V("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x"), container);
	expect_keys(&world, "C/SECRET/T from the container's endpoint");
	assert_string_equal(asked.ptr, "GET http://169.254.170.2/v2/x directly\n  Accept: application/json\n");
	end(&world);
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	begin(&world, NULL,
		V("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/x",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN=SECRETVAR",
			arena_printf(&arena, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%s", path_of(&arena, "token"))),
		container);
	expect_keys(&world, "C/SECRET/T from the container's endpoint");
	expect_asked("GET http://127.0.0.1:1/x directly\n  Accept: application/json\n  Authorization: SECRETFILE\n");
	end(&world);
	begin(&world, NULL,
		V("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/x",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN=SECRET\nx: y"),
		container);
	expect_error(&world, "its authorization token has more than one line");
	assert_int_equal(n_asked, 0);
	end(&world);
}

static struct reply instance(const struct http_request *request, unsigned serial)
{
	static const char keys[] =
		"{\"Code\":\"Success\",\"AccessKeyId\":\"I\",\"SecretAccessKey\":\"SECRET\",\"Token\":\"T\","
		"\"Expiration\":\"2026-11-24T00:30:06Z\"}";
	static const char *const bodies[] = { "SECRETTOKEN==", "my-role\nother", keys };
	assert_int_equal(request->timeout_ms, 1000);
	return (struct reply){ .status = 200, .body = bodies[serial % 3] };
}

static struct reply no_role(const struct http_request *request, unsigned serial)
{
	return serial == 0 ? (struct reply){ .status = 200, .body = "t" }
			   : (struct reply){ .status = 404, .body = "<html>" };
}

static void credentials__instances_are_asked_by_the_second_version_only(void **state)
{
	(void)state;
	write_file("config", "");
	write_file("credentials", "");
	struct world world;
	begin(&world, NULL, NULL, instance);
	expect_keys(&world, "I/SECRET/T from the instance metadata service");
	assert_string_equal(asked.ptr,
		"PUT http://169.254.169.254/latest/api/token directly\n  x-aws-ec2-metadata-token-ttl-seconds: 21600\n"
		"GET http://169.254.169.254/latest/meta-data/iam/security-credentials/ directly\n  "
		"x-aws-ec2-metadata-token: SECRETTOKEN==\n"
		"GET http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role directly\n"
		"  x-aws-ec2-metadata-token: SECRETTOKEN==\n");
	end(&world);
	begin(&world, NULL, NULL, no_role);
	expect_error(&world, "the instance metadata service: this instance has no role: HTTP 404");
	end(&world);
}

static void credentials__where_nothing_answers_all_that_was_tried_is_named(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	begin(&world, NULL, NULL, nobody);
	expect_error(&world, "no AWS credentials (`aws configure` or `aws configure sso` sets up a profile): no "
			     "AWS_ACCESS_KEY_ID in the environment, "
			     "no keys, role, SSO or credential_process in profile default (");
	assert_int_equal(n_asked, 1);
	expect_error(&world, "no container endpoint, the instance metadata service: cannot reach it");
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static int64_t life_ms; /* of the keys that the helper gives */
static bool helper_fails;

/* Keys named by how many were given before. */
static struct reply helper(const struct http_request *request, unsigned serial)
{
	static char body[400];
	char expires[32];
	time_t at = (time_t)((clock_ms + life_ms) / 1000);
	struct tm utc;
	if (helper_fails)
		return (struct reply){ .status = 404 };
	strftime(expires, sizeof(expires), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &utc));
	snprintf(body, sizeof(body),
		"{\"AccessKeyId\":\"K%u\",\"SecretAccessKey\":\"SECRET\",\"Token\":\"T\",\"Expiration\":\"%s\"}",
		serial, expires);
	return (struct reply){ .status = 200, .body = body };
}

#define K(n) "K" #n "/SECRET/T from the container's endpoint"

static void begin_with_helper(struct world *world, int64_t life)
{
	write_file("config", "");
	write_file("credentials", "");
	begin(world, NULL, V("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/"), helper);
	life_ms = life;
	helper_fails = false;
}

static void expect_at_once(struct world *world, const char *keys, bool background)
{
	_cleanup_client_ struct client client = { 0 };
	unsigned before = n_asked;
	assert_true(ask(world, &client));
	assert_string_equal(client.keys.ptr, keys);
	run();
	assert_int_equal(n_asked - before, background);
}

static void credentials__are_fetched_again_before_they_expire(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	begin_with_helper(&world, 60 * MINUTE);
	expect_keys(&world, K(0));
	clock_ms = START_MS + 44 * MINUTE;
	expect_at_once(&world, K(0), false);
	clock_ms = START_MS + 45 * MINUTE; /* in the background */
	expect_at_once(&world, K(0), true);
	expect_at_once(&world, K(1), false);
	helper_fails = true;
	clock_ms = START_MS + 95 * MINUTE - 1;
	expect_at_once(&world, K(1), true);
	helper_fails = false;
	_cleanup_client_ struct client client = { 0 };
	clock_ms += MINUTE; /* less than ten minutes are left: whoever asks has to wait */
	assert_false(ask(&world, &client));
	run();
	assert_string_equal(client.keys.ptr, K(3));
}

static void credentials__of_a_short_life_are_not_fetched_all_the_time(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	begin_with_helper(&world, 8 * MINUTE);
	expect_keys(&world, K(0));
	expect_at_once(&world, K(0), false);
	clock_ms = START_MS + 4 * MINUTE;
	expect_at_once(&world, K(0), true);
	clock_ms = START_MS + (4 + 6) * MINUTE;
	expect_keys(&world, K(2));
}

static void credentials__old_ones_serve_until_they_expire_where_no_new_ones_are_to_be_had(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	begin_with_helper(&world, 60 * MINUTE);
	expect_keys(&world, K(0));
	helper_fails = true;
	clock_ms = START_MS + 46 * MINUTE;
	expect_at_once(&world, K(0), true);
	expect_at_once(&world, K(0), false); /* a pause */
	clock_ms = START_MS + 55 * MINUTE;
	expect_keys(&world, K(0)); /* after waiting in vain */
	assert_int_equal(n_asked, 3);
	expect_at_once(&world, K(0), false);
	clock_ms = START_MS + 60 * MINUTE;
	expect_error(&world, "HTTP 404");
	helper_fails = false;
	expect_keys(&world, K(4));
}

static void credentials__dropped_ones_are_never_given_again(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	begin_with_helper(&world, 60 * MINUTE);
	expect_keys(&world, K(0));
	credentials_drop(world.credentials); /* an answer to what was signed before */
	expect_at_once(&world, K(0), false);
	clock_ms += MINUTE;
	credentials_drop(world.credentials);
	helper_fails = true;
	expect_error(&world, "HTTP 404");
	helper_fails = false;
	expect_keys(&world, K(2));
}

/* --- sharing ------------------------------------------------------------------------------------------------------ */

static void credentials__whoever_waits_shares_one_fetch(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	_cleanup_client_ struct client a = { 0 }, b = { 0 }, c = { 0 };
	begin_with_helper(&world, 60 * MINUTE);
	assert_false(ask(&world, &a));
	assert_false(ask(&world, &b));
	assert_false(ask(&world, &c));
	credentials_leave(world.credentials, &b.waiter);
	run();
	assert_int_equal(n_asked, 1);
	assert_string_equal(a.keys.ptr, K(0));
	assert_string_equal(c.keys.ptr, K(0));
	assert_int_equal(b.calls, 0);
	credentials_leave(world.credentials, &a.waiter); /* it doesn't wait: no harm */
}

struct meddler {
	struct client client; /* first */
	struct world *world;
	struct client *other;
};

static void leave_for_another(struct credentials_waiter *waiter, const struct aws_keys *keys, const struct error *err)
{
	struct meddler *meddler = (struct meddler *)waiter;
	meddler->client.calls++;
	credentials_leave(meddler->world->credentials, &meddler->other->waiter);
	assert_ptr_equal(credentials_get(meddler->world->credentials, &meddler->client.waiter), keys);
}

static void credentials__whoever_is_told_may_send_others_away_and_ask_again(void **state)
{
	(void)state;
	_cleanup_world_ struct world world;
	_cleanup_client_ struct client other = { 0 };
	begin_with_helper(&world, 60 * MINUTE);
	struct meddler meddler = { .client.waiter.fn = leave_for_another, .world = &world, .other = &other };
	assert_null(credentials_get(world.credentials, &meddler.client.waiter));
	assert_false(ask(&world, &other));
	run();
	assert_int_equal(meddler.client.calls, 1);
	assert_int_equal(other.calls, 0);
}

static void credentials__freed_while_somebody_waits_are_heard_of_no_more(void **state)
{
	(void)state;
	struct client client = { 0 };
	struct world world;
	begin_with_helper(&world, 60 * MINUTE); /* before anything began */
	assert_false(ask(&world, &client));
	end(&world);
	begin(&world, NULL, NULL, says_nothing); /* while somebody is asked */
	assert_false(ask(&world, &client));
	run();
	assert_int_equal(n_asked, 1);
	end(&world);
	assert_int_equal(n_cancelled, 1);
	write_file("config", "[profile p]\ncredential_process = sleep 1000\n"); /* while it runs */
	begin(&world, "p", NULL, nobody);
	assert_false(ask(&world, &client));
	uv_run(&loop, UV_RUN_NOWAIT); /* starts it */
	assert_true(uv_loop_alive(&loop));
	end(&world);
	assert_int_equal(client.calls, 0);
	credentials_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials__keys_of_the_environment_are_there_for_good),
		cmocka_unit_test(credentials__keys_no_header_could_hold_are_refused),
		cmocka_unit_test(credentials__whoever_mends_the_files_need_not_start_us_anew),
		cmocka_unit_test(credentials__roles_are_assumed_one_with_the_keys_of_the_other),
		cmocka_unit_test(credentials__what_sts_refuses_is_said_and_not_tried_again),
		cmocka_unit_test(credentials__what_passes_is_tried_again_three_times_in_all),
		cmocka_unit_test(credentials__a_wrong_clock_is_mended_by_the_servers),
		cmocka_unit_test(credentials__sso_uses_the_token_that_login_left),
		cmocka_unit_test(credentials__sso_tokens_are_renewed_while_the_session_lasts),
		cmocka_unit_test(credentials__processes_print_keys),
		cmocka_unit_test(credentials__containers_are_asked_with_their_token),
		cmocka_unit_test(credentials__instances_are_asked_by_the_second_version_only),
		cmocka_unit_test(credentials__where_nothing_answers_all_that_was_tried_is_named),
		cmocka_unit_test(credentials__are_fetched_again_before_they_expire),
		cmocka_unit_test(credentials__of_a_short_life_are_not_fetched_all_the_time),
		cmocka_unit_test(credentials__old_ones_serve_until_they_expire_where_no_new_ones_are_to_be_had),
		cmocka_unit_test(credentials__dropped_ones_are_never_given_again),
		cmocka_unit_test(credentials__whoever_waits_shares_one_fetch),
		cmocka_unit_test(credentials__whoever_is_told_may_send_others_away_and_ask_again),
		cmocka_unit_test(credentials__freed_while_somebody_waits_are_heard_of_no_more),
	};
	return cmocka_run_group_tests(tests, make_home, remove_home);
}
