/*
 * fuzz_pkcs11_names: the two texts by which an administrator names a token: its URI, and a p11-kit
 * module file. A URI that is accepted fits a token, and that token's own URI is accepted too.
 */
#include <stdlib.h>

#include "pkcs11/module_file.h"
#include "pkcs11/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
try_uri(struct oxv_view text)
{
    OXV_AUTO(oxv_p11_uri_freep) struct oxv_p11_uri *uri = NULL;
    struct oxv_p11_fault fault;
    enum oxv_token_trouble t = oxv_p11_uri_parse(text, &uri, &fault);

    require((t == OXV_TOKEN_FINE) == (uri != NULL));
    require(t == OXV_TOKEN_FINE || t == OXV_TOKEN_REFUSED);
    if (t != OXV_TOKEN_FINE) {
        require(fault.text[0] != '\0');
    }
}

/* The fields of a token are its own to fill; its URI must name it all the same. */
static void
try_info(struct oxv_view bytes)
{
    OXV_AUTO(oxv_p11_uri_freep) struct oxv_p11_uri *uri = NULL;
    CK_TOKEN_INFO info = { 0 };
    struct oxv_p11_fault fault;
    char text[OXV_TOKEN_URI_MAX_BYTES + 1];
    char field[33];
    struct oxv_reader r = oxv_reader(bytes);

    if (!oxv_read_bytes(&r, info.label, sizeof info.label) ||
        !oxv_read_bytes(&r, info.manufacturerID, sizeof info.manufacturerID) ||
        !oxv_read_bytes(&r, info.model, sizeof info.model) ||
        !oxv_read_bytes(&r, info.serialNumber, sizeof info.serialNumber)) {
        return;
    }
    require(oxv_p11_field(info.label, sizeof info.label, field, sizeof field) == field);
    require(oxv_p11_uri_of(&info, text) == text && text[0] != '\0');
    if (oxv_p11_uri_parse(oxv_view_text(text), &uri, &fault) == OXV_TOKEN_FINE) {
        require(oxv_p11_uri_fits(uri, &info));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_view input = oxv_view(data, size);
    struct oxv_p11_module_file file = { .path = "untouched" };
    struct oxv_p11_fault fault;

    try_uri(input);
    try_info(input);
    if (oxv_p11_module_text(input, &file, &fault) == OXV_TOKEN_FINE) {
        require(file.path[0] != '\0');
    } else {
        require(strcmp(file.path, "untouched") == 0);
    }
    return 0;
}
