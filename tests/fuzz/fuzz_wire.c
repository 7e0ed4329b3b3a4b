/* fuzz_wire: all of the input is a datagram. Written anew, its messages give the same bytes. */
#include <stdlib.h>

#include "service/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    static uint8_t again[OXV_WIRE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(again, sizeof again);
    struct oxv_reader r;
    struct oxv_message m;
    enum oxv_status st;

    if (!oxv_wire_begin(oxv_view(data, size), &r)) {
        return 0;
    }
    oxv_write_u8(&w, OXV_WIRE_VERSION);
    while ((st = oxv_wire_next(&r, &m)) == OXV_OK) {
        oxv_write_u8(&w, m.type);
        oxv_write_u64(&w, m.id);
        oxv_write_view32(&w, m.payload);
    }
    require(st == OXV_E_NOT_FOUND || st == OXV_E_FORMAT);
    if (st == OXV_E_NOT_FOUND) {
        require(!w.failed && oxv_view_equals(oxv_view(again, w.len), oxv_view(data, size)));
    }
    return 0;
}
