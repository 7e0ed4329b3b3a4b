/*
 * json: reads JSON strictly, in place: no allocation, no copy, so a text may lie in locked memory.
 * First oxv_json_check() the whole text; the others take views of a text that passed.
 *
 * Beyond RFC 8259 a text must keep these rules:
 *  1. well-formed UTF-8, no byte order mark, nothing but white space after the value
 *  2. no NUL, raw or as an escape; escaped surrogates only in pairs
 *  3. numbers are plain integers 0..2^53-1: no sign, fraction, exponent or leading zero
 *  4. names are written without escapes, and no name twice in one object
 *  5. at most OXV_JSON_DEPTH_MAX levels, and OXV_JSON_NAMES_MAX names in one object
 */
#ifndef OXV_BASE_JSON_H
#define OXV_BASE_JSON_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_JSON_DEPTH_MAX   16u
#define OXV_JSON_NAMES_MAX   64u
#define OXV_JSON_INTEGER_MAX ((UINT64_C(1) << 53) - 1)

enum oxv_json_type {
    OXV_JSON_OBJECT,
    OXV_JSON_ARRAY,
    OXV_JSON_STRING,
    OXV_JSON_INTEGER,
    OXV_JSON_BOOLEAN,
    OXV_JSON_NULL,
};

/* Where a text breaks a rule, and which. Holds nothing of the text. */
struct oxv_json_fault {
    size_t offset;
    const char *reason; /* a literal */
};

/*
 * Is all of `text` one value that keeps the rules?
 *   OXV_E_FORMAT  no: *fault (may be NULL) says where and why
 */
OXV_MUST_USE enum oxv_status oxv_json_check(struct oxv_view text, struct oxv_json_fault *fault);

/* The type of one checked value; white space may stand before it. */
enum oxv_json_type oxv_json_type(struct oxv_view value);

/* Walks the members of a checked object, or the items of a checked array. */
struct oxv_json_items {
    struct oxv_view text;
    size_t at;
};

/* For a value of another type there are no items. */
struct oxv_json_items oxv_json_items(struct oxv_view value);
/* The next one; false at the end. *name (without quotes) is empty in an array. */
OXV_MUST_USE bool oxv_json_next(struct oxv_json_items *items, struct oxv_view *name,
                                struct oxv_view *value);
size_t oxv_json_count(struct oxv_view value);

/* The member `name` of a checked object; false where there is none, or it is no object. */
OXV_MUST_USE bool oxv_json_get(struct oxv_view object, const char *name, struct oxv_view *value);

/* The text of a checked string, unescaped; false, and nothing is written, for another type. */
OXV_MUST_USE bool oxv_json_write_string(struct oxv_writer *w, struct oxv_view value);
/* False for another type, or beyond `max`. */
OXV_MUST_USE bool oxv_json_integer(struct oxv_view value, uint64_t max, uint64_t *out);
OXV_MUST_USE bool oxv_json_boolean(struct oxv_view value, bool *out);

#endif
