#include "signer/method.h"

#include "signer/chars.h"

enum oxv_status
oxv_method_parse(struct oxv_view text, struct oxv_method *out, struct oxv_syntax_error *where)
{
    struct oxv_method method = { .len = text.len };

    if (text.len == 0) {
        return oxv_refuse(where, OXV_E_FORMAT, 0, "the method is empty");
    }
    if (text.len > OXV_METHOD_MAX_BYTES) {
        return oxv_refuse(where, OXV_E_LIMIT, OXV_METHOD_MAX_BYTES, "the method is too long");
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!oxv_char_is(text.data[i], OXV_CHAR_TOKEN)) {
            return oxv_refuse(where, OXV_E_FORMAT, i, "a byte that no HTTP method has");
        }
        method.text[i] = (char)oxv_char_upper(text.data[i]);
    }
    *out = method;
    return OXV_OK;
}
