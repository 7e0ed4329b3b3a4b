/*
 * fuzz_cli_token_uri: the input is, with a u16 length, a URI as a user gives it, and then one that
 * the service tells.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/token_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
check_label(struct oxv_view uri)
{
    char out[16];
    char longer[512];

    memset(out, 'x', sizeof out);
    oxv_token_uri_label(uri, out, sizeof out);
    oxv_token_uri_label(uri, longer, sizeof longer);
    require(memchr(out, '\0', sizeof out) != NULL);
    require(memchr(longer, '\0', sizeof longer) != NULL);
    /* The short one is the beginning of the long one, unless a NUL came late. */
    require(longer[0] == '\0' || strncmp(out, longer, strlen(out)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oxv_reader r = oxv_reader(oxv_view(data, size));
    struct oxv_view wanted;
    static uint8_t more[4096];

    if (!oxv_read_view16(&r, &wanted)) {
        return 0;
    }
    check_label(wanted);
    check_label(r.left);
    bool fits = oxv_token_uri_fits(wanted, r.left);

    require(oxv_token_uri_fits(oxv_view_text("pkcs11:"), r.left)); /* says nothing: fits all */
    /* With one attribute more that `r.left` has not, it does not fit any more. */
    if (fits && wanted.len < sizeof more / 2) {
        struct oxv_writer w = oxv_writer(more, sizeof more);

        oxv_write_view(&w, wanted);
        oxv_write_text(&w, ";none-has-this=1");
        require(wanted.len < sizeof "pkcs11:" - 1 ||
                !oxv_token_uri_fits(oxv_view(more, w.len), r.left) ||
                memmem(r.left.data, r.left.len, "none-has-this", 13) != NULL);
    }
    return 0;
}
