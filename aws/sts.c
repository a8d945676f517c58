#include "aws/sts.h"

#include "aws/form.h"
#include "aws/xml.h"

struct reader {
	struct arena *arena;
	struct sts_identity identity;
};

static void take_element(void *ctx, const char *path, const char *text)
{
	static const char result[] = "GetCallerIdentityResponse/GetCallerIdentityResult/";
	struct reader *r = ctx;
	if (!text || strncmp(path, result, sizeof result - 1) != 0)
		return;
	path += sizeof result - 1;
	if (strcmp(path, "Account") == 0)
		r->identity.account = arena_strdup(r->arena, text);
	else if (strcmp(path, "Arn") == 0)
		r->identity.arn = arena_strdup(r->arena, text);
	else if (strcmp(path, "UserId") == 0)
		r->identity.user_id = arena_strdup(r->arena, text);
}

int sts_read_identity(struct slice body, struct arena *arena, struct sts_identity *ret, struct error *err)
{
	struct reader reader = { .arena = arena, .identity = { "", "", "" } };
	if (xml_parse(body, take_element, &reader, err) < 0)
		return error_wrap(err, "STS's answer is illegible");
	if (!*reader.identity.account || !*reader.identity.arn)
		return error_say(err, EBADMSG, "STS's answer names no account");
	*ret = reader.identity;
	return 0;
}

int sts_get_caller_identity(struct aws_session *session, struct arena *arena, struct sts_identity *ret, struct error *err)
{
	_cleanup_buf_ struct buf form = { 0 };
	struct aws_reply reply;
	form_add(&form, "Action", "GetCallerIdentity");
	form_add(&form, "Version", "2011-06-15");
	if (aws_ask_form(session, "sts", &form, arena, &reply, err) < 0)
		return error_wrap(err, "cannot find out whose the credentials are");
	if (!aws_succeeded(&reply))
		return aws_refused(&reply, "sts:GetCallerIdentity", "find out whose the credentials are", err);
	return sts_read_identity(reply.body, arena, ret, err);
}
