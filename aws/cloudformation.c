#include "aws/cloudformation.h"

#include "aws/credential_answer.h"
#include "aws/form.h"
#include "aws/xml.h"

enum { TEMPLATE_BYTES_MAX = 51200, EVENT_PAGES_MAX = 100 };

/* An array in an arena: room for one more. Twice as large each time, so that what it leaves behind is as much again. */
static void *grow(struct arena *arena, void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	char *larger = arena_zalloc(arena, (n ? 2 * n : 1) * size);
	if (n)
		memcpy(larger, array, n * size);
	return larger;
}

static const char *find(const struct aws_pair *pairs, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(pairs[i].name, key) == 0)
			return pairs[i].value;
	return NULL;
}

const char *stack_output(const struct stack *stack, const char *key)
{
	return find(stack->outputs, stack->n_outputs, key);
}

const char *stack_tag(const struct stack *stack, const char *key)
{
	return find(stack->tags, stack->n_tags, key);
}

enum stack_phase stack_phase(const char *status)
{
	struct slice s = slice_str(status);
	if (slice_has_suffix(s, "_IN_PROGRESS"))
		return STACK_BUSY;
	if (strcmp(status, "DELETE_COMPLETE") == 0)
		return STACK_GONE;
	if (strcmp(status, "DELETE_FAILED") == 0 || slice_has_suffix(s, "UPDATE_ROLLBACK_FAILED"))
		return STACK_STUCK;
	if (strcmp(status, "CREATE_FAILED") == 0 || slice_has_prefix(s, "ROLLBACK_"))
		return STACK_DEAD;
	if (slice_has_suffix(s, "_ROLLBACK_COMPLETE") || slice_has_suffix(s, "_FAILED"))
		return STACK_UNDONE;
	return STACK_GOOD;
}

bool stack_event_is_cause(const struct stack_event *event)
{
	return slice_has_suffix(slice_str(event->status), "_FAILED") && !strstr(event->reason, "cancelled") &&
	       strcmp(event->type, "AWS::CloudFormation::Stack") != 0;
}

/* Answers. */

struct stack_reader {
	struct arena *arena;
	struct stack stack;
	struct aws_pair pair; /* being read */
	unsigned n_stacks;
	bool ended;
};

static void end_pair(struct stack_reader *r, struct aws_pair **pairs, size_t *n)
{
	if (r->pair.name) {
		*pairs = grow(r->arena, *pairs, *n, sizeof **pairs);
		(*pairs)[(*n)++] = (struct aws_pair){ r->pair.name, r->pair.value ? r->pair.value : "" };
	}
	r->pair = (struct aws_pair){ 0 };
}

static void take_stack_element(void *ctx, const char *path, const char *text)
{
	static const char member[] = "DescribeStacksResponse/DescribeStacksResult/Stacks/member";
	static const struct {
		const char *path;
		size_t offset;
	} texts[] = {
		{ "/StackId", offsetof(struct stack, id) },
		{ "/StackName", offsetof(struct stack, name) },
		{ "/StackStatus", offsetof(struct stack, status) },
		{ "/StackStatusReason", offsetof(struct stack, status_reason) },
	};
	static const char *const names[] = { "/Outputs/member/OutputKey", "/Tags/member/Key", "/Parameters/member/ParameterKey", NULL };
	static const char *const values[] = { "/Outputs/member/OutputValue", "/Tags/member/Value", "/Parameters/member/ParameterValue", NULL };
	struct stack_reader *r = ctx;
	struct stack *stack = &r->stack;
	r->ended = r->ended || strcmp(path, "DescribeStacksResponse") == 0;
	if (strncmp(path, member, sizeof member - 1) != 0)
		return;
	path += sizeof member - 1;
	if (!*path)
		r->n_stacks++;
	if (r->n_stacks) /* the first is ours, and there is no other */
		return;
	if (strcmp(path, "/Outputs/member") == 0)
		end_pair(r, &stack->outputs, &stack->n_outputs);
	else if (strcmp(path, "/Tags/member") == 0)
		end_pair(r, &stack->tags, &stack->n_tags);
	else if (strcmp(path, "/Parameters/member") == 0)
		end_pair(r, &stack->parameters, &stack->n_parameters);
	if (!text)
		return;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strcmp(path, texts[i].path) == 0)
			*(const char **)((char *)stack + texts[i].offset) = arena_strdup(r->arena, text);
	for (size_t i = 0; names[i]; i++) {
		if (strcmp(path, names[i]) == 0)
			r->pair.name = arena_strdup(r->arena, text);
		else if (strcmp(path, values[i]) == 0)
			r->pair.value = arena_strdup(r->arena, text);
	}
}

int stack_read(struct slice body, struct arena *arena, struct stack *ret, struct error *err)
{
	struct stack_reader r = { .arena = arena, .stack = { .id = "", .name = "", .status = "", .status_reason = "" } };
	if (xml_parse(body, take_stack_element, &r, err) < 0)
		return error_wrap(err, "CloudFormation's answer is illegible");
	if (!r.ended)
		return error_say(err, EBADMSG, "CloudFormation's answer is no list of stacks");
	if (!r.n_stacks)
		return STACK_ABSENT;
	if (!*r.stack.id || !*r.stack.status)
		return error_say(err, EBADMSG, "CloudFormation's answer has a stack without an id or a status");
	*ret = r.stack;
	return 0;
}

struct event_reader {
	struct arena *arena;
	struct stack_events *events;
	struct stack_event event; /* being read */
	const char *token;
	bool ended;
};

static const struct stack_event no_event = { .id = "", .logical_id = "", .type = "", .status = "", .reason = "", .time_s = -1 };

static void take_event_element(void *ctx, const char *path, const char *text)
{
	static const char result[] = "DescribeStackEventsResponse/DescribeStackEventsResult/";
	static const char member[] = "StackEvents/member";
	static const struct {
		const char *path;
		size_t offset;
	} texts[] = {
		{ "/EventId", offsetof(struct stack_event, id) },
		{ "/LogicalResourceId", offsetof(struct stack_event, logical_id) },
		{ "/ResourceType", offsetof(struct stack_event, type) },
		{ "/ResourceStatus", offsetof(struct stack_event, status) },
		{ "/ResourceStatusReason", offsetof(struct stack_event, reason) },
	};
	struct event_reader *r = ctx;
	r->ended = r->ended || strcmp(path, "DescribeStackEventsResponse") == 0;
	if (strncmp(path, result, sizeof result - 1) != 0)
		return;
	path += sizeof result - 1;
	if (text && strcmp(path, "NextToken") == 0)
		r->token = arena_strdup(r->arena, text);
	if (strncmp(path, member, sizeof member - 1) != 0)
		return;
	path += sizeof member - 1;
	if (!*path) {
		struct stack_events *events = r->events;
		events->events = grow(r->arena, events->events, events->n, sizeof *events->events);
		events->events[events->n++] = r->event;
		r->event = no_event;
	} else if (text && strcmp(path, "/Timestamp") == 0) {
		int64_t ms = credential_time_ms(text);
		r->event.time_s = ms < 0 ? -1 : ms / 1000;
	} else if (text) {
		for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
			if (strcmp(path, texts[i].path) == 0)
				*(const char **)((char *)&r->event + texts[i].offset) = arena_strdup(r->arena, text);
	}
}

int stack_read_events(struct slice body, struct arena *arena, struct stack_events *ret, const char **ret_token, struct error *err)
{
	struct stack_events events = *ret;
	struct event_reader r = { .arena = arena, .events = &events, .event = no_event, .token = "" };
	if (xml_parse(body, take_event_element, &r, err) < 0)
		return error_wrap(err, "CloudFormation's answer is illegible");
	if (!r.ended)
		return error_say(err, EBADMSG, "CloudFormation's answer is no list of events");
	*ret = events;
	*ret_token = r.token;
	return 0;
}

/* Requests. */

static void begin_form(struct buf *form, const char *action, const char *stack_name)
{
	form_add(form, "Action", action);
	form_add(form, "Version", "2010-05-15");
	form_add(form, "StackName", stack_name);
}

static int ask(struct aws_session *session, const struct buf *form, const char *what, struct arena *arena, struct aws_reply *ret, struct error *err)
{
	if (aws_ask_form(session, "cloudformation", form, arena, ret, err) < 0)
		return error_wrap(err, "cannot %s", what);
	return 0;
}

static bool is_absent(const struct aws_reply *reply)
{
	return strcmp(reply->code, "ValidationError") == 0 && strstr(reply->message, "does not exist");
}

static int refuse(const struct aws_reply *reply, const char *action, const char *what, struct error *err)
{
	aws_refused(reply, action, what, err);
	if (err && strcmp(reply->code, "ValidationError") == 0 && strstr(reply->message, "_IN_PROGRESS state"))
		err->code = EBUSY;
	else if (err && is_absent(reply))
		err->code = ENOENT;
	return -1;
}

int stack_describe(struct aws_session *session, const char *name_or_id, struct arena *arena, struct stack *ret, struct error *err)
{
	_cleanup_buf_ struct buf form = { 0 };
	struct aws_reply reply;
	const char *what = arena_printf(arena, "look at the stack %s", name_or_id);
	begin_form(&form, "DescribeStacks", name_or_id);
	if (ask(session, &form, what, arena, &reply, err) < 0)
		return -1;
	if (is_absent(&reply))
		return STACK_ABSENT;
	if (!aws_succeeded(&reply))
		return refuse(&reply, "cloudformation:DescribeStacks", what, err);
	return stack_read(reply.body, arena, ret, err);
}

static void add_pairs(struct buf *form, const char *list, const char *name, const char *value, const struct aws_pair *pairs, size_t n)
{
	char key[80];
	for (size_t i = 0; i < n; i++) {
		snprintf(key, sizeof key, "%s.member.%zu.%s", list, i + 1, name);
		form_add(form, key, pairs[i].name);
		snprintf(key, sizeof key, "%s.member.%zu.%s", list, i + 1, value);
		form_add(form, key, pairs[i].value ? pairs[i].value : "");
	}
}

static int make_form(const char *action, const struct stack_request *request, struct buf *ret, struct error *err)
{
	size_t n = strlen(request->template);
	if (n > TEMPLATE_BYTES_MAX)
		return error_say(err, E2BIG, "the template of the stack %s has %zu bytes, and AWS takes %d", request->name, n, TEMPLATE_BYTES_MAX);
	begin_form(ret, action, request->name);
	form_add(ret, "TemplateBody", request->template);
	form_add(ret, "Capabilities.member.1", "CAPABILITY_IAM");
	form_add(ret, "ClientRequestToken", request->token);
	add_pairs(ret, "Parameters", "ParameterKey", "ParameterValue", request->parameters, request->n_parameters);
	add_pairs(ret, "Tags", "Key", "Value", request->tags, request->n_tags);
	return 0;
}

static void take_id(void *ctx, const char *path, const char *text)
{
	struct stack_reader *r = ctx;
	if (text && strcmp(path, "CreateStackResponse/CreateStackResult/StackId") == 0)
		r->stack.id = arena_strdup(r->arena, text);
}

int stack_create(struct aws_session *session, const struct stack_request *request, struct arena *arena, const char **ret_id, struct error *err)
{
	_cleanup_buf_ struct buf form = { 0 };
	struct aws_reply reply;
	const char *what = arena_printf(arena, "create the stack %s", request->name);
	if (make_form("CreateStack", request, &form, err) < 0 || ask(session, &form, what, arena, &reply, err) < 0)
		return -1;
	if (strcmp(reply.code, "AlreadyExistsException") == 0)
		return STACK_EXISTS;
	if (!aws_succeeded(&reply))
		return refuse(&reply, "cloudformation:CreateStack", what, err);
	struct stack_reader r = { .arena = arena };
	if (xml_parse(reply.body, take_id, &r, err) < 0)
		return error_wrap(err, "CloudFormation's answer is illegible");
	if (!r.stack.id)
		return error_say(err, EBADMSG, "CloudFormation's answer names no stack");
	*ret_id = r.stack.id;
	return 0;
}

int stack_update(struct aws_session *session, const struct stack_request *request, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf form = { 0 };
	struct aws_reply reply;
	const char *what = arena_printf(&arena, "update the stack %s", request->name);
	if (make_form("UpdateStack", request, &form, err) < 0 || ask(session, &form, what, &arena, &reply, err) < 0)
		return -1;
	if (strcmp(reply.code, "ValidationError") == 0 && strstr(reply.message, "No updates are to be performed"))
		return STACK_UNCHANGED;
	return aws_succeeded(&reply) ? 0 : refuse(&reply, "cloudformation:UpdateStack", what, err);
}

int stack_delete(struct aws_session *session, const char *name_or_id, struct error *err)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf form = { 0 };
	struct aws_reply reply;
	const char *what = arena_printf(&arena, "delete the stack %s", name_or_id);
	begin_form(&form, "DeleteStack", name_or_id);
	if (ask(session, &form, what, &arena, &reply, err) < 0)
		return -1;
	return aws_succeeded(&reply) || is_absent(&reply) ? 0 : refuse(&reply, "cloudformation:DeleteStack", what, err);
}

/* How many of `events` came after the one called `after`: they are the first ones. */
static size_t count_after(const struct stack_events *events, const char *after)
{
	size_t n = 0;
	while (n < events->n && (!after || strcmp(events->events[n].id, after) != 0))
		n++;
	return n;
}

int stack_events(struct aws_session *session, const char *name_or_id, const char *after, struct arena *arena, struct stack_event **ret, size_t *ret_n,
	struct error *err)
{
	const char *what = arena_printf(arena, "see what happened to the stack %s", name_or_id), *token = "";
	struct stack_events events = { 0 };
	size_t n = 0;
	for (unsigned page = 0; page < EVENT_PAGES_MAX; page++) {
		_cleanup_buf_ struct buf form = { 0 };
		struct aws_reply reply;
		begin_form(&form, "DescribeStackEvents", name_or_id);
		form_add(&form, "NextToken", *token ? token : NULL);
		if (ask(session, &form, what, arena, &reply, err) < 0)
			return -1;
		if (!aws_succeeded(&reply))
			return refuse(&reply, "cloudformation:DescribeStackEvents", what, err);
		if (stack_read_events(reply.body, arena, &events, &token, err) < 0)
			return -1;
		n = count_after(&events, after);
		if (n < events.n || !*token)
			break;
	}
	*ret = arena_array(arena, struct stack_event, n);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = events.events[n - 1 - i];
	*ret_n = n;
	return 0;
}
