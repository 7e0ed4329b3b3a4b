/* Any bytes as the file token-pins: what is read is as many tokens as it says, each once. */
#include <stdlib.h>

#include "service/keeper/token_pins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = SIZE_MAX;
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_token_pins_parse(oxv_view(data, size), &count, &err);

    if (st == OXV_OK ? count > OXV_REFUSED_PINS_MAX
                     : count != SIZE_MAX || err.status != st || err.text[0] == '\0') {
        abort();
    }
    return 0;
}
