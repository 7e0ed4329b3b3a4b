#include "service/frontend/media_type.h"

#include "base/http_syntax.h"

/* Up to the next semicolon, without blanks around it. No parameter of JSON has one within quotes.
 */
static struct oxv_view
next_part(struct oxv_reader *r)
{
    struct oxv_view part;
    uint8_t semicolon;

    if (!oxv_read_view(r, oxv_view_find(r->left, ';'), &part)) {
        return oxv_view(NULL, 0);
    }
    if (!oxv_reader_at_end(r) && !oxv_read_u8(r, &semicolon)) {
        return oxv_view(NULL, 0);
    }
    return oxv_http_trim(part);
}

static bool
is_good_parameter(struct oxv_view part)
{
    size_t equals = oxv_view_find(part, '=');
    struct oxv_view name = oxv_view_slice(part, 0, equals);
    struct oxv_view value = oxv_view_from(part, equals + 1);

    if (name.len == 0 || value.len == 0) {
        return false;
    }
    return !oxv_http_text_is(name, "charset") || oxv_http_text_is(value, "utf-8") ||
           oxv_http_text_is(value, "\"utf-8\"");
}

bool
oxv_media_type_is_json(struct oxv_view value)
{
    struct oxv_reader r = oxv_reader(value);

    if (!oxv_http_text_is(next_part(&r), "application/json")) {
        return false;
    }
    while (!oxv_reader_at_end(&r)) {
        struct oxv_view part = next_part(&r);

        if (part.len > 0 && !is_good_parameter(part)) {
            return false;
        }
    }
    return true;
}
