/*
 * fuzz_messages: the first byte picks a shape, the rest is a payload. Each value has one encoding:
 * what decodes, encodes to the same bytes.
 */
#include <stdlib.h>

#include "service/wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct oxv_shape *const shapes[] = {
    &oxv_msg_empty_shape,
    &oxv_msg_sign_shape,
    &oxv_msg_page_shape,
    &oxv_msg_name_shape,
    &oxv_msg_id_shape,
    &oxv_msg_uid_shape,
    &oxv_msg_box_shape,
    &oxv_msg_named_box_shape,
    &oxv_msg_session_shape,
    &oxv_msg_import_chunk_shape,
    &oxv_msg_import_commit_shape,
    &oxv_msg_caller_add_shape,
    &oxv_msg_grants_shape,
    &oxv_msg_grant_add_shape,
    &oxv_msg_log_read_shape,
    &oxv_msg_log_opened_shape,
    &oxv_msg_log_segment_shape,
    &oxv_msg_log_bytes_shape,
    &oxv_msg_log_wait_shape,
    &oxv_msg_log_size_shape,
    &oxv_msg_problem_shape,
    &oxv_msg_peer_shape,
    &oxv_msg_publish_shape,
    &oxv_msg_ready_shape,
    &oxv_msg_frontend_shape,
    &oxv_msg_refuse_shape,
    &oxv_msg_start_shape,
    &oxv_msg_pin_shape,
    &oxv_msg_helper_open_shape,
    &oxv_msg_helper_token_shape,
    &oxv_msg_helper_login_shape,
    &oxv_msg_helper_pair_shape,
    &oxv_msg_helper_public_shape,
    &oxv_msg_helper_load_shape,
    &oxv_msg_helper_key_shape,
    &oxv_msg_helper_sign_shape,
    &oxv_msg_helper_mac_shape,
    &oxv_msg_helper_drop_shape,
    &oxv_msg_helper_seal_shape,
    &oxv_msg_helper_sealed_shape,
    &oxv_msg_helper_unseal_shape,
    &oxv_msg_helper_value_shape,
    &oxv_msg_helper_trouble_shape,
};

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
    static uint8_t again[131072];
    _Alignas(max_align_t) uint8_t out[1024] = { 0 };
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_err err = { 0 };

    if (size < 1) {
        return 0;
    }
    const struct oxv_shape *shape = shapes[data[0] % (sizeof shapes / sizeof shapes[0])];
    struct oxv_view payload = oxv_view(data + 1, size - 1);

    if (oxv_fields_decode(payload, shape, out, &err) != OXV_OK) {
        require(err.text[0] != '\0');
        return 0;
    }
    oxv_fields_encode(&w, shape, out);
    require(!w.failed && oxv_view_equals(oxv_view(again, w.len), payload));
    return 0;
}
