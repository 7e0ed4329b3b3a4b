/* What the emitter writes for any struct, the checker accepts. */
#include <stdlib.h>

#include "vault/log/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t line[OXV_LOG_ENTRY_MAX_BYTES];
    struct oxv_writer w = oxv_writer(line, sizeof line);
    struct oxv_entry_place place = { .boot = "00112233445566778899aabbccddeeff" };
    struct oxv_entry entry;
    struct oxv_entry_line out;
    struct oxv_entry_fault fault;

    if (oxv_fields_decode(oxv_view(data, size), &oxv_entry_shape, &entry, NULL) != OXV_OK) {
        return 0;
    }
    place.time_us = entry.happened_us;
    oxv_entry_write(&w, &entry, &place);
    if (!w.failed && oxv_entry_check(oxv_view(line, w.len), &out, &fault) != OXV_OK) {
        abort();
    }
    return 0;
}
