/* The service "logs": CloudWatch's log groups, which functions make when they run. Nothing is kept in them. Thread-safe. */
#pragma once

#include "tests/cloud/server.h"

struct logs;
struct json_t;

struct logs *logs_new(struct cloud *cloud); /* borrowed */
void logs_free(struct logs *logs);	    /* NULL is allowed */

/* -1: there is one of that name, in AWS's words. `days`: that events are kept; 0: for ever. */
int logs_create(struct logs *logs, const char *name, int64_t days, struct error *err);
void logs_ensure(struct logs *logs, const char *name); /* there is one then */
void logs_keep(struct logs *logs, const char *name, int64_t days);
bool logs_delete(struct logs *logs, const char *name); /* false: there was none */
struct json_t *logs_names(struct logs *logs);

const char *logs_operation(const struct cloud_request *request);
const char *logs_resource(struct cloud *cloud, const struct cloud_request *request);
cloud_handler logs_handle;
