/* What a function of one's own runs from, and how: brought up to date. What it does it tells on stdout (setup/talk.h). */
#pragma once

#include "aws/session.h"

struct update_options {
	const char *image;	/* a layout to be pushed; or NULL */
	const char *image_uri;	/* or an image that a repository has; or NULL */
	const char *repository; /* of `image`; NULL: that of the image which the function has now */
	unsigned memory_mb, timeout_s; /* 0: as they are */
};

/* Only what differs is changed, and what was changed is waited for. -1 ENOENT: there is no such function. */
int update_function(struct aws_session *session, const char *name, const struct update_options *options, struct error *err);
