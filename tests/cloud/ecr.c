#include "tests/cloud/ecr.h"

#include <ctype.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/cloud/cloud.h"
#include "tests/cloud/policy.h"
#include "tests/cloud/registry.h"

struct ecr {
	struct cloud *cloud;
	struct registry *registry;
	pthread_mutex_t lock;
	/* name → {"about": as DescribeRepositories has it, "images": [as DescribeImages has them, with "manifest"],
	 * "policyText", "lifecyclePolicyText", "emptyOnDelete"} */
	json_t *repositories;
};

struct ecr *ecr_new(struct cloud *cloud, struct error *err)
{
	struct ecr *ecr = calloc(1, sizeof(*ecr));
	if (!ecr)
		abort();
	*ecr = (struct ecr){ cloud, registry_new(cloud, err), PTHREAD_MUTEX_INITIALIZER, json_object() };
	if (ecr->registry)
		return ecr;
	ecr_free(ecr);
	return NULL;
}

void ecr_free(struct ecr *ecr)
{
	if (!ecr)
		return;
	registry_free(ecr->registry);
	json_decref(ecr->repositories);
	free(ecr);
}

struct registry *ecr_registry(struct ecr *ecr)
{
	return ecr->registry;
}

const char *ecr_host(struct cloud *cloud, struct arena *arena)
{
	return arena_printf(arena, "127.0.0.1:%u", cloud->port);
}

/* --- What there is ------------------------------------------------------------------------------------------------ */

static int missing(const char *name, struct error *err)
{
	error_set(err, 0, "The repository with name '%s' does not exist in the registry with id '" CLOUD_ACCOUNT "'",
		name);
	return ECR_MISSING;
}

/* [a-z0-9]+([._-][a-z0-9]+)*, some of them between slashes. */
static bool is_name(const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < n; i++) {
		bool plain = islower((unsigned char)name[i]) || isdigit((unsigned char)name[i]);
		if (!plain && (!strchr("._-/", name[i]) || i == 0 || i + 1 == n || strchr("._-/", name[i - 1])))
			return false;
	}
	return n >= 2 && n <= 256;
}

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int configure(json_t *repository, const json_t *settings, struct error *err)
{
	static const char *const texts[] = { "lifecyclePolicyText", "policyText" };
	json_t *about = json_object_get(repository, "about");
	for (size_t i = 0; i < 2; i++) {
		json_t *text = json_object_get(settings, texts[i]);
		if (!text)
			continue;
		json_t *policy = json_loads(json_string_value(text), JSON_REJECT_DUPLICATES, NULL);
		bool right = i ? policy && policy_check(policy, POLICY_RESOURCE, NULL) == 0
			       : json_array_size(json_object_get(policy, "rules")) > 0;
		json_decref(policy);
		if (!right) {
			error_set(err, 0,
				i ? "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid "
				    "repository policy provided'"
				  : "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
				    "'Lifecycle policy validation failure'");
			return ECR_WRONG;
		}
		json_object_set(repository, texts[i], text);
	}
	static const char *const plain[] = { "imageTagMutability", "imageScanningConfiguration",
		"encryptionConfiguration" };
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (json_object_get(settings, plain[i]))
			json_object_set(about, plain[i], json_object_get(settings, plain[i]));
	return 0;
}

static double now_s(void)
{
	return (double)(clock_realtime_ns() / 1000000) / 1000;
}

int ecr_create(struct ecr *ecr, const char *name, const json_t *settings, struct error *err)
{
	if (!is_name(name)) {
		error_set(err, 0,
			"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular "
			"expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''");
		return ECR_WRONG;
	}
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	json_t *repository = json_pack("{s:{s:s, s:s, s:s, s:s, s:f, s:s, s:{s:b}, s:{s:s}}, s:[]}", "about",
		"repositoryName", name, "repositoryArn",
		arena_printf(&arena, "arn:aws:ecr:%s:" CLOUD_ACCOUNT ":repository/%s", ecr->cloud->region, name),
		"registryId", CLOUD_ACCOUNT, "repositoryUri",
		arena_printf(&arena, "%s/%s", ecr_host(ecr->cloud, &arena), name), "createdAt", now_s(),
		"imageTagMutability", "MUTABLE", "imageScanningConfiguration", "scanOnPush", 0,
		"encryptionConfiguration", "encryptionType", "AES256", "images");
	if (!repository)
		abort();
	int r = configure(repository, settings, err);
	pthread_mutex_lock(&ecr->lock);
	if (r == 0 && json_object_get(ecr->repositories, name)) {
		error_set(err, 0,
			"The repository with name '%s' already exists in the registry with id '" CLOUD_ACCOUNT "'",
			name);
		r = ECR_THERE;
	}
	if (r == 0)
		json_object_set(ecr->repositories, name, repository);
	pthread_mutex_unlock(&ecr->lock);
	json_decref(repository);
	return r;
}

int ecr_update(struct ecr *ecr, const char *name, const json_t *settings, struct error *err)
{
	pthread_mutex_lock(&ecr->lock);
	json_t *repository = json_object_get(ecr->repositories, name);
	int r = repository ? configure(repository, settings, err) : missing(name, err);
	pthread_mutex_unlock(&ecr->lock);
	return r;
}

int ecr_delete(struct ecr *ecr, const char *name, bool force, struct error *err)
{
	pthread_mutex_lock(&ecr->lock);
	const json_t *repository = json_object_get(ecr->repositories, name);
	int r = repository ? 0 : missing(name, err);
	if (r == 0 && !force && json_array_size(json_object_get(repository, "images")) > 0) {
		error_set(err, 0,
			"The repository with name '%s' in registry with id '" CLOUD_ACCOUNT
			"' cannot be deleted because it still contains images",
			name);
		r = ECR_NOT_EMPTY;
	}
	if (r == 0) {
		json_object_del(ecr->repositories, name);
		r = registry_forget(ecr->registry, name, err);
	}
	pthread_mutex_unlock(&ecr->lock);
	return r;
}

bool ecr_has(struct ecr *ecr, const char *name)
{
	pthread_mutex_lock(&ecr->lock);
	bool there = json_object_get(ecr->repositories, name);
	pthread_mutex_unlock(&ecr->lock);
	return there;
}

json_t *ecr_json(struct ecr *ecr)
{
	json_t *all = json_array(), *repository;
	const char *name;
	pthread_mutex_lock(&ecr->lock);
	json_object_foreach(ecr->repositories, name, repository)
		json_array_append_new(all, json_pack("{s:s, s:i}", "repository", name, "images",
						   (int)json_array_size(json_object_get(repository, "images"))));
	pthread_mutex_unlock(&ecr->lock);
	return all;
}

/* --- Images ------------------------------------------------------------------------------------------------------- */

/* Where the tag stands among the image's; -1: it doesn't. */
static int tag_index(const json_t *image, const char *tag)
{
	const json_t *tags = json_object_get(image, "imageTags");
	for (size_t i = 0; i < json_array_size(tags); i++)
		if (strcmp(json_string_value(json_array_get(tags, i)), tag) == 0)
			return (int)i;
	return -1;
}

/* NULL: there is none. With both, both must fit. */
static json_t *find_image(const json_t *repository, const char *digest, const char *tag, size_t *ret_index)
{
	const json_t *images = json_object_get(repository, "images");
	for (size_t i = 0; i < json_array_size(images); i++) {
		json_t *image = json_array_get(images, i);
		if ((digest && strcmp(word(image, "imageDigest"), digest) != 0) || (tag && tag_index(image, tag) < 0))
			continue;
		if (ret_index)
			*ret_index = i;
		return image;
	}
	return NULL;
}

int ecr_may_put(struct ecr *ecr, const char *name, const char *tag, struct error *err)
{
	pthread_mutex_lock(&ecr->lock);
	const json_t *repository = json_object_get(ecr->repositories, name);
	int r = repository ? 0 : missing(name, err);
	if (r == 0 && tag && strcmp(word(json_object_get(repository, "about"), "imageTagMutability"), "MUTABLE") != 0 &&
		find_image(repository, NULL, tag, NULL)) {
		error_set(err, 0,
			"The image tag '%s' already exists in the '%s' repository and cannot be overwritten because "
			"the repository is immutable.",
			tag, name);
		r = ECR_THERE;
	}
	pthread_mutex_unlock(&ecr->lock);
	return r;
}

/* Of the layers, which is what AWS counts. */
static json_int_t image_size(const json_t *manifest)
{
	const json_t *layers = json_object_get(manifest, "layers");
	json_int_t size = 0;
	for (size_t i = 0; i < json_array_size(layers); i++)
		size += json_integer_value(json_object_get(json_array_get(layers, i), "size"));
	return size;
}

int ecr_put(struct ecr *ecr, const char *name, const char *tag, const char *digest, const char *media_type,
	struct slice manifest, struct error *err)
{
	json_t *parsed = json_loadb(manifest.ptr ? manifest.ptr : "", manifest.len, 0, NULL);
	pthread_mutex_lock(&ecr->lock);
	json_t *repository = json_object_get(ecr->repositories, name);
	int r = repository ? 0 : missing(name, err);
	if (r == 0) {
		json_t *before = tag ? find_image(repository, NULL, tag, NULL) : NULL;
		if (before)
			json_array_remove(json_object_get(before, "imageTags"), (size_t)tag_index(before, tag));
		json_t *image = find_image(repository, digest, NULL, NULL);
		if (!image) {
			image = json_pack("{s:s, s:s, s:s, s:f, s:I, s:s, s:[], s:s#}", "registryId", CLOUD_ACCOUNT,
				"repositoryName", name, "imageDigest", digest, "imagePushedAt", now_s(),
				"imageSizeInBytes", image_size(parsed), "imageManifestMediaType", media_type,
				"imageTags", "manifest", manifest.ptr, (int)manifest.len);
			if (image)
				json_array_append_new(json_object_get(repository, "images"), image);
		}
		if (!image) {
			error_set(err, 0, "the manifest is not in UTF-8");
			r = ECR_WRONG;
		} else if (tag) {
			json_array_append_new(json_object_get(image, "imageTags"), json_string(tag));
		}
	}
	pthread_mutex_unlock(&ecr->lock);
	json_decref(parsed);
	return r;
}

int ecr_resolve(struct ecr *ecr, const char *name, const char *reference, json_t **ret, struct error *err)
{
	bool by_digest = strncmp(reference, "sha256:", 7) == 0;
	pthread_mutex_lock(&ecr->lock);
	const json_t *repository = json_object_get(ecr->repositories, name);
	int r = repository ? 0 : missing(name, err);
	const json_t *image = find_image(repository, by_digest ? reference : NULL, by_digest ? NULL : reference, NULL);
	if (r == 0 && !image) {
		error_set(err, 0, "Requested image not found");
		r = ECR_MISSING;
	}
	if (image)
		*ret = json_pack("{s:O, s:O, s:I}", "mediaType", json_object_get(image, "imageManifestMediaType"),
			"digest", json_object_get(image, "imageDigest"), "size",
			(json_int_t)json_string_length(json_object_get(image, "manifest")));
	pthread_mutex_unlock(&ecr->lock);
	return r;
}

json_t *ecr_tags(struct ecr *ecr, const char *name)
{
	pthread_mutex_lock(&ecr->lock);
	const json_t *repository = json_object_get(ecr->repositories, name),
		     *images = json_object_get(repository, "images");
	json_t *tags = repository ? json_array() : NULL;
	for (size_t i = 0; i < json_array_size(images); i++)
		json_array_extend(tags, json_object_get(json_array_get(images, i), "imageTags"));
	pthread_mutex_unlock(&ecr->lock);
	return tags;
}

bool ecr_admit_lambda(struct ecr *ecr, const char *name, bool may)
{
	static const char admission[] =
		"{\"Version\":\"2008-10-17\",\"Statement\":[{\"Sid\":\"LambdaECRImageRetrievalPolicy\",\"Effect\":"
		"\"Allow\","
		"\"Principal\":{\"Service\":\"lambda.amazonaws.com\"},\"Action\":[\"ecr:BatchGetImage\","
		"\"ecr:DeleteRepositoryPolicy\",\"ecr:GetDownloadUrlForLayer\",\"ecr:GetRepositoryPolicy\","
		"\"ecr:SetRepositoryPolicy\"]}]}";
	pthread_mutex_lock(&ecr->lock);
	json_t *repository = json_object_get(ecr->repositories, name);
	json_t *policy = json_loads(word(repository, "policyText"), 0, NULL);
	bool admitted = policy_allows(policy, "lambda.amazonaws.com", "ecr:BatchGetImage");
	json_decref(policy);
	if (!admitted && may && repository) {
		/* Lambda adds its statement to those that there are; here it is the only one, or there is a policy. */
		if (!json_object_get(repository, "policyText"))
			json_object_set_new(repository, "policyText", json_string(admission));
		admitted = true;
	}
	pthread_mutex_unlock(&ecr->lock);
	return admitted;
}

/* --- The API ------------------------------------------------------------------------------------------------------ */

struct call {
	struct ecr *ecr;
	struct cloud_request *request;
	struct cloud_response *response;
	const json_t *body;
	const char *name;   /* of the repository, "" if none is given */
	json_t *repository; /* NULL: none of that name */
};

#define fail(call, code, ...) cloud_error((call)->request, (call)->response, 400, code, __VA_ARGS__)

static void fail_outcome(struct call *call, int outcome, const struct error *err)
{
	switch ((enum ecr_outcome)outcome) {
	case ECR_THERE:
		fail(call, "RepositoryAlreadyExistsException", "%s", err->text);
		break;
	case ECR_MISSING:
		fail(call, "RepositoryNotFoundException", "%s", err->text);
		break;
	case ECR_NOT_EMPTY:
		fail(call, "RepositoryNotEmptyException", "%s", err->text);
		break;
	case ECR_WRONG:
		fail(call, "InvalidParameterException", "%s", err->text);
		break;
	}
}

static void get_authorization_token(struct call *call)
{
	struct arena *arena = call->request->arena;
	int64_t expires_s;
	const char *token = registry_token(call->ecr->registry, call->request->access_key, arena, &expires_s);
	cloud_json(call->response, 200,
		json_pack("{s:[{s:s, s:I, s:s}]}", "authorizationData", "authorizationToken", token, "expiresAt",
			(json_int_t)expires_s, "proxyEndpoint",
			arena_printf(arena, "https://%s", ecr_host(call->ecr->cloud, arena))));
}

static void create_repository(struct call *call)
{
	struct error err;
	int r = ecr_create(call->ecr, call->name, call->body, &err);
	if (r != 0) {
		fail_outcome(call, r, &err);
		return;
	}
	pthread_mutex_lock(&call->ecr->lock);
	const json_t *repository = json_object_get(call->ecr->repositories, call->name);
	cloud_json(call->response, 200,
		json_pack("{s:o}", "repository", json_deep_copy(json_object_get(repository, "about"))));
	pthread_mutex_unlock(&call->ecr->lock);
}

static void delete_repository(struct call *call)
{
	struct error err;
	json_t *about = json_deep_copy(json_object_get(call->repository, "about"));
	pthread_mutex_unlock(&call->ecr->lock);
	int r = ecr_delete(call->ecr, call->name, json_is_true(json_object_get(call->body, "force")), &err);
	pthread_mutex_lock(&call->ecr->lock);
	if (r == 0) {
		cloud_json(call->response, 200, json_pack("{s:O}", "repository", about));
	} else if (r < 0) {
		cloud_error(call->request, call->response, 500, "ServerException", "%s", err.text);
	} else {
		fail_outcome(call, r, &err);
	}
	json_decref(about);
}

static void describe_repositories(struct call *call)
{
	const json_t *names = json_object_get(call->body, "repositoryNames");
	json_t *found = json_array(), *repository;
	const char *name;
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *wanted = json_string_value(json_array_get(names, i));
		repository = json_object_get(call->ecr->repositories, wanted ? wanted : "");
		if (!repository) {
			struct error err;
			fail_outcome(call, missing(wanted ? wanted : "", &err), &err);
			json_decref(found);
			return;
		}
		json_array_append_new(found, json_deep_copy(json_object_get(repository, "about")));
	}
	if (!names)
		json_object_foreach(call->ecr->repositories, name, repository)
			json_array_append_new(found, json_deep_copy(json_object_get(repository, "about")));
	cloud_json(call->response, 200, json_pack("{s:o}", "repositories", found));
}

static const char *given(const json_t *id, const char *key)
{
	return json_string_value(json_object_get(id, key));
}

/* As AWS describes it: no manifest, no empty list. */
static json_t *described(const json_t *image)
{
	json_t *copy = json_deep_copy(image);
	json_object_del(copy, "manifest");
	if (json_array_size(json_object_get(copy, "imageTags")) == 0)
		json_object_del(copy, "imageTags");
	return copy;
}

static void describe_images(struct call *call)
{
	const json_t *ids = json_object_get(call->body, "imageIds"),
		     *images = json_object_get(call->repository, "images");
	json_t *found = json_array();
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const json_t *id = json_array_get(ids, i);
		const char *digest = given(id, "imageDigest"), *tag = given(id, "imageTag");
		const json_t *image = find_image(call->repository, digest, tag, NULL);
		if (!image) {
			fail(call, "ImageNotFoundException",
				"The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the "
				"repository with name '%s' in the registry with id '" CLOUD_ACCOUNT "'",
				digest ? digest : "null", tag ? tag : "null", call->name);
			json_decref(found);
			return;
		}
		json_array_append_new(found, described(image));
	}
	for (size_t i = 0; !ids && i < json_array_size(images); i++)
		json_array_append_new(found, described(json_array_get(images, i)));
	cloud_json(call->response, 200, json_pack("{s:o}", "imageDetails", found));
}

static void list_images(struct call *call)
{
	const json_t *images = json_object_get(call->repository, "images");
	json_t *ids = json_array();
	for (size_t i = 0; i < json_array_size(images); i++) {
		const json_t *image = json_array_get(images, i), *tags = json_object_get(image, "imageTags");
		for (size_t j = 0; j < json_array_size(tags); j++)
			json_array_append_new(ids, json_pack("{s:s, s:O}", "imageDigest", word(image, "imageDigest"),
							   "imageTag", json_array_get(tags, j)));
		if (json_array_size(tags) == 0)
			json_array_append_new(ids, json_pack("{s:s}", "imageDigest", word(image, "imageDigest")));
	}
	cloud_json(call->response, 200, json_pack("{s:o}", "imageIds", ids));
}

static json_t *not_found(json_t *id)
{
	return json_pack("{s:O, s:s, s:s}", "imageId", id, "failureCode", "ImageNotFound", "failureReason",
		"Requested image not found");
}

static void batch_get_image(struct call *call)
{
	const json_t *ids = json_object_get(call->body, "imageIds");
	json_t *found = json_array(), *failures = json_array();
	for (size_t i = 0; i < json_array_size(ids); i++) {
		json_t *id = json_array_get(ids, i);
		const json_t *image = find_image(
			call->repository, given(id, "imageDigest"), given(id, "imageTag"), NULL);
		if (!image) {
			json_array_append_new(failures, not_found(id));
			continue;
		}
		json_t *full = json_deep_copy(id);
		json_object_set(full, "imageDigest", json_object_get(image, "imageDigest"));
		json_array_append_new(
			found, json_pack("{s:s, s:s, s:o, s:O, s:O}", "registryId", CLOUD_ACCOUNT, "repositoryName",
				       call->name, "imageId", full, "imageManifest", json_object_get(image, "manifest"),
				       "imageManifestMediaType", json_object_get(image, "imageManifestMediaType")));
	}
	cloud_json(call->response, 200, json_pack("{s:o, s:o}", "images", found, "failures", failures));
}

/* A tag goes alone while others name the image. */
static void delete_image(struct call *call, json_t *id, json_t *deleted, json_t *failures)
{
	const char *digest = given(id, "imageDigest"), *tag = given(id, "imageTag");
	size_t at;
	json_t *image = digest || tag ? find_image(call->repository, digest, tag, &at) : NULL;
	if (!image) {
		json_array_append_new(failures, not_found(id));
		return;
	}
	json_t *tags = json_object_get(image, "imageTags"), *value;
	size_t i;
	if (!digest && json_array_size(tags) > 1) {
		json_array_append_new(deleted,
			json_pack("{s:O, s:s}", "imageDigest", json_object_get(image, "imageDigest"), "imageTag", tag));
		json_array_remove(tags, (size_t)tag_index(image, tag));
		return;
	}
	json_array_foreach(tags, i, value) json_array_append_new(deleted,
		json_pack("{s:O, s:O}", "imageDigest", json_object_get(image, "imageDigest"), "imageTag", value));
	if (json_array_size(tags) == 0)
		json_array_append_new(
			deleted, json_pack("{s:O}", "imageDigest", json_object_get(image, "imageDigest")));
	json_array_remove(json_object_get(call->repository, "images"), at);
}

static void batch_delete_image(struct call *call)
{
	const json_t *ids = json_object_get(call->body, "imageIds");
	json_t *deleted = json_array(), *failures = json_array();
	if (json_array_size(ids) < 1 || json_array_size(ids) > 100) {
		fail(call, "InvalidParameterException",
			"Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length "
			"between "
			"1 and 100, inclusive'");
		json_decref(deleted);
		json_decref(failures);
		return;
	}
	for (size_t i = 0; i < json_array_size(ids); i++)
		delete_image(call, json_array_get(ids, i), deleted, failures);
	cloud_json(call->response, 200, json_pack("{s:o, s:o}", "imageIds", deleted, "failures", failures));
}

static void get_text(struct call *call, const char *key, const char *code, const char *what)
{
	json_t *text = json_object_get(call->repository, key);
	if (!text)
		fail(call, code,
			"%s does not exist for the repository with name '%s' in the registry with id '" CLOUD_ACCOUNT
			"'",
			what, call->name);
	else
		cloud_json(call->response, 200,
			json_pack("{s:s, s:s, s:O}", "registryId", CLOUD_ACCOUNT, "repositoryName", call->name, key,
				text));
}

static void get_lifecycle_policy(struct call *call)
{
	get_text(call, "lifecyclePolicyText", "LifecyclePolicyNotFoundException", "Lifecycle policy");
}

static void get_repository_policy(struct call *call)
{
	get_text(call, "policyText", "RepositoryPolicyNotFoundException", "Repository policy");
}

static void put_text(struct call *call)
{
	struct error err;
	int r = configure(call->repository, call->body, &err);
	if (r != 0)
		fail_outcome(call, r, &err);
	else
		cloud_json(call->response, 200,
			json_pack("{s:s, s:s}", "registryId", CLOUD_ACCOUNT, "repositoryName", call->name));
}

static const struct {
	const char *name;
	bool locked;	    /* called so */
	bool of_repository; /* which must exist */
	void (*handle)(struct call *call);
} operations[] = {
	{ "BatchDeleteImage", true, true, batch_delete_image },
	{ "BatchGetImage", true, true, batch_get_image },
	{ "CreateRepository", false, false, create_repository },
	{ "DeleteRepository", true, true, delete_repository },
	{ "DescribeImages", true, true, describe_images },
	{ "DescribeRepositories", true, false, describe_repositories },
	{ "GetAuthorizationToken", false, false, get_authorization_token },
	{ "GetLifecyclePolicy", true, true, get_lifecycle_policy },
	{ "GetRepositoryPolicy", true, true, get_repository_policy },
	{ "ListImages", true, true, list_images },
	{ "PutLifecyclePolicy", true, true, put_text },
	{ "SetRepositoryPolicy", true, true, put_text },
};
enum { N_OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

const char *ecr_operation(const struct cloud_request *request)
{
	const char *names[N_OPERATIONS + 1] = { NULL };
	for (size_t i = 0; i < N_OPERATIONS; i++)
		names[i] = operations[i].name;
	return cloud_target(request, "AmazonEC2ContainerRegistry_V20150921.", names);
}

const char *ecr_resource(struct cloud *cloud, const struct cloud_request *request)
{
	json_t *body = json_loadb(request->body.ptr ? request->body.ptr : "", request->body.len, 0, NULL);
	const char *name = json_string_value(json_object_get(body, "repositoryName"));
	const char *arn = name ? arena_printf(request->arena, "arn:aws:ecr:%s:" CLOUD_ACCOUNT ":repository/%s",
					 cloud->region, name)
			       : "*";
	json_decref(body);
	return arn;
}

void ecr_handle(struct cloud *cloud, struct cloud_request *request, struct cloud_response *response)
{
	const char *operation = ecr_operation(request);
	if (!operation) {
		cloud_error(
			request, response, 400, "UnknownOperationException", "This cloud's ECR has no such operation.");
		return;
	}
	json_t *body = cloud_body(request, response);
	if (!body)
		return;
	size_t i = 0;
	while (strcmp(operations[i].name, operation) != 0)
		i++;
	struct call call = { cloud->ecr, request, response, body, word(body, "repositoryName"), NULL };
	struct error err;
	if (operations[i].locked)
		pthread_mutex_lock(&cloud->ecr->lock);
	if (operations[i].of_repository)
		call.repository = json_object_get(cloud->ecr->repositories, call.name);
	if (operations[i].of_repository && !call.repository)
		fail_outcome(&call, missing(call.name, &err), &err);
	else
		operations[i].handle(&call);
	if (operations[i].locked)
		pthread_mutex_unlock(&cloud->ecr->lock);
	json_decref(body);
}
