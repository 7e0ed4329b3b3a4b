/*
 * json_map: fills a message by its shape from a JSON object, or from texts of a URL. The shape's
 * member names are the names in JSON; what it does not have is refused.
 *
 *   U64 integer; FLAG boolean; TEXT, STRING string; BYTES base64 string; LIST array of strings;
 *   PAIRS object with string values, or array of [name, value]
 *
 * An empty text or list is the same as none.
 */
#ifndef OXV_SERVICE_FRONTEND_JSON_MAP_H
#define OXV_SERVICE_FRONTEND_JSON_MAP_H

#include <cjson/cJSON.h>

#include "base/fields.h"

/* Bit i stands for the shape's field i. */
#define OXV_MAP_ALL UINT32_MAX

struct oxv_mapping {
    const struct oxv_shape *shape;
    void *out;                  /* zeroed; its views borrow the JSON, the text or the scratch */
    struct oxv_writer *scratch; /* for values that are not stored as they stand */
    uint32_t takes;             /* fields that may be given */
    uint32_t needs;             /* fields that must be, besides the required ones of the shape */
    uint32_t filled;            /* fields that were */
    const char *ignores;        /* a name that is somebody else's; NULL: none */
};

/* The bit of a field by its name; 0 where the shape has none of that name. */
uint32_t oxv_map_bit(const struct oxv_shape *shape, const char *name);

/*
 * Takes all members of an object that oxv_json_check() found good.
 *   OXV_E_FORMAT  unknown, of a wrong type or out of bounds: *err names the member
 */
OXV_MUST_USE enum oxv_status oxv_map_object(struct oxv_mapping *m, const cJSON *object,
                                            struct oxv_err *err);

/* Takes one text or decimal number from a path or a query; refuses a second one of that name. */
OXV_MUST_USE enum oxv_status oxv_map_text(struct oxv_mapping *m, struct oxv_view name,
                                          struct oxv_view value, struct oxv_err *err);

/* OXV_E_FORMAT where something that must be given was not: *err names it. */
OXV_MUST_USE enum oxv_status oxv_map_finish(const struct oxv_mapping *m, struct oxv_err *err);

#endif
