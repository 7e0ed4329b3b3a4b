/* The body of add-checkpoint has one form, and no body is cosigned for a log that is not known. */
#include <stdlib.h>

#include "vault/log/witness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_form(const struct oxv_witness_request *request, struct oxv_view body)
{
    static uint8_t again[OXV_WITNESS_REQUEST_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);

    oxv_proof_file_write(&w, &request->file);
    if (w.failed || !oxv_view_equals(oxv_view(again, w.len), body) ||
        request->file.proof.count > OXV_WITNESS_PROOF_MAX) {
        abort();
    }
}

static void
check_verdicts(const struct oxv_witness_request *request)
{
    static struct oxv_hasher *hasher;
    struct oxv_witnessed_log log = { .key_count = 0, .head = request->said.head };

    if (hasher == NULL && (hasher = oxv_hasher_new()) == NULL) {
        abort();
    }
    if (oxv_witness_judge(hasher, request, &log) != OXV_WITNESS_UNKNOWN) {
        abort();
    }
    log.key_count = 1; /* of zeros: nobody signs by it */
    memcpy(log.keys[0].name, request->said.origin, sizeof log.keys[0].name);
    if (oxv_witness_judge(hasher, request, &log) != OXV_WITNESS_UNSIGNED) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oxv_witness_request request;
    struct oxv_view body = oxv_view(data, size);

    if (oxv_witness_parse(body, &request, NULL) == OXV_OK) {
        check_form(&request, body);
        check_verdicts(&request);
    }
    return 0;
}
