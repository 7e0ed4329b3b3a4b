/* Commit lines and verifier keys have one form each; a key file never opens by chance. */
#include <stdlib.h>

#include "vault/log/commit.h"
#include "vault/log/epoch_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_commit(struct oxv_view line)
{
    uint8_t again[OXV_COMMIT_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_commit commit;
    struct oxv_commit expected = { .size = 1 };

    (void)oxv_commit_compare(line, &expected); /* for the sanitizers */
    if (!oxv_commit_parse(line, &commit)) {
        return;
    }
    oxv_commit_write(&w, &commit);
    if (w.failed || !oxv_view_equals(oxv_view(again, w.len), line) || !oxv_commit_ends_line(line) ||
        oxv_commit_compare(line, &commit).count != 0) {
        abort();
    }
}

static void
check_vkey(struct oxv_view text)
{
    uint8_t again[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_vkey vkey;

    if (oxv_vkey_parse(text, &vkey, NULL) != OXV_OK) {
        return;
    }
    oxv_vkey_write(&w, &vkey);
    if (w.failed || !oxv_view_equals(oxv_view(again, w.len), oxv_view(text.data, w.len)) ||
        text.len > w.len + 1) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oxv_secret *wrap_key;
    struct oxv_epoch_key key;

    if (wrap_key == NULL) {
        if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
            abort();
        }
        wrap_key = oxv_secret_random(OXV_LOG_WRAP_KEY_BYTES);
    }
    check_commit(oxv_view(data, size));
    check_vkey(oxv_view(data, size));
    if (oxv_epoch_key_unwrap(oxv_view(data, size), wrap_key, &key, NULL) == OXV_OK) {
        abort();
    }
    return 0;
}
