#include "tests/cloud/registry.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/ecr.h"

enum { TOKEN_S = 12 * 3600, START_MS = 60000, WAIT_MS = 10 };

struct registry {
	struct cloud *cloud;
	struct arena arena;
	const char *directory, *blobs;
	const char *socket; /* by /proc: a socket's path may not be long */
	int directory_fd;
	unsigned char secret[32]; /* of the tokens */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum { IDLE, STARTING, RUNNING, ENDED } state;
	pid_t child;
	pthread_t keeper;
	json_t *patched; /* paths of uploads that have had their PATCH */
};

/* --- The child ---------------------------------------------------------------------------------------------------- */

static void set_state(struct registry *registry, int state, pid_t child)
{
	pthread_mutex_lock(&registry->lock);
	registry->state = state;
	registry->child = child;
	pthread_cond_broadcast(&registry->changed);
	pthread_mutex_unlock(&registry->lock);
}

static bool answers(const struct registry *registry)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strncpy(address.sun_path, registry->socket, sizeof(address.sun_path) - 1);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* A thread of its own from the child's beginning to its end, because a child that dies with its parent dies with the
 * thread that made it. */
static void *keep(void *ctx)
{
	struct registry *registry = ctx;
	int log = openat(registry->directory_fd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || fchdir(registry->directory_fd) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
			_exit(126);
		execlp("docker-registry", "docker-registry", "serve", "config.yml", NULL);
		_exit(127);
	}
	if (log >= 0)
		close(log);
	if (child < 0) {
		set_state(registry, ENDED, 0);
		return NULL;
	}
	set_state(registry, STARTING, child);
	int64_t until_ms = clock_monotonic_ms() + START_MS;
	bool ended = false;
	while (!answers(registry) && clock_monotonic_ms() < until_ms && !ended) {
		siginfo_t info = { 0 };
		ended = waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == child;
		poll(NULL, 0, WAIT_MS);
	}
	if (!ended)
		set_state(registry, RUNNING, child);
	siginfo_t info;
	while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	set_state(registry, ENDED, 0); /* before its id is anybody else's */
	waitpid(child, NULL, 0);
	return NULL;
}

/* False: there is none. */
static bool start(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	if (registry->state == IDLE) {
		registry->state = STARTING;
		if (pthread_create(&registry->keeper, NULL, keep, registry) != 0)
			abort();
	}
	while (registry->state == STARTING)
		pthread_cond_wait(&registry->changed, &registry->lock);
	bool runs = registry->state == RUNNING;
	pthread_mutex_unlock(&registry->lock);
	return runs;
}

struct registry *registry_new(struct cloud *cloud, struct error *err)
{
	static const char config[] = "version: 0.1\n"
				     "log: {level: warn, accesslog: {disabled: true}}\n"
				     "storage:\n"
				     "  filesystem: {rootdirectory: .}\n"
				     "http: {net: unix, addr: socket, secret: test}\n";
	struct registry *registry = calloc(1, sizeof(*registry));
	if (!registry || RAND_bytes(registry->secret, sizeof(registry->secret)) != 1)
		abort();
	registry->cloud = cloud;
	registry->patched = json_object();
	pthread_mutex_init(&registry->lock, NULL);
	pthread_cond_init(&registry->changed, NULL);
	registry->directory = arena_printf(&registry->arena, "%s/registry", cloud->state_dir);
	registry->blobs = arena_printf(&registry->arena, "%s/docker/registry/v2/blobs/sha256", registry->directory);
	registry->directory_fd = -1;
	if (mkdir(registry->directory, 0755) < 0) {
		error_set(err, errno, "cannot make directory %s", registry->directory);
	} else {
		registry->directory_fd = open(registry->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
		registry->socket = arena_printf(&registry->arena, "/proc/self/fd/%d/socket", registry->directory_fd);
		const char *path = arena_printf(&registry->arena, "%s/config.yml", registry->directory);
		if (registry->directory_fd < 0)
			error_set(err, errno, "cannot open %s", registry->directory);
		else if (file_replace(path, slice_str(config), 0644, err) == 0)
			return registry;
	}
	registry_free(registry);
	return NULL;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	pthread_mutex_lock(&registry->lock);
	bool kept = registry->state != IDLE;
	if (registry->child > 0)
		kill(registry->child, SIGKILL);
	pthread_mutex_unlock(&registry->lock);
	if (kept)
		pthread_join(registry->keeper, NULL);
	if (registry->directory_fd >= 0)
		close(registry->directory_fd);
	json_decref(registry->patched);
	pthread_cond_destroy(&registry->changed);
	pthread_mutex_destroy(&registry->lock);
	arena_deinit(&registry->arena);
	free(registry);
}

int registry_forget(struct registry *registry, const char *repository, struct error *err)
{
	static const char *const parts[] = { "_layers", "_manifests", "_uploads" };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (file_remove_tree(AT_FDCWD,
			    arena_printf(&arena, "%s/docker/registry/v2/repositories/%s/%s", registry->directory,
				    repository, parts[i]),
			    err) < 0)
			return -1;
	return 0;
}

const char *registry_blobs(const struct registry *registry)
{
	return registry->blobs;
}

/* --- Tokens ------------------------------------------------------------------------------------------------------- */

/* KEY.EXPIRES.HMAC, in the arena. */
static const char *password(
	const struct registry *registry, const char *access_key, int64_t expires_s, struct arena *arena)
{
	const char *text = arena_printf(arena, "%s.%lld", access_key, (long long)expires_s);
	unsigned char mac[32];
	if (!HMAC(EVP_sha256(), registry->secret, sizeof(registry->secret), (const unsigned char *)text, strlen(text),
		    mac, NULL))
		abort();
	char hex[65];
	for (size_t i = 0; i < sizeof(mac); i++)
		snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	return arena_printf(arena, "%s.%s", text, hex);
}

const char *registry_token(
	struct registry *registry, const char *access_key, struct arena *arena, int64_t *ret_expires_s)
{
	*ret_expires_s = cloud_now_s(registry->cloud) + TOKEN_S;
	const char *text = arena_printf(arena, "AWS:%s", password(registry, access_key, *ret_expires_s, arena));
	char *token = arena_alloc(arena, strlen(text) * 2);
	EVP_EncodeBlock((unsigned char *)token, (const unsigned char *)text, (int)strlen(text));
	return token;
}

/* What base64 stands for, in the arena; NULL: it is none. */
static const char *from_base64(const char *base64, struct arena *arena)
{
	size_t n = strlen(base64);
	unsigned char *text = arena_zalloc(arena, n + 1);
	int length = n && n < 4096 ? EVP_DecodeBlock(text, (const unsigned char *)base64, (int)n) : -1;
	return length > 0 && strlen((char *)text) + 3 > (size_t)length ? (char *)text : NULL;
}

bool registry_check_token(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	const char *authorization = cloud_header(request, "authorization");
	struct arena *arena = request->arena;
	if (!authorization || strncasecmp(authorization, "Basic ", 6) != 0) {
		cloud_error(request, response, 401, "UNAUTHORIZED", "Not Authorized");
		cloud_add_header(response, "Www-Authenticate",
			arena_printf(arena, "Basic realm=\"https://%s/\",service=\"ecr.amazonaws.com\"",
				ecr_host(cloud, arena)));
		return false;
	}
	const char *text = from_base64(authorization + 6, arena);
	char *key = text && strncmp(text, "AWS:", 4) == 0 ? arena_strdup(arena, text + 4) : NULL;
	char *expires = key ? strchr(key, '.') : NULL;
	int64_t expires_s = 0;
	if (expires) {
		*expires++ = '\0';
		expires_s = strtoll(expires, NULL, 10);
	}
	const char *right = password(ecr_registry(cloud->ecr), key ? key : "", expires_s, arena);
	if (!expires || strcmp(text + 4, right) != 0)
		cloud_error(request, response, 400, "DENIED", "Your Authorization Token is invalid.");
	else if (expires_s <= cloud_now_s(cloud))
		cloud_error(request, response, 403, "DENIED",
			"Your authorization token has expired. Reauthenticate and try again.");
	else
		request->access_key = key;
	return request->access_key;
}

/* --- Routes ------------------------------------------------------------------------------------------------------- */

enum route { ROUTE_BLOB, ROUTE_MANIFEST, ROUTE_TAGS, ROUTE_UPLOADS, ROUTE_NONE };

/* /v2/NAME/blobs/REST: the name has slashes of its own. */
static enum route find_route(const struct cloud_request *request, const char **name, const char **rest)
{
	static const char *const words[] = { [ROUTE_UPLOADS] = "/blobs/uploads/",
		[ROUTE_BLOB] = "/blobs/",
		[ROUTE_MANIFEST] = "/manifests/",
		[ROUTE_TAGS] = "/tags/" };
	static const enum route order[] = { ROUTE_UPLOADS, ROUTE_BLOB, ROUTE_MANIFEST, ROUTE_TAGS };
	const char *path = request->path + 4;
	*name = *rest = "";
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const char *at = strstr(path, words[order[i]]);
		if (!at)
			continue;
		*name = arena_strndup(request->arena, path, (size_t)(at - path));
		*rest = at + strlen(words[order[i]]);
		return order[i];
	}
	return ROUTE_NONE;
}

const char *registry_operation(const struct cloud_request *request)
{
	static const struct {
		enum route route;
		const char *method, *operation;
	} operations[] = {
		{ ROUTE_UPLOADS, "POST", "InitiateLayerUpload" },
		{ ROUTE_UPLOADS, "PATCH", "UploadLayerPart" },
		{ ROUTE_UPLOADS, "GET", "UploadLayerPart" },
		{ ROUTE_UPLOADS, "DELETE", "UploadLayerPart" },
		{ ROUTE_UPLOADS, "PUT", "CompleteLayerUpload" },
		{ ROUTE_BLOB, "HEAD", "BatchCheckLayerAvailability" },
		{ ROUTE_BLOB, "GET", "GetDownloadUrlForLayer" },
		{ ROUTE_MANIFEST, "PUT", "PutImage" },
		{ ROUTE_MANIFEST, "GET", "BatchGetImage" },
		{ ROUTE_MANIFEST, "HEAD", "BatchGetImage" },
		{ ROUTE_TAGS, "GET", "ListImages" },
	};
	const char *name, *rest;
	enum route route = find_route(request, &name, &rest);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (operations[i].route == route && strcmp(operations[i].method, request->method) == 0)
			return operations[i].operation;
	return strcmp(request->path, "/v2/") == 0 ? "Ping" : NULL;
}

const char *registry_resource(struct cloud *cloud, const struct cloud_request *request)
{
	const char *name, *rest;
	find_route(request, &name, &rest);
	return *name ? arena_printf(
			       request->arena, "arn:aws:ecr:%s:" CLOUD_ACCOUNT ":repository/%s", cloud->region, name)
		     : "*";
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

struct answer {
	struct cloud_request *request;
	struct cloud_response *response;
};

static size_t take_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct answer *answer = ctx;
	buf_append(&answer->response->body, bytes, size * n);
	return size * n;
}

static size_t take_header(char *line, size_t size, size_t n, void *ctx)
{
	static const char *const kept[] = { "location", "docker-content-digest", "docker-distribution-api-version",
		"docker-upload-uuid", "content-type", "range", "etag", "content-range" };
	struct answer *answer = ctx;
	const char *colon = memchr(line, ':', n);
	if (!colon)
		return size * n;
	struct arena *arena = answer->request->arena;
	const char *name = arena_strndup(arena, line, (size_t)(colon - line));
	const char *value = colon + 1, *end = line + n;
	while (value < end && *value == ' ')
		value++;
	while (end > value && (end[-1] == '\r' || end[-1] == '\n'))
		end--;
	value = arena_strndup(arena, value, (size_t)(end - value));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcasecmp(name, kept[i]) == 0)
			cloud_add_header(answer->response, arena_strdup(arena, name), value);
	if (strcasecmp(name, "content-length") == 0 && strcmp(answer->request->method, "HEAD") == 0)
		answer->response->content_length = strtoll(value, NULL, 10);
	return size * n;
}

/* Hand it on to the child, with `target` for its own. */
static void forward(
	struct registry *registry, struct cloud_request *request, struct cloud_response *response, const char *target)
{
	static const char *const handed[] = { "host", "content-type", "accept", "range", "content-range" };
	struct arena *arena = request->arena;
	if (!start(registry)) {
		cloud_error(request, response, 503, "UNAVAILABLE",
			"This cloud's registry doesn't run: is docker-registry installed? See %s/log",
			registry->directory);
		return;
	}
	CURL *curl = curl_easy_init();
	struct answer answer = { request, response };
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	headers = curl_slist_append(headers, request->tls ? "X-Forwarded-Proto: https" : "X-Forwarded-Proto: http");
	for (size_t i = 0; i < request->n_headers; i++)
		for (size_t j = 0; j < sizeof(handed) / sizeof(handed[0]); j++)
			if (strcmp(request->headers[i].name, handed[j]) == 0)
				headers = curl_slist_append(
					headers, arena_printf(arena, "%s: %s", request->headers[i].name,
							 request->headers[i].value));
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, registry->socket);
	curl_easy_setopt(curl, CURLOPT_URL, arena_printf(arena, "http://registry%s", target));
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	} else if (strcmp(request->method, "GET") != 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.ptr ? request->body.ptr : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
	CURLcode done = curl_easy_perform(curl);
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	response->status = (int)status;
	if (done != CURLE_OK)
		cloud_error(request, response, 500, "UNKNOWN", "The registry behind this cloud: %s",
			curl_easy_strerror(done));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
}

/* True for the second and later ones. */
static bool patched_before(struct registry *registry, const char *path)
{
	pthread_mutex_lock(&registry->lock);
	bool before = json_object_get(registry->patched, path);
	json_object_set_new(registry->patched, path, json_true());
	pthread_mutex_unlock(&registry->lock);
	return before;
}

static void handle_upload(struct registry *registry, struct cloud_request *request, struct cloud_response *response)
{
	if (strcmp(request->method, "POST") == 0) {
		/* Nothing is mounted: it becomes a plain upload. */
		forward(registry, request, response,
			arena_strndup(request->arena, request->target, strcspn(request->target, "?")));
	} else if (strcmp(request->method, "PATCH") == 0 && patched_before(registry, request->path)) {
		response->status = 201;
		cloud_add_header(response, "Location", request->target);
		cloud_add_header(response, "Range", arena_printf(request->arena, "0-%zu", request->body.len));
	} else {
		forward(registry, request, response, request->target);
	}
}

static const char *response_header(const struct cloud_response *response, const char *name)
{
	for (size_t i = 0; i < response->n_headers; i++)
		if (strcasecmp(response->headers[i].name, name) == 0)
			return response->headers[i].value;
	return "";
}

static void put_manifest(struct registry *registry, const char *name, const char *reference,
	struct cloud_request *request, struct cloud_response *response)
{
	struct ecr *ecr = registry->cloud->ecr;
	const char *tag = strncmp(reference, "sha256:", 7) == 0 ? NULL : reference;
	const char *type = cloud_header(request, "content-type");
	struct error err;
	if (ecr_may_put(ecr, name, tag, &err) != 0) {
		cloud_error(request, response, 400, "TAG_INVALID", "%s", err.text);
		return;
	}
	forward(registry, request, response, request->target);
	if (response->status == 201 && ecr_put(ecr, name, tag, response_header(response, "docker-content-digest"),
					       type ? type : "", request->body, &err) != 0)
		cloud_error(request, response, 400, "MANIFEST_INVALID", "%s", err.text);
}

static void get_manifest(struct registry *registry, const char *name, const char *reference,
	struct cloud_request *request, struct cloud_response *response)
{
	json_t *descriptor = NULL;
	struct error err;
	if (ecr_resolve(registry->cloud->ecr, name, reference, &descriptor, &err) != 0)
		cloud_error(request, response, 404, "MANIFEST_UNKNOWN", "%s", err.text);
	else
		forward(registry, request, response,
			arena_printf(request->arena, "/v2/%s/manifests/%s", name,
				json_string_value(json_object_get(descriptor, "digest"))));
	json_decref(descriptor);
}

void registry_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	struct registry *registry = ecr_registry(cloud->ecr);
	const char *name, *rest;
	enum route route = find_route(request, &name, &rest);
	bool writes = strcmp(request->method, "PUT") == 0;
	if (strcmp(request->path, "/v2/") == 0) {
		cloud_add_header(response, "Docker-Distribution-Api-Version", "registry/2.0");
		return;
	}
	if (route != ROUTE_NONE && !ecr_has(cloud->ecr, name)) {
		cloud_error(request, response, 404, "NAME_UNKNOWN",
			"The repository with name '%s' does not exist in the registry with id '" CLOUD_ACCOUNT "'",
			name);
		return;
	}
	if (!registry_operation(request)) {
		cloud_error(request, response, 405, "UNSUPPORTED", "The operation is unsupported.");
		return;
	}
	switch (route) {
	case ROUTE_UPLOADS:
		handle_upload(registry, request, response);
		break;
	case ROUTE_MANIFEST:
		(writes ? put_manifest : get_manifest)(registry, name, rest, request, response);
		break;
	case ROUTE_BLOB:
		forward(registry, request, response, request->target);
		break;
	case ROUTE_TAGS:
		cloud_json(response, 200, json_pack("{s:s, s:o}", "name", name, "tags", ecr_tags(cloud->ecr, name)));
		break;
	case ROUTE_NONE:
		cloud_error(request, response, 405, "UNSUPPORTED", "The operation is unsupported.");
		break;
	}
}
