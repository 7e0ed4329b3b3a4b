/*
 * doc: an answer as a typed tree, written by the keeper and turned into JSON by a frontend, which
 * therefore needs to know no answer in particular.
 *
 *   value   u8 kind, then by kind:
 *     1 object   members..., then u8 0; a member has its u16-length name behind its kind
 *     2 list     values..., then u8 0
 *     3 text     u32 length, well-formed UTF-8
 *     4 integer  u64, at most 2^53 - 1
 *     5 false    6 true
 * Rules: 1. the top value is an object  2. at most OXV_DOC_MAX_DEPTH objects and lists within each
 * other  3. nothing follows the top value.
 */
#ifndef OXV_SERVICE_WIRE_DOC_H
#define OXV_SERVICE_WIRE_DOC_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_DOC_MAX_DEPTH 8u

/* The writer's side. `name` is NULL for the top value and within a list. Ends with oxv_doc_end().
 */
void oxv_doc_object(struct oxv_writer *w, const char *name);
void oxv_doc_list(struct oxv_writer *w, const char *name);
void oxv_doc_end(struct oxv_writer *w);
void oxv_doc_text(struct oxv_writer *w, const char *name, struct oxv_view text);
void oxv_doc_cstring(struct oxv_writer *w, const char *name, const char *text);
void oxv_doc_integer(struct oxv_writer *w, const char *name, uint64_t value);
void oxv_doc_bool(struct oxv_writer *w, const char *name, bool value);

/*
 * The reader's side: writes the whole document as JSON.
 *   OXV_E_FORMAT  a rule is broken
 *   OXV_E_LIMIT   it does not fit the writer
 */
OXV_MUST_USE enum oxv_status oxv_doc_to_json(struct oxv_view doc, struct oxv_writer *json);

/* The text member `name` of the top object; false where there is none. */
OXV_MUST_USE bool oxv_doc_find_text(struct oxv_view doc, const char *name, struct oxv_view *out);

#endif
