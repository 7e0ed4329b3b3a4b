/* fuzz_text: each parser of base/text.h on the same input; what is accepted has one spelling. */
#include <stdlib.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
check_same(const struct oxv_writer *w, struct oxv_view text)
{
    require(!w->failed && oxv_view_equals(text, oxv_view(w->data, w->len)));
}

static void
check_numbers(struct oxv_view text)
{
    static uint8_t buffer[1 << 16];
    uint8_t bytes[16];
    static uint8_t decoded[1 << 16];
    size_t len;
    uint64_t number;
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);

    if (oxv_parse_decimal(text, UINT64_MAX, &number)) {
        oxv_write_decimal(&w, number);
        check_same(&w, text);
    }
    w.len = 0;
    if (oxv_parse_base64(text, decoded, sizeof decoded, &len)) {
        oxv_write_base64(&w, oxv_view(decoded, len));
        check_same(&w, text);
    }
    if (oxv_parse_hex(text, bytes, sizeof bytes)) {
        require(text.len == 2 * sizeof bytes);
    }
}

static void
check_utf8(struct oxv_view text)
{
    static uint8_t buffer[1 << 16];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    size_t good = oxv_utf8_prefix_len(text);

    require(good <= text.len && oxv_is_utf8(oxv_view(text.data, good)));
    require((good == text.len) == oxv_is_utf8(text));
    require(!oxv_is_printable_utf8(text) || oxv_is_utf8(text));
    if (text.len < sizeof buffer / 6 - 2) {
        oxv_write_json_string(&w, text);
        require(w.failed == !oxv_is_utf8(text));
    }
}

static void
check_times(struct oxv_view text)
{
    char written[OXV_TIMESTAMP_BYTES];
    uint64_t time_us;
    uint64_t again;

    if (oxv_parse_timestamp(text, &time_us)) {
        oxv_format_timestamp(time_us, written);
        require(oxv_parse_timestamp(oxv_view_text(written), &again) && again == time_us);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_view text = oxv_view(data, size);

    check_numbers(text);
    check_utf8(text);
    check_times(text);
    return 0;
}
