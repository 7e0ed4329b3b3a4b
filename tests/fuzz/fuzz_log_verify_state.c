/*
 * A saved state has one form: what is taken is written again byte for byte. The digest is put right
 * first, so that the fields behind it are reached.
 */
#include <stdlib.h>

#include "vault/log/verify_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vkey_text[] =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[OXV_LOG_STATE_MAX_BYTES + OXV_HASH_BYTES];
    static uint8_t again[OXV_LOG_STATE_MAX_BYTES];
    OXV_AUTO(oxv_hasher_freep) struct oxv_hasher *hasher = oxv_hasher_new();
    struct oxv_writer w = oxv_writer(bytes, sizeof bytes);
    struct oxv_writer out = oxv_writer(again, sizeof again);
    struct oxv_verify_state state;
    struct oxv_vkey vkey;
    uint8_t digest[OXV_HASH_BYTES];

    if (size > OXV_LOG_STATE_MAX_BYTES || hasher == NULL ||
        oxv_vkey_parse(oxv_view_text(vkey_text), &vkey, NULL) != OXV_OK) {
        return 0;
    }
    (void)!oxv_verify_state_parse(oxv_view(data, size), &vkey, hasher, &state, NULL);
    oxv_write_text(&w, "oxvault log verify state 1\n");
    oxv_write_view(&w, oxv_view(data, size));
    oxv_hash_bytes(hasher, oxv_view(bytes, w.len), digest);
    oxv_write_view(&w, oxv_view(digest, sizeof digest));
    if (w.failed ||
        oxv_verify_state_parse(oxv_view(bytes, w.len), &vkey, hasher, &state, NULL) != OXV_OK) {
        return 0;
    }
    oxv_verify_state_write(&out, &state, &vkey, hasher);
    if (out.failed || !oxv_view_equals(oxv_view(again, out.len), oxv_view(bytes, w.len))) {
        abort();
    }
    return 0;
}
