/*
 * json_check: is this JSON in the one form we take? Looked at before cJSON sees a byte, which takes
 * much more and cuts strings and names at a NUL. Bounded: no recursion, no allocation.
 *
 * RFC 8259, and:
 *  1. the top value is an object; nothing but white space follows it, nothing precedes it (no BOM)
 *  2. well-formed UTF-8; no NUL, neither raw nor as an escape; no lone surrogate escapes
 *  3. no name twice in one object, compared after taking out escapes, and with case
 *  4. a number is decimal digits: no sign, fraction, exponent or leading zero; at most 2^53 - 1
 *  5. at most OXV_JSON_DEPTH_MAX objects and arrays within each other, OXV_JSON_VALUES_MAX values,
 *     and OXV_JSON_NAMES_MAX names in the objects that are open at one place
 */
#ifndef OXV_SERVICE_FRONTEND_JSON_CHECK_H
#define OXV_SERVICE_FRONTEND_JSON_CHECK_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_JSON_DEPTH_MAX   8u
#define OXV_JSON_VALUES_MAX  100000u
#define OXV_JSON_NAMES_MAX   512u
#define OXV_JSON_INTEGER_MAX ((UINT64_C(1) << 53) - 1)

/*
 *   OXV_E_FORMAT  a rule is broken: *err names the member, the rule and the byte
 */
OXV_MUST_USE enum oxv_status oxv_json_check(struct oxv_view text, struct oxv_err *err);

#endif
