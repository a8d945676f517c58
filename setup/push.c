#include "setup/push.h"

#include "aws/ecr.h"
#include "aws/oci.h"
#include "aws/registry.h"
#include "base/clock.h"
#include "setup/environment.h"
#include "setup/talk.h"

enum { TELL_MS = 5000 };

static double megabytes(int64_t bytes)
{
	return (double)bytes / 1e6;
}

static void tell_progress(void *ctx, const char *blob, int64_t sent_bytes, int64_t total_bytes)
{
	int64_t *told_ms = ctx, now_ms = clock_monotonic_ms();
	if (now_ms - *told_ms < TELL_MS)
		return;
	*told_ms = now_ms;
	talk_more("%.1f of %.1f MB", megabytes(sent_bytes), megabytes(total_bytes));
}

int push_image(struct aws_session *session, const char *repository, const char *dir, struct arena *arena, struct pushed *ret, struct error *err)
{
	int64_t begin_ms = clock_monotonic_ms(), told_ms = begin_ms;
	struct oci_contents contents;
	struct ecr_login login;
	struct registry_pushed pushed;
	const char *uri;
	bool there;
	if (oci_read(dir, arena, &contents, err) < 0)
		return -1;
	int outcome = ecr_describe_repository(session, repository, arena, &uri, err);
	if (outcome == ECR_ABSENT)
		return PUSH_NO_REPOSITORY;
	if (outcome < 0 || ecr_login(session, arena, &login, err) < 0)
		return -1;
	const struct registry registry = { .endpoint = login.endpoint, .user = login.user, .password = login.password, .repository = repository };
	if (registry_has(session, &registry, &contents.manifest, &there, err) < 0 ||
		(!there && registry_push(session, &registry, dir, "latest", tell_progress, &told_ms, &pushed, err) < 0))
		return -1;
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(&contents.manifest, hex);
	const char *digest = arena_printf(arena, "sha256:%s", hex);
	*ret = (struct pushed){
		.uri = arena_printf(arena, "%s@%s", uri, digest),
		.digest = digest,
		.architecture = environment_architecture(contents.architecture),
	};
	if (there)
		talk_step("push", "the repository has the image");
	else
		talk_step("push", "%.1f MB in %.1f s", megabytes(pushed.bytes_sent), (double)(clock_monotonic_ms() - begin_ms) / 1000);
	return 0;
}
