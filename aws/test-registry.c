#include "aws/registry.h"

#include <fcntl.h>
#include <unistd.h>

#include "aws/ecr.h"
#include "aws/oci.h"
#include "aws/test-session.h"
#include "base/file.h"

/* --- ECR ------------------------------------------------------------------------------------------------------------ */

static void ecr__a_login_has_a_password_and_a_place(void **state)
{
	struct script s;
	struct ecr_login login;
	script_begin(&s);
	script_add(&s, 200, NULL,
		"{\"authorizationData\":[{\"authorizationToken\":\"QVdTOnBhc3N3b3Jk\",\"expiresAt\":1.7954586E9,\"proxyEndpoint\":\"https://1.dkr.ecr.x.amazonaws.com/\"}]}");
	assert_int_equal(ecr_login(&s.session, &s.arena, &login, &s.err), 0);
	assert_has(buf_str(&s.asked), "POST / AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken AWS4-HMAC-SHA256\n{}\n");
	assert_string_equal(login.user, "AWS");
	assert_string_equal(login.password, "password");
	assert_string_equal(login.endpoint, "https://1.dkr.ecr.x.amazonaws.com");
	assert_int_equal(login.expires_s, 1795458600);
	static const char *const bad[] = { "{}", "[]", "{\"authorizationData\":[]}", "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOnBhc3N3b3Jk\"}]}",
		"{\"authorizationData\":[{\"authorizationToken\":\"QVdT\",\"proxyEndpoint\":\"https://x\"}]}",
		"{\"authorizationData\":[{\"authorizationToken\":\"QVdTOnBhc3N3b3Jk!\",\"proxyEndpoint\":\"https://x\"}]}",
		"{\"authorizationData\":[{\"authorizationToken\":\"QVdTOnBhc3N3b3Jk\",\"proxyEndpoint\":\"ftp://x\"}]}" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		script_reset(&s);
		script_add(&s, 200, NULL, bad[i]);
		assert_int_equal(ecr_login(&s.session, &s.arena, &login, &s.err), -1);
		assert_null(strstr(s.err.text, "QVdT"));
	}
	script_reset(&s);
	script_add(&s, 400, NULL, "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}");
	assert_int_equal(ecr_login(&s.session, &s.arena, &login, &s.err), -1);
	assert_has(s.err.text, "ecr:GetAuthorizationToken");
	script_end(&s);
}

static void ecr__a_repository_has_an_address(void **state)
{
	struct script s;
	const char *uri;
	script_begin(&s);
	script_add(&s, 200, NULL, "{\"repositories\":[{\"repositoryName\":\"llama\",\"repositoryUri\":\"1.dkr.ecr.x.amazonaws.com/llama\"}]}");
	assert_int_equal(ecr_describe_repository(&s.session, "llama", &s.arena, &uri, &s.err), 0);
	assert_string_equal(uri, "1.dkr.ecr.x.amazonaws.com/llama");
	assert_has(buf_str(&s.asked), "{\"repositoryNames\":[\"llama\"]}\n");
	script_reset(&s);
	script_add(&s, 400, NULL, "{\"__type\":\"RepositoryNotFoundException\",\"message\":\"The repository with name 'llama' does not exist\"}");
	assert_int_equal(ecr_describe_repository(&s.session, "llama", &s.arena, &uri, &s.err), ECR_ABSENT);
	script_reset(&s);
	script_add(&s, 200, NULL, "{\"repositories\":[]}");
	assert_int_equal(ecr_describe_repository(&s.session, "llama", &s.arena, &uri, &s.err), -1);
	script_end(&s);
}

/* --- texts ---------------------------------------------------------------------------------------------------------- */

static void registry__an_image_uri_names_a_repository(void **state)
{
	struct arena arena = ARENA_INIT;
	assert_string_equal(registry_repository_of("1.dkr.ecr.x.amazonaws.com/llama:latest", &arena), "llama");
	assert_string_equal(registry_repository_of("localhost:5000/a/b@sha256:12", &arena), "a/b");
	assert_string_equal(registry_repository_of("h/x", &arena), "x");
	assert_null(registry_repository_of("llama", &arena));
	assert_null(registry_repository_of("h/", &arena));
	assert_null(registry_repository_of("h/:latest", &arena));
	assert_null(registry_repository_of("/x", &arena));
	arena_deinit(&arena);
}

static void registry__an_upload_goes_where_the_registry_says(void **state)
{
	struct arena arena = ARENA_INIT;
	struct digest digest = digest_of(slice_str("x"));
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&digest, hex);
	static const struct {
		const char *location, *url; /* "" : refused */
		bool own;
	} rows[] = {
		{ "/v2/a/blobs/uploads/1", "https://h:1/v2/a/blobs/uploads/1?digest=sha256:", true },
		{ "/v2/a?_state=x", "https://h:1/v2/a?_state=x&digest=sha256:", true },
		{ "https://h:1/u?s=%2F", "https://h:1/u?s=%2F&digest=sha256:", true },
		{ "HTTPS://H:1/u", "HTTPS://H:1/u?digest=sha256:", true },
		{ "https://h/u", "https://h/u?digest=sha256:", false },
		{ "https://h:12/u", "https://h:12/u?digest=sha256:", false },
		{ "https://h:1@evil/u", "https://h:1@evil/u?digest=sha256:", false },
		{ "https://s3/u#frag?x", "https://s3/u?digest=sha256:", false },
		{ "http://h:1/u", "", false },
		{ "//evil/u", "", false },
		{ "u", "", false },
		{ "", "", false },
		{ "/a b", "", false },
		{ "/a\r\nX: y", "", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *url;
		bool own;
		struct error err;
		int rc = registry_resolve("https://h:1", rows[i].location, &digest, &arena, &url, &own, &err);
		assert_int_equal(rc, *rows[i].url ? 0 : -1);
		if (rc < 0)
			continue;
		assert_string_equal(url, arena_printf(&arena, "%s%s", rows[i].url, hex));
		assert_int_equal(own, rows[i].own);
	}
	arena_deinit(&arena);
}

/* --- pushing -------------------------------------------------------------------------------------------------------- */

static char dir[64];
static const char layer[] = "as good as a tar";

/* A layout with a configuration and a layer, and the answers' heads with its digests. */
struct fixture {
	struct script s;
	struct registry registry;
	struct oci_contents contents;
	const char *blob[2], *manifest; /* "sha256:…" */
	char config_head[200], layer_head[200], manifest_head[200];
	int64_t told_bytes, total_bytes;
	unsigned told;
};

static const char *name_of(const struct digest *digest, struct arena *arena)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	return arena_printf(arena, "sha256:%s", hex);
}

static void begin(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	script_begin(&f->s);
	snprintf(dir, sizeof dir, "/tmp/test-registry-XXXXXX");
	if (!mkdtemp(dir))
		fail();
	static const char *const words[] = { "/llama/runtime", NULL }, *const none[] = { NULL };
	const struct oci_layer layers[] = { { slice_str(layer), "test" } };
	const struct oci_image image = {
		.title = "test", .architecture = "amd64", .entrypoint = words, .env = none, .layers = layers, .n_layers = 1
	};
	assert_int_equal(oci_write(dir, &image, NULL, &f->s.err), 0);
	assert_int_equal(oci_read(dir, &f->s.arena, &f->contents, &f->s.err), 0);
	assert_int_equal(f->contents.n_blobs, 2);
	assert_string_equal(f->contents.architecture, "amd64");
	for (int i = 0; i < 2; i++)
		f->blob[i] = name_of(&f->contents.blobs[i], &f->s.arena);
	f->manifest = name_of(&f->contents.manifest, &f->s.arena);
	snprintf(f->config_head, sizeof f->config_head, "Docker-Content-Digest: %s\r\n", f->blob[0]);
	snprintf(f->layer_head, sizeof f->layer_head, "Docker-Content-Digest: %s\r\n", f->blob[1]);
	snprintf(f->manifest_head, sizeof f->manifest_head, "Docker-Content-Digest: %s\r\n", f->manifest);
	f->registry = (struct registry){ .endpoint = server_url(f->s.server), .user = "AWS", .password = "p", .repository = "llama" };
}

static void end(struct fixture *f)
{
	assert_int_equal(file_remove_tree(AT_FDCWD, dir, &f->s.err), 0);
	script_end(&f->s);
}

static void progress(void *ctx, const char *blob, int64_t sent_bytes, int64_t total_bytes)
{
	struct fixture *f = ctx;
	assert_true(sent_bytes <= total_bytes);
	f->told_bytes = sent_bytes;
	f->total_bytes = total_bytes;
	f->told++;
}

static int push(struct fixture *f, struct registry_pushed *ret)
{
	return registry_push(&f->s.session, &f->registry, dir, "latest", progress, f, ret, &f->s.err);
}

static void answer(struct fixture *f, int status, const char *head, const char *body)
{
	script_add(&f->s, status, head, body);
}

/* What follows has a connection of its own: on one that was used before libcurl repeats what was cut. */
#define ACCEPTED(path) answer(&f, 202, "Location: " path "\r\nConnection: close\r\n", NULL)

static void registry__pushes_what_is_missing(void **state)
{
	struct fixture f;
	struct registry_pushed pushed;
	begin(&f);
	answer(&f, 200, NULL, NULL);
	answer(&f, 404, NULL, NULL);
	ACCEPTED("/upload/1?state=x");
	answer(&f, 201, f.layer_head, NULL);
	answer(&f, 201, f.manifest_head, NULL);
	assert_int_equal(push(&f, &pushed), 0);
	_cleanup_buf_ struct buf packed = { 0 };
	assert_int_equal(file_read(oci_blob_path(dir, &f.contents.blobs[1], &f.s.arena), 1 << 20, &packed, &f.s.err), 0);
	_cleanup_buf_ struct buf expected = { 0 };
	buf_printf(&expected,
		"HEAD /v2/llama/blobs/%s  Basic\n\n"
		"HEAD /v2/llama/blobs/%s  Basic\n\n"
		"POST /v2/llama/blobs/uploads/  Basic\n\n"
		"PUT /upload/1?state=x&digest=%s  Basic\n",
		f.blob[0], f.blob[1], f.blob[1]);
	buf_append_slice(&expected, buf_slice(&packed));
	buf_printf(&expected, "\nPUT /v2/llama/manifests/latest  Basic\n%s\n", f.contents.manifest_bytes.ptr);
	assert_true(slice_equal(buf_slice(&f.s.asked), buf_slice(&expected)));
	assert_true(digest_equal(&pushed.manifest, &f.contents.manifest));
	assert_int_equal(pushed.blobs_sent, 1);
	assert_int_equal(pushed.blobs_there, 1);
	assert_int_equal(pushed.bytes_sent, f.contents.blobs[1].size_bytes);
	assert_int_equal(f.told_bytes, pushed.bytes_sent);
	assert_int_equal(f.total_bytes, pushed.bytes_sent);
	script_is_over(&f.s);
	end(&f);
}

static void registry__an_upload_that_is_cut_is_begun_again(void **state)
{
	struct fixture f;
	struct registry_pushed pushed;
	begin(&f);
	answer(&f, 404, NULL, NULL);
	answer(&f, 200, NULL, NULL);
	ACCEPTED("/upload/1");
	answer(&f, 0, NULL, NULL);   /* cut */
	answer(&f, 404, NULL, NULL); /* not there */
	answer(&f, 503, NULL, NULL);
	ACCEPTED("/upload/2");
	answer(&f, 404, NULL, "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\",\"message\":\"gone\"}]}");
	answer(&f, 404, NULL, NULL);
	ACCEPTED("/upload/3");
	answer(&f, 0, NULL, NULL);
	answer(&f, 200, NULL, NULL); /* its answer alone was lost */
	answer(&f, 201, f.manifest_head, NULL);
	assert_int_equal(push(&f, &pushed), 0);
	assert_has(buf_str(&f.s.asked), "PUT /upload/2?digest=");
	assert_int_equal(pushed.blobs_sent, 1);
	script_is_over(&f.s);

	script_reset(&f.s);
	answer(&f, 404, NULL, NULL);
	answer(&f, 200, NULL, NULL);
	for (unsigned i = 0; i < 5; i++) {
		ACCEPTED("/upload/1");
		answer(&f, 0, NULL, NULL);
		if (i < 4)
			answer(&f, 404, NULL, NULL);
	}
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, "5 attempts, and no end: cannot push sha256:");
	script_is_over(&f.s);
	end(&f);
}

static void registry__the_password_stays_at_home(void **state)
{
	struct fixture f;
	struct registry_pushed pushed;
	struct script other;
	begin(&f);
	script_begin(&other);
	script_add(&other, 201, f.config_head, NULL);
	const char *location = arena_printf(&f.s.arena, "Location: %s/elsewhere\r\n", server_url(other.server));
	answer(&f, 404, NULL, NULL);
	answer(&f, 200, NULL, NULL);
	answer(&f, 202, location, NULL);
	answer(&f, 201, f.manifest_head, NULL);
	assert_int_equal(push(&f, &pushed), 0);
	assert_has(buf_str(&other.asked), arena_printf(&f.s.arena, "PUT /elsewhere?digest=%s  \n{", f.blob[0])); /* no Authorization */
	script_is_over(&other);
	script_end(&other);
	end(&f);
}

static void registry__refusals_are_explained(void **state)
{
	struct fixture f;
	struct registry_pushed pushed;
	begin(&f);
	answer(&f, 403, NULL, NULL);
	assert_int_equal(push(&f, &pushed), -1);
	assert_int_equal(f.s.err.code, EACCES);
	assert_has(f.s.err.text, "ecr:BatchCheckLayerAvailability");
	script_reset(&f.s);
	answer(&f, 404, NULL, NULL);
	answer(&f, 404, NULL, NULL);
	answer(&f, 403, NULL,
		"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"User: u is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:r because\"}]}");
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, "to the repository llama: these credentials lack the permission ecr:InitiateLayerUpload on arn:r");
	script_reset(&f.s);
	answer(&f, 404, NULL, NULL);
	answer(&f, 404, NULL, NULL);
	answer(&f, 404, NULL, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"The repository with name 'llama' does not exist\"}]}");
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, "NAME_UNKNOWN: The repository with name 'llama' does not exist");
	script_reset(&f.s);
	answer(&f, 403, NULL, "");
	f.s.answers[0].status = 200;
	answer(&f, 200, NULL, NULL);
	answer(&f, 403, NULL, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"Your authorization token has expired. Reauthenticate and try again.\"}]}");
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, "token has expired: run this again");
	script_reset(&f.s);
	answer(&f, 200, NULL, NULL);
	answer(&f, 200, NULL, NULL);
	answer(&f, 201, f.config_head, NULL);
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, "the registry has kept it as sha256:");
	script_is_over(&f.s);
	end(&f);
}

static void registry__a_layout_that_is_not_whole_is_not_begun(void **state)
{
	struct fixture f;
	struct registry_pushed pushed;
	begin(&f);
	const char *path = oci_blob_path(dir, &f.contents.blobs[1], &f.s.arena);
	_cleanup_buf_ struct buf packed = { 0 };
	assert_int_equal(file_read(path, 1 << 20, &packed, &f.s.err), 0);
	packed.ptr[packed.len / 2] ^= 1;
	assert_int_equal(file_replace(path, buf_slice(&packed), 0644, &f.s.err), 0);
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, "has other bytes than it is named by");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, path);
	assert_int_equal(file_replace(arena_printf(&f.s.arena, "%s/index.json", dir),
				 slice_str("{\"manifests\":[{\"mediaType\":\"" OCI_INDEX_TYPE "\",\"digest\":\"sha256:0\",\"size\":1}]}"), 0644, &f.s.err),
		0);
	assert_int_equal(push(&f, &pushed), -1);
	assert_has(f.s.err.text, "Lambda takes one image of one platform");
	assert_int_equal(f.s.n_asked, 0);
	end(&f);
}

static void registry__knows_whether_an_image_is_there(void **state)
{
	struct fixture f;
	bool there = false;
	begin(&f);
	answer(&f, 200, f.manifest_head, NULL);
	assert_int_equal(registry_has(&f.s.session, &f.registry, &f.contents.manifest, &there, &f.s.err), 0);
	assert_true(there);
	assert_has(buf_str(&f.s.asked), arena_printf(&f.s.arena, "HEAD /v2/llama/manifests/%s  Basic", f.manifest));
	script_reset(&f.s);
	answer(&f, 502, NULL, NULL);
	answer(&f, 404, NULL, NULL);
	assert_int_equal(registry_has(&f.s.session, &f.registry, &f.contents.manifest, &there, &f.s.err), 0);
	assert_false(there);
	assert_int_equal(f.s.waited_ms, 500);
	script_reset(&f.s);
	answer(&f, 401, NULL, NULL);
	assert_int_equal(registry_has(&f.s.session, &f.registry, &f.contents.manifest, &there, &f.s.err), -1);
	assert_int_equal(f.s.err.code, EACCES);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ecr__a_login_has_a_password_and_a_place),
		cmocka_unit_test(ecr__a_repository_has_an_address),
		cmocka_unit_test(registry__an_image_uri_names_a_repository),
		cmocka_unit_test(registry__an_upload_goes_where_the_registry_says),
		cmocka_unit_test(registry__pushes_what_is_missing),
		cmocka_unit_test(registry__an_upload_that_is_cut_is_begun_again),
		cmocka_unit_test(registry__the_password_stays_at_home),
		cmocka_unit_test(registry__refusals_are_explained),
		cmocka_unit_test(registry__a_layout_that_is_not_whole_is_not_begun),
		cmocka_unit_test(registry__knows_whether_an_image_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
