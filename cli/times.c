#include "cli/times.h"

#define DISTANCE_MAX_S (UINT64_C(100) * 366 * 86400)

static bool
parse_distance(struct oxv_view text, uint64_t *seconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };
    uint64_t number;

    if (text.len < 2 ||
        !oxv_parse_decimal(oxv_view(text.data, text.len - 1), DISTANCE_MAX_S, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text.data[text.len - 1] == (uint8_t)units[i].unit) {
            *seconds = number * units[i].seconds;
            return *seconds <= DISTANCE_MAX_S;
        }
    }
    return false;
}

bool
oxv_times_parse(const char *text, uint64_t now_us, bool forward, char out[OXV_TIMESTAMP_BYTES])
{
    struct oxv_view view = oxv_view_text(text);
    uint64_t seconds;
    uint64_t time_us;

    if (oxv_parse_timestamp(view, &time_us)) {
        oxv_format_timestamp(time_us, out);
        return true;
    }
    if (forward && !oxv_view_has_prefix(view, "+")) {
        return false;
    }
    if (!parse_distance(oxv_view_from(view, forward ? 1 : 0), &seconds)) {
        return false;
    }
    if (!forward && seconds * 1000000u > now_us) {
        return false;
    }
    time_us = forward ? now_us + seconds * 1000000u : now_us - seconds * 1000000u;
    oxv_format_timestamp(time_us, out);
    return true;
}
