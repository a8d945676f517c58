#include "tests/cloud/cloud.h"

#include <dirent.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "tests/cloud/cloudformation.h"
#include "tests/cloud/control.h"
#include "tests/cloud/ecr.h"
#include "tests/cloud/iam.h"
#include "tests/cloud/lambda.h"
#include "tests/cloud/link.h"
#include "tests/cloud/logs.h"
#include "tests/cloud/permissions.h"
#include "tests/cloud/registry.h"
#include "tests/cloud/query.h"
#include "tests/cloud/s3.h"
#include "tests/cloud/stacks.h"
#include "tests/cloud/sts.h"
#include "tests/cloud/xml.h"

#define SETTING_INFO(id, name, value, help) { name, value, help },
const struct cloud_setting_info cloud_settings[CLOUD_N_SETTINGS] = { CLOUD_SETTINGS(SETTING_INFO) };

/* A line each. */
static const struct cloud_service services[] = {
	{ "s3", CLOUD_XML, s3_operation, s3_handle, s3_resource },
	{ "lambda", CLOUD_REST_JSON, lambda_operation, lambda_handle, lambda_resource },
	{ "cloudformation", CLOUD_QUERY, cloudformation_operation, cloudformation_handle, cloudformation_resource },
	{ "ecr", CLOUD_JSON, ecr_operation, ecr_handle, ecr_resource },
	{ "logs", CLOUD_JSON, logs_operation, logs_handle, logs_resource },
	{ "sts", CLOUD_QUERY, sts_operation, sts_handle, NULL },
};

/* What is asked of ECR by the protocol of registries: with a token instead of a signature. */
static const struct cloud_service registry = { "ecr", CLOUD_REGISTRY, registry_operation, registry_handle, registry_resource };

/* What anybody who talks to this cloud uses: a permanent key, a temporary one with its token, and one that has expired. Nobody else's secrets. */
static const struct sigv4_key keys[] = {
	{ "AKIALLAMATESTCLOUD01", "TestCloudSecret/+notreallyasecret0000001", NULL, 0, "iam::" CLOUD_ACCOUNT ":user/builder" },
	{ "ASIALLAMATESTCLOUD02", "TestCloudSecret/+notreallyasecret0000002", "TestCloudToken+/==", 0, "sts::" CLOUD_ACCOUNT ":assumed-role/builder/session" },
	{ "ASIALLAMATESTCLOUD03", "TestCloudSecret/+notreallyasecret0000003", "TestCloudTokenThatHasExpired==", 1, "sts::" CLOUD_ACCOUNT ":assumed-role/builder/expired" },
};
static const struct sigv4_keys all_keys = { keys, sizeof keys / sizeof keys[0] };

struct counter {
	const char *service, *operation; /* constants */
	int64_t requests, errors, bytes_in, bytes_out, received; /* the last from home, with heads and frames */
};

struct counters {
	pthread_mutex_t lock;
	struct counter all[256];
	size_t n;
};

static int make_state_dir(const char *path, struct error *err)
{
	if (file_make_dirs(path, 0700, err) < 0)
		return -1;
	_cleanup_closedir_ DIR *dir = opendir(path);
	if (!dir)
		return error_set(err, errno, "cannot open %s", path);
	const struct dirent *entry;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return error_set(err, 0, "%s is not empty: give the cloud a directory of its own", path);
	return 0;
}

struct cloud *cloud_new(const char *state_dir, const char *region, const int64_t *settings, struct error *err)
{
	if (make_state_dir(state_dir, err) < 0)
		return NULL;
	struct cloud *cloud = calloc(1, sizeof *cloud);
	if (!cloud)
		abort();
	cloud->state_dir = state_dir;
	cloud->region = region;
	cloud->keys = &all_keys;
	for (size_t i = 0; i < CLOUD_N_SETTINGS; i++)
		cloud->settings[i] = settings[i];
	uint64_t seed = (uint64_t)settings[SETTING_SEED];
	if (!seed)
		seed = (uint64_t)clock_realtime_ns() / 1000 % 1000000000 + 1; /* short enough to type */
	cloud->settings[SETTING_SEED] = (int64_t)seed;
	cloud->faults = faults_new(seed);
	cloud->link = link_new();
	cloud->counters = calloc(1, sizeof *cloud->counters);
	if (!cloud->counters)
		abort();
	pthread_mutex_init(&cloud->counters->lock, NULL);
	cloud->iam = iam_new(cloud);
	cloud->logs = logs_new(cloud);
	cloud->stacks = stacks_new(cloud);
	cloud->s3 = s3_new(cloud, err);
	cloud->ecr = cloud->s3 ? ecr_new(cloud, err) : NULL;
	cloud->lambda = cloud->ecr ? lambda_new(cloud, err) : NULL;
	if (!cloud->lambda) {
		cloud_free(cloud);
		return NULL;
	}
	return cloud;
}

void cloud_free(struct cloud *cloud)
{
	if (!cloud)
		return;
	stacks_free(cloud->stacks);
	lambda_free(cloud->lambda);
	ecr_free(cloud->ecr);
	s3_free(cloud->s3);
	logs_free(cloud->logs);
	iam_free(cloud->iam);
	free(cloud->counters);
	link_free(cloud->link);
	faults_free(cloud->faults);
	free(cloud);
}

int64_t cloud_now_s(struct cloud *cloud)
{
	return clock_realtime_ns() / 1000000000 + cloud_setting(cloud, SETTING_CLOCK_OFFSET_S);
}

const char *cloud_new_id(struct arena *arena)
{
	uint32_t r[4];
	if (RAND_bytes((unsigned char *)r, sizeof r) != 1)
		abort();
	return arena_printf(arena, "%08x-%04x-%04x-%04x-%04x%08x", r[0], r[1] >> 16, r[1] & 0xffff, r[2] >> 16, r[2] & 0xffff, r[3]);
}

void cloud_json(struct cloud_response *response, int status, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	if (!text)
		abort();
	buf_reset(&response->body);
	buf_append_str(&response->body, text);
	free(text);
	response->status = status;
	cloud_add_header(response, "Content-Type", "application/json");
}

json_t *cloud_body(struct cloud_request *request, struct cloud_response *response)
{
	json_error_t problem;
	json_t *body = json_loadb(request->body.ptr ? request->body.ptr : "", request->body.len, 0, &problem);
	if (json_is_object(body))
		return body;
	cloud_error(request, response, 400, "SerializationException", "Could not parse request body into json: %s", body ? "no object" : problem.text);
	json_decref(body);
	return NULL;
}

const char *cloud_target(const struct cloud_request *request, const char *prefix, const char *const *operations)
{
	const char *target = cloud_header(request, "x-amz-target");
	if (!target || strncmp(target, prefix, strlen(prefix)) != 0)
		return NULL;
	while (*operations && strcmp(*operations, target + strlen(prefix)) != 0)
		operations++;
	return *operations;
}

static const struct cloud_service *find_service(const char *name)
{
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (name && strcmp(services[i].name, name) == 0)
			return &services[i];
	return NULL;
}

/* Unsigned, and a registry's path: with a token, or to be asked for one. */
static bool is_registry(const struct cloud_request *request)
{
	const char *authorization = cloud_header(request, "authorization");
	return strncmp(request->path, "/v2/", 4) == 0 && (!authorization || strncmp(authorization, "AWS4-", 5) != 0) && !cloud_query(request, "X-Amz-Algorithm");
}

static enum cloud_protocol protocol_of(const struct cloud_request *request)
{
	const struct cloud_service *service = is_registry(request) ? &registry : find_service(request->service);
	return service ? service->protocol : CLOUD_XML;
}

static void xml_error(struct cloud_request *request, struct cloud_response *response, const char *code, const char *message)
{
	cloud_add_header(response, "Content-Type", "application/xml");
	buf_printf(&response->body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>", code);
	xml_append(&response->body, message);
	buf_append_str(&response->body, "</Message><Resource>");
	xml_append(&response->body, request->path);
	buf_printf(&response->body, "</Resource><RequestId>%s</RequestId></Error>", cloud_new_id(request->arena));
}

static void query_error(struct cloud_request *request, struct cloud_response *response, const char *code, const char *message)
{
	cloud_add_header(response, "Content-Type", "text/xml");
	buf_printf(&response->body, "<ErrorResponse><Error><Type>%s</Type><Code>%s</Code><Message>", response->status < 500 ? "Sender" : "Receiver", code);
	xml_append(&response->body, message);
	buf_printf(&response->body, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>", cloud_new_id(request->arena));
}

void cloud_error(struct cloud_request *request, struct cloud_response *response, int status, const char *code, const char *message_format, ...)
{
	_cleanup_buf_ struct buf message = { 0 };
	va_list args;
	va_start(args, message_format);
	buf_vprintf(&message, message_format, args);
	va_end(args);
	buf_reset(&response->body);
	response->n_headers = 0;
	response->content_length = -1;
	response->status = status;
	/* Services differ in the capital; clients take either. */
	json_t *json = json_pack("{s:s#, s:s#}", "Message", buf_str(&message), (int)message.len, "message", buf_str(&message), (int)message.len);
	switch (protocol_of(request)) {
	case CLOUD_XML:
		xml_error(request, response, code, buf_str(&message));
		break;
	case CLOUD_QUERY:
		query_error(request, response, code, buf_str(&message));
		break;
	case CLOUD_REST_JSON:
		cloud_add_header(response, "x-amzn-ErrorType", code);
		json_object_set_new(json, "Type", json_string(status < 500 ? "User" : "Service"));
		cloud_json(response, status, json_incref(json));
		break;
	case CLOUD_JSON:
		json_object_set_new(json, "__type", json_string(code));
		cloud_json(response, status, json_incref(json));
		break;
	case CLOUD_REGISTRY:
		cloud_json(response, status, json_pack("{s:[{s:s, s:s#}]}", "errors", "code", code, "message", buf_str(&message), (int)message.len));
		break;
	}
	json_decref(json);
}

/* All of it as it came, TLS aside. */
static size_t request_bytes(const struct cloud_request *request)
{
	if (request->http2)
		return request->frames_bytes;
	size_t n = strlen(request->target) + 20 + request->body.len;
	for (size_t i = 0; i < request->n_headers; i++)
		n += strlen(request->headers[i].name) + strlen(request->headers[i].value) + 4;
	return n;
}

static void count(struct cloud *cloud, const char *service, const char *operation, const struct cloud_request *request,
		const struct cloud_response *response)
{
	struct counters *counters = cloud->counters;
	pthread_mutex_lock(&counters->lock);
	struct counter *c = counters->all;
	while (c < counters->all + counters->n && (strcmp(c->operation, operation) != 0 || strcmp(c->service, service) != 0))
		c++;
	if (c == counters->all + counters->n && counters->n < sizeof counters->all / sizeof counters->all[0]) {
		counters->n++;
		*c = (struct counter){ service, operation };
	}
	if (c < counters->all + counters->n) {
		c->requests++;
		c->errors += response->status >= 400 || response->status == 0;
		c->bytes_in += (int64_t)request->body.len;
		c->received += lambda_is_inside(cloud, request) ? 0 : (int64_t)request_bytes(request);
		c->bytes_out += response->status == 0 ? 0 : response->cut_after >= 0 ? response->cut_after : (int64_t)response->body.len;
	}
	pthread_mutex_unlock(&counters->lock);
}

json_t *counters_json(struct cloud *cloud)
{
	json_t *all = json_object();
	pthread_mutex_lock(&cloud->counters->lock);
	for (size_t i = 0; i < cloud->counters->n; i++) {
		const struct counter *c = &cloud->counters->all[i];
		json_t *service = json_object_get(all, c->service);
		if (!service) {
			service = json_object();
			json_object_set_new(all, c->service, service);
		}
		json_object_set_new(service, c->operation, json_pack("{s:I, s:I, s:I, s:I, s:I}", "requests", (json_int_t)c->requests, "errors",
				(json_int_t)c->errors, "bytes_in", (json_int_t)c->bytes_in, "bytes_out", (json_int_t)c->bytes_out, "received", (json_int_t)c->received));
	}
	pthread_mutex_unlock(&cloud->counters->lock);
	return all;
}

struct call {
	struct cloud *cloud;
	struct cloud_request *request;
	struct cloud_response *response;
	const char *operation;
};

static bool strike(const struct call *call, enum fault_kind kind, const char **value)
{
	return faults_strike(call->cloud->faults, call->request->service, call->operation, kind, call->request->arena, value);
}

static void fail(const struct call *call, int status)
{
	bool s3 = strcmp(call->request->service, "s3") == 0;
	const char *code = status == 409 ? "ConditionalRequestConflict"
			   : status == 502 ? (s3 ? "BadGateway" : "EC2ThrottledException")
			   : status == 503 || status == 504 ? "ServiceUnavailable"
			   : s3 ? "InternalError" : "ServiceException";
	cloud_error(call->request, call->response, status, code, "This fault was ordered.");
}

static void cut(struct cloud_response *response)
{
	buf_reset(&response->body);
	response->status = 0;
}

/* True: that is the answer, without any work being done. */
static bool fault_before(const struct call *call)
{
	struct cloud_request *request = call->request;
	bool s3 = strcmp(request->service, "s3") == 0, query = protocol_of(request) == CLOUD_QUERY;
	const char *value = "";
	if (strike(call, FAULT_LATENCY, &value))
		poll(NULL, 0, atoi(value));
	if (strike(call, FAULT_REFUSE, NULL)) {
		cut(call->response);
	} else if (strike(call, FAULT_EXPIRED, NULL)) {
		cloud_error(request, call->response, s3 || protocol_of(request) == CLOUD_JSON ? 400 : 403, s3 || query ? "ExpiredToken" : "ExpiredTokenException",
				"The security token included in the request is expired");
	} else if (strcmp(request->service, "lambda") != 0 && strike(call, FAULT_THROTTLE, &value)) {
		if (s3)
			cloud_error(request, call->response, 503, "SlowDown", "Please reduce your request rate.");
		else if (query)
			cloud_error(request, call->response, 400, "Throttling", "Rate exceeded");
		else if (protocol_of(request) == CLOUD_JSON)
			cloud_error(request, call->response, 400, "ThrottlingException", "Rate exceeded");
		else
			cloud_error(request, call->response, 429, "TOOMANYREQUESTS", "Rate exceeded");
	} else if (strike(call, FAULT_ERROR, &value)) {
		fail(call, value[0] ? atoi(value) : 500);
	} else {
		return false;
	}
	return true;
}

static void fault_after(const struct call *call)
{
	struct cloud_response *response = call->response;
	const char *value = "";
	if (strike(call, FAULT_ERROR_AFTER, &value))
		fail(call, value[0] ? atoi(value) : 500);
	if (strike(call, FAULT_LOSE_ANSWER, NULL))
		cut(response);
	if (response->body.len > 0 && strike(call, FAULT_CORRUPT, NULL))
		response->body.ptr[response->body.len / 2] ^= 0x20;
	if (response->body.len > 0 && strike(call, FAULT_TRUNCATE, NULL))
		response->body.len /= 2;
	if (response->body.len > 0 && strike(call, FAULT_CUT, NULL))
		response->cut_after = (int64_t)response->body.len / 2;
	if (strike(call, FAULT_SLOW, &value))
		response->bytes_per_s = atoi(value);
}

/* True: the caller lacks the permission, and the answer says so. */
static bool denied(const struct call *call, const struct cloud_service *service)
{
	struct cloud_request *request = call->request;
	struct error err;
	const char *resource = service->resource ? service->resource(call->cloud, request) : "*";
	if (permissions_check(call->cloud, permissions_caller(call->cloud, request->access_key, request->arena), service->name, call->operation, resource,
			&err) == 0)
		return false;
	static const struct {
		int status;
		const char *code;
	} refusals[] = {
		[CLOUD_XML] = { 403, "AccessDenied" },
		[CLOUD_REST_JSON] = { 403, "AccessDeniedException" },
		[CLOUD_JSON] = { 400, "AccessDeniedException" },
		[CLOUD_QUERY] = { 403, "AccessDenied" },
		[CLOUD_REGISTRY] = { 403, "DENIED" },
	};
	cloud_error(request, call->response, refusals[service->protocol].status, refusals[service->protocol].code, "%s", err.text);
	return true;
}

/* Its token is all that it is signed by (tests/cloud/sts.h). */
static bool is_web_identity(const struct cloud_request *request)
{
	const char *action = strcmp(request->method, "POST") == 0 && !cloud_header(request, "authorization") ? query_action(request) : NULL;
	return action && strcmp(action, STS_WEB_IDENTITY) == 0;
}

static void handle(const struct call *call, const struct cloud_service *service)
{
	struct sigv4_refusal refusal;
	if (fault_before(call))
		return;
	if (service->protocol == CLOUD_REGISTRY) {
		if (!registry_check_token(call->cloud, call->request, call->response))
			return;
	} else if (is_web_identity(call->request)) {
		service->handle(call->cloud, call->request, call->response);
		fault_after(call);
		return;
	} else if (sigv4_check(call->cloud->keys, call->cloud->region, cloud_now_s(call->cloud), call->request, &refusal) == SIGV4_REFUSED) {
		cloud_error(call->request, call->response, refusal.status, refusal.code, "%s", refusal.message);
		return;
	}
	if (denied(call, service))
		return;
	service->handle(call->cloud, call->request, call->response);
	fault_after(call);
}

static bool has_header(const struct cloud_response *response, const char *name)
{
	for (size_t i = 0; i < response->n_headers; i++)
		if (strcmp(response->headers[i].name, name) == 0)
			return true;
	return false;
}

void cloud_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	bool inside = lambda_is_inside(cloud, request);
	if (!inside)
		link_carry_up(cloud, request_bytes(request));
	request->service = sigv4_service(request);
	const struct cloud_service *service = is_registry(request) ? &registry : find_service(request->service);
	if (service == &registry)
		request->service = registry.name;
	if (!service && is_web_identity(request))
		service = find_service(request->service = "sts");
	if (!service) {
		struct sigv4_refusal refusal;
		if (sigv4_check(cloud->keys, cloud->region, cloud_now_s(cloud), request, &refusal) == SIGV4_REFUSED)
			cloud_error(request, response, refusal.status, refusal.code, "%s", refusal.message);
		else
			cloud_error(request, response, 404, "UnknownService", "This cloud has no service \"%s\".", request->service);
		return;
	}
	const char *operation = service->operation(request);
	struct call call = { cloud, request, response, operation ? operation : "Unknown" };
	handle(&call, service);
	if (response->status != 0 && !has_header(response, "x-amzn-RequestId")) {
		const char *id = cloud_new_id(request->arena);
		cloud_add_header(response, strcmp(service->name, "s3") == 0 ? "x-amz-request-id" : "x-amzn-RequestId", id);
	}
	count(cloud, service->name, call.operation, request, response);
	if (!inside)
		link_carry_down(cloud, 100 + response->body.len);
}

void cloud_handle_plain(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	if (strncmp(request->path, "/_cloud/", 8) == 0)
		control_handle(cloud, request, response);
	else
		cloud_handle(cloud, request, response);
}
