/*
 * fuzz_frontend_json: the first byte picks a message, the rest is the body of a request. What the
 * check lets through, cJSON must read to the same end, and the mapping must make a message that
 * its own shape accepts, or a refusal with a text.
 */
#include <stdlib.h>

#include "service/frontend/json_check.h"
#include "service/frontend/json_map.h"
#include "service/wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct oxv_shape *const shapes[] = {
    &oxv_msg_sign_shape,      &oxv_msg_grant_add_shape,    &oxv_msg_caller_add_shape,
    &oxv_msg_named_box_shape, &oxv_msg_import_chunk_shape, &oxv_msg_empty_shape,
};

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Counted by other means than the check's: by the tree. */
static size_t
depth_of(const cJSON *json)
{
    size_t deepest = 0;
    const cJSON *child;

    cJSON_ArrayForEach(child, json)
    {
        size_t depth = depth_of(child);

        deepest = depth > deepest ? depth : deepest;
    }
    return cJSON_IsObject(json) || cJSON_IsArray(json) ? deepest + 1 : 0;
}

/* Has it a number that cJSON prints with an exponent (%1.15g), which the check refuses? */
static bool
has_long_number(const cJSON *json)
{
    const cJSON *child;

    cJSON_ArrayForEach(child, json)
    {
        if (has_long_number(child)) {
            return true;
        }
    }
    return cJSON_IsNumber(json) && json->valuedouble >= 1e15;
}

static void
require_same_when_printed(const cJSON *json)
{
    if (has_long_number(json)) {
        return;
    }
    char *text = cJSON_PrintUnformatted(json);

    require(text != NULL);
    require(oxv_json_check(oxv_view_text(text), NULL) == OXV_OK);
    cJSON_free(text);
}

static void
map(const struct oxv_shape *shape, const cJSON *json)
{
    static uint8_t scratch_bytes[131072];
    static uint8_t wire[131072];
    _Alignas(max_align_t) uint8_t out[512] = { 0 };
    _Alignas(max_align_t) uint8_t again[512];
    struct oxv_writer scratch = oxv_writer(scratch_bytes, sizeof scratch_bytes);
    struct oxv_writer w = oxv_writer(wire, sizeof wire);
    struct oxv_err err = { 0 };
    struct oxv_mapping m = {
        .shape = shape, .out = out, .scratch = &scratch, .takes = OXV_MAP_ALL
    };
    enum oxv_status st = oxv_map_object(&m, json, &err);

    if (st == OXV_OK) {
        st = oxv_map_finish(&m, &err);
    }
    require((st == OXV_OK) == (err.text[0] == '\0'));
    if (st == OXV_OK) {
        oxv_fields_encode(&w, shape, out);
        require(!w.failed);
        require(oxv_fields_decode(oxv_view(wire, w.len), shape, again, NULL) == OXV_OK);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_err err = { 0 };

    if (size < 1) {
        return 0;
    }
    struct oxv_view body = oxv_view(data + 1, size - 1);

    if (oxv_json_check(body, &err) != OXV_OK) {
        require(err.text[0] != '\0');
        return 0;
    }
    cJSON *json = cJSON_ParseWithLength((const char *)body.data, body.len);

    require(json != NULL && cJSON_IsObject(json));
    require(depth_of(json) <= OXV_JSON_DEPTH_MAX);
    require_same_when_printed(json);
    map(shapes[data[0] % (sizeof shapes / sizeof shapes[0])], json);
    cJSON_Delete(json);
    return 0;
}
