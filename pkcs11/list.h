/* list: the tokens of one module, as they describe themselves. Nobody logs in. */
#ifndef OXV_PKCS11_LIST_H
#define OXV_PKCS11_LIST_H

#include "pkcs11/token.h"

/* Texts are printable UTF-8. */
struct oxv_p11_listed {
    char uri[OXV_TOKEN_URI_MAX_BYTES + 1];
    char label[33];
    char manufacturer[33];
    char model[17];
    char serial[17];
    CK_FLAGS flags;
    size_t mechanisms;
    enum oxv_p11_pin_state pin_state;
    bool has_pin_pad;
};

typedef void (*oxv_p11_list_fn)(void *ctx, const struct oxv_p11_listed *token);

/* Calls fn for each token that is initialized or has a label. OXV_TOKEN_REFUSED, OXV_TOKEN_ABSENT.
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_list(struct oxv_view module, uint64_t owner_uid_plus1,
                                                 oxv_p11_list_fn fn, void *ctx,
                                                 struct oxv_p11_fault *fault);
/* The name of the i-th flag of CK_TOKEN_INFO that is set; NULL beyond the last. */
const char *oxv_p11_flag_name(CK_FLAGS flags, size_t i);

#endif
