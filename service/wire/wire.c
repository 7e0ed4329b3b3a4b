#include "service/wire/wire.h"

bool
oxv_wire_begin(struct oxv_view datagram, struct oxv_reader *r)
{
    uint8_t version;

    *r = oxv_reader(datagram);
    return datagram.len <= OXV_WIRE_MAX_BYTES && oxv_read_u8(r, &version) &&
           version == OXV_WIRE_VERSION && !oxv_reader_at_end(r);
}

enum oxv_status
oxv_wire_next(struct oxv_reader *r, struct oxv_message *out)
{
    struct oxv_message message = { 0 };

    if (oxv_reader_at_end(r)) {
        return OXV_E_NOT_FOUND;
    }
    if (!oxv_read_u8(r, &message.type) || !oxv_read_u64(r, &message.id) ||
        !oxv_read_view32(r, &message.payload)) {
        return OXV_E_FORMAT;
    }
    *out = message;
    return OXV_OK;
}
