/* The CloudFormation template of an environment (setup/template.json): all that lasts but the function, whose image has to be there first. The stack's
 * name names the repository, the log group and the function too. docs/LAMBDA.md explains its permissions. */
#pragma once

#include "base/arena.h"

/* Whole, in `arena`; its own digest is in its outputs, as Version. */
const char *template_text(struct arena *arena);
/* Twelve hex digits: a stack with another Version was made from another template. */
const char *template_version(struct arena *arena);
