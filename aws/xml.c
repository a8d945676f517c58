#include "aws/xml.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>

#include "base/buf.h"

enum { DEPTH_LIMIT = 32 };

struct reader {
	xml_fn *fn;
	void *ctx;
	XML_Parser parser;
	unsigned depth;
	bool refused;
	bool leaf;	 /* nothing has ended since the last element began */
	struct buf path; /* "Error/Code" */
	struct buf text; /* of the element that began last */
};

static void refuse(struct reader *r)
{
	r->refused = true;
	XML_StopParser(r->parser, XML_FALSE);
}

static void begin_element(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *r = ctx;
	const char *colon = strrchr(name, ':');
	if (++r->depth > DEPTH_LIMIT) {
		refuse(r);
		return;
	}
	if (r->path.len)
		buf_append_char(&r->path, '/');
	buf_append_str(&r->path, colon && colon[1] ? colon + 1 : name);
	buf_reset(&r->text);
	r->leaf = true;
}

static void end_element(void *ctx, const XML_Char *name)
{
	struct reader *r = ctx;
	if (r->refused)
		return;
	r->fn(r->ctx, buf_str(&r->path), r->leaf ? buf_str(&r->text) : NULL);
	r->leaf = false;
	r->depth--;
	while (r->path.len && r->path.ptr[--r->path.len] != '/')
		;
	buf_reserve(&r->path, 1)[0] = '\0';
}

static void take_text(void *ctx, const XML_Char *text, int n)
{
	struct reader *r = ctx;
	if (r->leaf && !r->refused)
		buf_append(&r->text, text, (size_t)n);
}

static void begin_doctype(
	void *ctx, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id, int has_internal)
{
	refuse(ctx);
}

int xml_parse(struct slice bytes, xml_fn *fn, void *ctx, struct error *err)
{
	struct reader r = { .fn = fn, .ctx = ctx, .parser = XML_ParserCreate(NULL) };
	if (!r.parser)
		abort();
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, begin_element, end_element);
	XML_SetCharacterDataHandler(r.parser, take_text);
	XML_SetStartDoctypeDeclHandler(r.parser, begin_doctype);
	int result = 0;
	if (bytes.len > INT_MAX)
		result = error_set(err, EMSGSIZE, "XML");
	else if (XML_Parse(r.parser, bytes.len ? bytes.ptr : "", (int)bytes.len, 1) != XML_STATUS_OK)
		result = error_set(err, 0, "not the XML that was expected: %s, line %lu",
			r.refused ? "a document type, or too deep" : XML_ErrorString(XML_GetErrorCode(r.parser)),
			(unsigned long)XML_GetCurrentLineNumber(r.parser));
	XML_ParserFree(r.parser);
	buf_deinit(&r.path);
	buf_deinit(&r.text);
	return result;
}
