#include "pkcs11/list.h"

#include "pkcs11/module.h"
#include "pkcs11/token_impl.h"
#include "pkcs11/uri.h"

#define SLOTS_MAX      64u
#define MECHANISMS_MAX 1024u

static const struct {
    CK_FLAGS flag;
    const char *name;
} flag_names[] = {
    { CKF_TOKEN_INITIALIZED, "token-initialized" },
    { CKF_LOGIN_REQUIRED, "login-required" },
    { CKF_USER_PIN_INITIALIZED, "user-pin-initialized" },
    { CKF_PROTECTED_AUTHENTICATION_PATH, "protected-authentication-path" },
    { CKF_RNG, "rng" },
    { CKF_WRITE_PROTECTED, "write-protected" },
    { CKF_USER_PIN_COUNT_LOW, "user-pin-count-low" },
    { CKF_USER_PIN_FINAL_TRY, "user-pin-final-try" },
    { CKF_USER_PIN_LOCKED, "user-pin-locked" },
    { CKF_USER_PIN_TO_BE_CHANGED, "user-pin-to-be-changed" },
};

const char *
oxv_p11_flag_name(CK_FLAGS flags, size_t i)
{
    for (size_t n = 0; n < sizeof flag_names / sizeof flag_names[0]; n++) {
        if ((flags & flag_names[n].flag) != 0 && i-- == 0) {
            return flag_names[n].name;
        }
    }
    return NULL;
}

#define FIELD(info_field, out) (void)oxv_p11_field(info_field, sizeof info_field, out, sizeof out)

static void
describe(const CK_FUNCTION_LIST *calls, CK_SLOT_ID slot, const CK_TOKEN_INFO *info,
         struct oxv_p11_listed *out)
{
    CK_MECHANISM_TYPE mechanisms[MECHANISMS_MAX];
    CK_ULONG count = MECHANISMS_MAX;

    (void)oxv_p11_uri_of(info, out->uri);
    FIELD(info->label, out->label);
    FIELD(info->manufacturerID, out->manufacturer);
    FIELD(info->model, out->model);
    FIELD(info->serialNumber, out->serial);
    out->flags = info->flags;
    out->has_pin_pad = (info->flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
    out->pin_state = oxv_p11_pin_state_of(info->flags);
    if (calls->C_GetMechanismList(slot, mechanisms, &count) == CKR_OK && count <= MECHANISMS_MAX) {
        out->mechanisms = count;
    }
}

enum oxv_token_trouble
oxv_p11_list(struct oxv_view name, uint64_t owner_uid_plus1, oxv_p11_list_fn fn, void *ctx,
             struct oxv_p11_fault *fault)
{
    OXV_AUTO(oxv_p11_module_freep) struct oxv_p11_module *module = NULL;
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    enum oxv_token_trouble t = oxv_p11_module_load(name, owner_uid_plus1, &module, fault);

    if (t != OXV_TOKEN_FINE) {
        return t;
    }
    const CK_FUNCTION_LIST *calls = oxv_p11_module_calls(module);
    CK_RV rv = oxv_p11_module_start(module);

    if (rv != CKR_OK) {
        return oxv_p11_call_failed(fault, "C_Initialize", rv);
    }
    rv = calls->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK || count > SLOTS_MAX) {
        return oxv_p11_call_failed(fault, "C_GetSlotList", rv == CKR_OK ? CKR_GENERAL_ERROR : rv);
    }
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info = { 0 };
        struct oxv_p11_listed token = { 0 };

        if (calls->C_GetTokenInfo(slots[i], &info) != CKR_OK) {
            continue; /* it does not say who it is */
        }
        describe(calls, slots[i], &info, &token);
        if ((info.flags & CKF_TOKEN_INITIALIZED) != 0 || token.label[0] != '\0') {
            fn(ctx, &token);
        }
    }
    return OXV_TOKEN_FINE;
}
