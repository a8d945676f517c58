/* An image into a repository of ECR, unless it is there. What it does it tells on stdout (setup/talk.h), of a long upload a line now and then. */
#pragma once

#include "aws/session.h"

enum push_outcome { PUSH_NO_REPOSITORY = 1 };

struct pushed { /* in the arena */
	const char *uri;	  /* "HOST/REPOSITORY@sha256:…": names the image by its digest */
	const char *digest;	  /* "sha256:…" */
	const char *architecture; /* as Lambda calls it; NULL: the image says none, or one that Lambda hasn't got */
};

/* The image in the layout `dir`, tagged "latest" where it is new. 0, PUSH_NO_REPOSITORY, -1. */
int push_image(struct aws_session *session, const char *repository, const char *dir, struct arena *arena, struct pushed *ret, struct error *err);
