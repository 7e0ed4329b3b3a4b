#include "signer/signature_method.h"

static const struct {
    enum oxv_signature_method method;
    const char *name;
} methods[] = {
    { OXV_HMAC_SHA256, "HMAC-SHA256" }, { OXV_HMAC_SHA512, "HMAC-SHA512" },
    { OXV_HMAC_SHA1, "HMAC-SHA1" },     { OXV_RSA_SHA1, "RSA-SHA1" },
    { OXV_RSA_SHA256, "RSA-SHA256" },   { OXV_RSA_SHA512, "RSA-SHA512" },
};

#define METHOD_COUNT (sizeof methods / sizeof methods[0])

const char *
oxv_signature_method_name(enum oxv_signature_method method)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].method == method) {
            return methods[i].name;
        }
    }
    oxv_bug("unknown signature method");
}

enum oxv_status
oxv_signature_method_parse(struct oxv_view name, enum oxv_signature_method *out,
                           struct oxv_syntax_error *where)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (oxv_view_is(name, methods[i].name)) {
            *out = methods[i].method;
            return OXV_OK;
        }
    }
    if (oxv_view_is(name, "PLAINTEXT")) {
        return oxv_refuse(where, OXV_E_DENIED, 0,
                          "PLAINTEXT is refused: its signature is the secret");
    }
    return oxv_refuse(where, OXV_E_FORMAT, 0,
                      "the signature method must be HMAC-SHA256, HMAC-SHA512, HMAC-SHA1, RSA-SHA1, "
                      "RSA-SHA256 or RSA-SHA512");
}

bool
oxv_signature_method_known(uint64_t number)
{
    return number >= OXV_HMAC_SHA256 && number <= OXV_RSA_SHA512;
}

bool
oxv_signature_method_is_rsa(enum oxv_signature_method method)
{
    return method == OXV_RSA_SHA1 || method == OXV_RSA_SHA256 || method == OXV_RSA_SHA512;
}
