/* json: what passes the check can be walked and unescaped, and stays within its text. */
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk(struct oxv_view value, uint8_t *scratch, size_t max)
{
    struct oxv_json_items items = oxv_json_items(value);
    struct oxv_view name;
    struct oxv_view item;
    size_t count = 0;

    if (oxv_json_type(value) == OXV_JSON_STRING) {
        struct oxv_writer w = oxv_writer(scratch, max);

        if (!oxv_json_write_string(&w, value) || w.failed) {
            abort(); /* unescaped is never longer than as it stands */
        }
    }
    while (oxv_json_next(&items, &name, &item)) {
        walk(item, scratch, max);
        count++;
    }
    if (count != oxv_json_count(value)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_view text = oxv_view(data, size);
    struct oxv_json_fault fault = { 0 };

    if (oxv_json_check(text, &fault) != OXV_OK) {
        if (fault.offset > size || fault.reason == NULL) {
            abort();
        }
        return 0;
    }
    uint8_t *scratch = malloc(size + 1);

    if (scratch == NULL) {
        return 0;
    }
    walk(text, scratch, size);
    free(scratch);
    return 0;
}
