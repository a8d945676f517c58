/* Forms (application/x-www-form-urlencoded), which services of AWS's query protocol are asked by. */
#pragma once

#include "base/buf.h"

#define FORM_TYPE "application/x-www-form-urlencoded; charset=utf-8"

/* Append "&NAME=value", without the & to an empty form; a NULL value is left out. `name` is sent as it is. */
void form_add(struct buf *form, const char *name, const char *value);
