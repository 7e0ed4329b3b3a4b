#include "pkcs11/fault.h"

#include <stdio.h>

#include "base/text.h"
#include "base/token_names.h"
#include "pkcs11/ckr.h"

/* What a module or a URI put there may hold anything. */
static void
make_printable(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    size_t good;

    while ((good = oxv_utf8_prefix_len(oxv_view_text(text))) < strlen(text)) {
        text[good] = '?';
    }
}

enum oxv_token_trouble
oxv_p11_fault(struct oxv_p11_fault *fault, enum oxv_token_trouble trouble, CK_RV ckr,
              const char *fmt, ...)
{
    char text[OXV_P11_FAULT_TEXT_MAX_BYTES];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cut where too long */
    va_end(args);
    make_printable(text);
    memcpy(fault->text, text, sizeof text);
    fault->trouble = trouble;
    fault->ckr = ckr;
    return trouble;
}

static enum oxv_token_trouble
trouble_of(CK_RV ckr)
{
    switch (oxv_p11_ckr_class(ckr)) {
    case OXV_P11_CKR_FINE:
        break;
    case OXV_P11_CKR_STALE:
        return OXV_TOKEN_STALE;
    case OXV_P11_CKR_SESSION:
    case OXV_P11_CKR_LOGIN:
    case OXV_P11_CKR_DEVICE:
        return OXV_TOKEN_ABSENT;
    case OXV_P11_CKR_CREDENTIAL:
        return OXV_TOKEN_PIN;
    case OXV_P11_CKR_CONFIGURATION:
        return OXV_TOKEN_UNFIT;
    case OXV_P11_CKR_DATA:
        return OXV_TOKEN_DATA;
    }
    oxv_bug("a call that went well is no fault");
}

enum oxv_token_trouble
oxv_p11_call_failed(struct oxv_p11_fault *fault, const char *call, CK_RV ckr)
{
    char name[OXV_CKR_NAME_MAX_BYTES];

    return oxv_p11_fault(fault, trouble_of(ckr), ckr, "%s: %s", call, oxv_ckr_name(ckr, name));
}

enum oxv_token_trouble
oxv_p11_fault_prefix(struct oxv_p11_fault *fault, const char *prefix)
{
    char text[OXV_P11_FAULT_TEXT_MAX_BYTES];

    memcpy(text, fault->text, sizeof text);
    return oxv_p11_fault(fault, fault->trouble, fault->ckr, "%s: %s", prefix, text);
}
