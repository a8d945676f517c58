#include "aws/form.h"

void form_add(struct buf *form, const char *name, const char *value)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	if (!value)
		return;
	buf_printf(form, "%s%s=", form->len ? "&" : "", name);
	for (; *value; value++) {
		if (strchr(safe, *value))
			buf_append_char(form, *value);
		else
			buf_printf(form, "%%%02X", (unsigned char)*value);
	}
}
