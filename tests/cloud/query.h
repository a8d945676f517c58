/* AWS's query protocol: a form comes (Action=CreateStack&Version=2010-05-15&…), XML goes back. */
#pragma once

#include "tests/cloud/server.h"

struct query_form {
	struct cloud_pair *pairs; /* decoded, as they came; all in the arena */
	size_t n;
};

/* -1: malformed (a wrong escape, a NUL, a name that comes twice or is empty). */
int query_parse(struct slice bytes, struct arena *arena, struct query_form *ret, struct error *err);

/* The field NAME; NULL: it isn't there. */
const char *query_get(const struct query_form *form, const char *name);
/* The field NAME.member.I, or with `field` NAME.member.I.FIELD; I from 1. NULL: it isn't there. */
const char *query_member(
	const struct query_form *form, struct arena *arena, const char *name, size_t i, const char *field);

/* The field Action of a request's body, in its arena; NULL: there is none. */
const char *query_action(const struct cloud_request *request);

/* <ACTIONResponse xmlns=…><ACTIONResult>, and its end, with the request's id. In between is the caller's. */
struct buf *query_begin(struct cloud_response *response, const char *action, const char *xmlns);
void query_end(struct cloud_request *request, struct cloud_response *response, const char *action);
