#include "base/shown.h"

#include "base/text.h"

struct range {
    uint32_t first;
    uint32_t last;
};

static const struct range hidden[] = {
    { 0x0000, 0x001f },   { 0x007f, 0x009f },    { 0x00ad, 0x00ad },   { 0x034f, 0x034f },
    { 0x061c, 0x061c },   { 0x115f, 0x1160 },    { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
    { 0x200b, 0x200f },   { 0x2028, 0x202e },    { 0x2060, 0x206f },   { 0x3164, 0x3164 },
    { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },    { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },
    { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },  { 0xe0000, 0xe0fff }, { 0xe000, 0xf8ff },
    { 0xfffe, 0xffff },   { 0xf0000, 0x10ffff },
};

bool
oxv_utf8_first(struct oxv_view text, uint32_t *c, size_t *len)
{
    uint8_t lead = text.data[0];
    struct oxv_view head = oxv_view_slice(text, 0,
                                          lead < 0x80   ? 1
                                          : lead < 0xe0 ? 2
                                          : lead < 0xf0 ? 3
                                                        : 4);

    *c = lead;
    *len = 1;
    if (oxv_utf8_prefix_len(head) == 0) {
        return false;
    }
    *len = head.len;
    if (head.len > 1) {
        *c = lead & (0xffu >> (head.len + 1));
    }
    for (size_t i = 1; i < head.len; i++) {
        *c = *c << 6 | (head.data[i] & 0x3fu);
    }
    return true;
}

bool
oxv_char_is_hidden(uint32_t c)
{
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (c >= hidden[i].first && c <= hidden[i].last) {
            return true;
        }
    }
    return false;
}
