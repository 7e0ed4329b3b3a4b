/* fuzz_doc: all of the input is a document. What is one becomes JSON that cJSON reads. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "service/wire/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char json[65536];
    struct oxv_writer w = oxv_writer(json, sizeof json);
    struct oxv_view doc = oxv_view(data, size);
    struct oxv_view text;
    bool has_text = oxv_doc_find_text(doc, "text", &text);
    enum oxv_status st = oxv_doc_to_json(doc, &w);

    require(!has_text || text.len <= size);
    if (st != OXV_OK) {
        return 0;
    }
    cJSON *parsed = cJSON_ParseWithLength(json, w.len);

    require(cJSON_IsObject(parsed));
    cJSON_Delete(parsed);
    return 0;
}
