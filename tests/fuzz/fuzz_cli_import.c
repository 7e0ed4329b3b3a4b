/* cli_import: import lines and secrets files; an error repeats nothing of them. */
#include <stdlib.h>

#include "cli/import_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready = false;
    static struct oxv_import_line line; /* used again, as the command does */
    struct oxv_secrets secrets = { 0 };
    struct oxv_err err = { 0 };

    if (!ready) {
        ready = oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, &err) == OXV_OK;
    }
    if (oxv_import_line_read(oxv_view(data, size), &line, &err) == OXV_OK &&
        (line.secrets.consumer == NULL || line.secrets.token == NULL ||
         line.draft.record.name.len == 0)) {
        abort();
    }
    if (oxv_secrets_parse(oxv_view(data, size), &secrets, &err) == OXV_OK &&
        (secrets.consumer == NULL || secrets.token == NULL)) {
        abort();
    }
    oxv_secrets_done(&secrets);
    return 0;
}
