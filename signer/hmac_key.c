#include "signer/hmac_key.h"

#include "signer/percent.h"

void
oxv_hmac_key_write(struct oxv_writer *w, struct oxv_view consumer_secret,
                   struct oxv_view token_secret)
{
    oxv_write_percent(w, consumer_secret);
    oxv_write_u8(w, '&');
    oxv_write_percent(w, token_secret);
}

enum oxv_status
oxv_hmac_key_text(struct oxv_view consumer_secret, struct oxv_view token_secret,
                  struct oxv_secret **out)
{
    size_t len = oxv_percent_len(consumer_secret) + 1 + oxv_percent_len(token_secret);
    struct oxv_secret *key = oxv_secret_new(len);

    if (key == NULL) {
        return OXV_E_MEMORY;
    }
    struct oxv_writer w = oxv_writer(oxv_secret_bytes(key), len);

    oxv_hmac_key_write(&w, consumer_secret, token_secret);
    if (w.failed || w.len != len) {
        oxv_bug("the key text has another length");
    }
    *out = key;
    return OXV_OK;
}

size_t
oxv_hmac_block_len(enum oxv_signature_method method)
{
    if (oxv_signature_method_is_rsa(method)) {
        return 0;
    }
    return method == OXV_HMAC_SHA512 ? 128 : 64;
}

size_t
oxv_hmac_len(enum oxv_signature_method method)
{
    if (oxv_signature_method_is_rsa(method)) {
        return 0;
    }
    if (method == OXV_HMAC_SHA512) {
        return 64;
    }
    return method == OXV_HMAC_SHA256 ? 32 : 20;
}
