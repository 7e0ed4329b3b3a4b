/* fuzz_fields: all of the input is an encoded struct of every type of field. */
#include <stdlib.h>

#include "base/fields.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sample {
    uint64_t number;
    uint64_t optional_number;
    struct oxv_view text;
    struct oxv_view bytes;
    struct oxv_view list;
};

static const struct oxv_field sample_fields[] = {
    OXV_FIELD(struct sample, number, 1, OXV_FIELD_U64, true, 2, 1000),
    OXV_FIELD(struct sample, optional_number, 3, OXV_FIELD_U64, false, 1, UINT64_MAX),
    OXV_FIELD(struct sample, text, 4, OXV_FIELD_TEXT, true, 0, 20),
    OXV_FIELD(struct sample, bytes, 200, OXV_FIELD_BYTES, false, 2, 8),
    OXV_FIELD(struct sample, list, 255, OXV_FIELD_LIST, false, 1, 64),
};
static const struct oxv_shape sample_shape = OXV_SHAPE(struct sample, "sample", sample_fields);

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
    uint8_t again[256];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_view whole = oxv_view(data, size);
    struct sample s = { .number = 77 };
    struct oxv_view item;
    size_t items = 0;

    if (oxv_fields_decode(whole, &sample_shape, &s, NULL) != OXV_OK) {
        require(s.number == 77 && s.text.data == NULL);
        return 0;
    }
    require(s.number >= 2 && s.number <= 1000);
    require(s.text.len <= 20 && oxv_is_printable_utf8(s.text));
    require(s.bytes.len == 0 || (s.bytes.len >= 2 && s.bytes.len <= 8));
    struct oxv_reader r = oxv_reader(s.list);

    while (oxv_list_next(&r, &item)) {
        items++;
    }
    require(oxv_reader_at_end(&r) && items == oxv_list_count(s.list));
    oxv_fields_encode(&w, &sample_shape, &s);
    require(!w.failed && oxv_view_equals(whole, oxv_view(again, w.len)));
    return 0;
}
