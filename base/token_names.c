#include "base/token_names.h"

#include "base/text.h"

static const char *const mechanism_names[OXV_TOKEN_MECHANISM_END] = {
    [OXV_TOKEN_AES_GCM] = "aes-gcm",
    [OXV_TOKEN_AES_KWP_ENCRYPT] = "aes-kwp",
    [OXV_TOKEN_RSA_OAEP_SHA256] = "rsa-oaep-sha256",
    [OXV_TOKEN_AES_KWP_WRAP] = "aes-kwp-wrap",
    [OXV_TOKEN_ECDH] = "ecdh",
    [OXV_TOKEN_RSA_OAEP_SHA1] = "rsa-oaep-sha1",
    [OXV_TOKEN_RSA_PKCS1] = "rsa-pkcs1",
};

static const char *const gcm_iv_names[OXV_TOKEN_GCM_IV_END] = {
    [OXV_TOKEN_GCM_IV_HOST] = "host",
    [OXV_TOKEN_GCM_IV_HSM_WRITEBACK] = "hsm-writeback",
    [OXV_TOKEN_GCM_IV_HSM_APPENDED] = "hsm-appended",
};

static const char *const form_names[OXV_KEY_FORM_END] = {
    [OXV_KEY_IN_VAULT] = "vault",
    [OXV_KEY_UNWRAP] = "unwrap",
    [OXV_KEY_TOKEN] = "token",
    [OXV_KEY_PRE_PROVISIONED] = "pre-provisioned",
};

static const char *const hash_names[] = {
    [OXV_TOKEN_SHA256] = "sha256",
    [OXV_TOKEN_SHA512] = "sha512",
    [OXV_TOKEN_SHA1] = "sha1",
};

static const char *const oaep_names[] = {
    [OXV_TOKEN_OAEP_SHA256] = "sha256",
    [OXV_TOKEN_OAEP_SHA1] = "sha1",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const char *
oxv_token_mechanism_name(uint64_t mechanism)
{
    return mechanism < COUNT(mechanism_names) ? mechanism_names[mechanism] : NULL;
}

const char *
oxv_token_gcm_iv_name(uint64_t gcm_iv)
{
    return gcm_iv < COUNT(gcm_iv_names) ? gcm_iv_names[gcm_iv] : NULL;
}

const char *
oxv_key_form_name(uint64_t form)
{
    return form < COUNT(form_names) ? form_names[form] : NULL;
}

const char *
oxv_token_hash_name(uint64_t hash)
{
    return hash < COUNT(hash_names) ? hash_names[hash] : NULL;
}

const char *
oxv_token_oaep_name(uint64_t oaep)
{
    return oaep < COUNT(oaep_names) ? oaep_names[oaep] : NULL;
}

static bool
find_name(const char *const *names, size_t count, struct oxv_view name, uint64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && oxv_view_is(name, names[i])) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool
oxv_token_mechanism_parse(struct oxv_view name, uint64_t *out)
{
    return find_name(mechanism_names, COUNT(mechanism_names), name, out);
}

bool
oxv_token_gcm_iv_parse(struct oxv_view name, uint64_t *out)
{
    return find_name(gcm_iv_names, COUNT(gcm_iv_names), name, out);
}

/* PKCS#11 3.0, section 5.1, with those that 3.0 added. */
static const struct {
    uint64_t code;
    const char *name;
} ckr_names[] = {
    { 0x000, "CKR_OK" },
    { 0x001, "CKR_CANCEL" },
    { 0x002, "CKR_HOST_MEMORY" },
    { 0x003, "CKR_SLOT_ID_INVALID" },
    { 0x005, "CKR_GENERAL_ERROR" },
    { 0x006, "CKR_FUNCTION_FAILED" },
    { 0x007, "CKR_ARGUMENTS_BAD" },
    { 0x008, "CKR_NO_EVENT" },
    { 0x009, "CKR_NEED_TO_CREATE_THREADS" },
    { 0x00a, "CKR_CANT_LOCK" },
    { 0x010, "CKR_ATTRIBUTE_READ_ONLY" },
    { 0x011, "CKR_ATTRIBUTE_SENSITIVE" },
    { 0x012, "CKR_ATTRIBUTE_TYPE_INVALID" },
    { 0x013, "CKR_ATTRIBUTE_VALUE_INVALID" },
    { 0x01b, "CKR_ACTION_PROHIBITED" },
    { 0x020, "CKR_DATA_INVALID" },
    { 0x021, "CKR_DATA_LEN_RANGE" },
    { 0x030, "CKR_DEVICE_ERROR" },
    { 0x031, "CKR_DEVICE_MEMORY" },
    { 0x032, "CKR_DEVICE_REMOVED" },
    { 0x040, "CKR_ENCRYPTED_DATA_INVALID" },
    { 0x041, "CKR_ENCRYPTED_DATA_LEN_RANGE" },
    { 0x050, "CKR_FUNCTION_CANCELED" },
    { 0x051, "CKR_FUNCTION_NOT_PARALLEL" },
    { 0x054, "CKR_FUNCTION_NOT_SUPPORTED" },
    { 0x060, "CKR_KEY_HANDLE_INVALID" },
    { 0x062, "CKR_KEY_SIZE_RANGE" },
    { 0x063, "CKR_KEY_TYPE_INCONSISTENT" },
    { 0x064, "CKR_KEY_NOT_NEEDED" },
    { 0x065, "CKR_KEY_CHANGED" },
    { 0x066, "CKR_KEY_NEEDED" },
    { 0x067, "CKR_KEY_INDIGESTIBLE" },
    { 0x068, "CKR_KEY_FUNCTION_NOT_PERMITTED" },
    { 0x069, "CKR_KEY_NOT_WRAPPABLE" },
    { 0x06a, "CKR_KEY_UNEXTRACTABLE" },
    { 0x070, "CKR_MECHANISM_INVALID" },
    { 0x071, "CKR_MECHANISM_PARAM_INVALID" },
    { 0x082, "CKR_OBJECT_HANDLE_INVALID" },
    { 0x090, "CKR_OPERATION_ACTIVE" },
    { 0x091, "CKR_OPERATION_NOT_INITIALIZED" },
    { 0x0a0, "CKR_PIN_INCORRECT" },
    { 0x0a1, "CKR_PIN_INVALID" },
    { 0x0a2, "CKR_PIN_LEN_RANGE" },
    { 0x0a3, "CKR_PIN_EXPIRED" },
    { 0x0a4, "CKR_PIN_LOCKED" },
    { 0x0b0, "CKR_SESSION_CLOSED" },
    { 0x0b1, "CKR_SESSION_COUNT" },
    { 0x0b3, "CKR_SESSION_HANDLE_INVALID" },
    { 0x0b4, "CKR_SESSION_PARALLEL_NOT_SUPPORTED" },
    { 0x0b5, "CKR_SESSION_READ_ONLY" },
    { 0x0b6, "CKR_SESSION_EXISTS" },
    { 0x0b7, "CKR_SESSION_READ_ONLY_EXISTS" },
    { 0x0b8, "CKR_SESSION_READ_WRITE_SO_EXISTS" },
    { 0x0c0, "CKR_SIGNATURE_INVALID" },
    { 0x0c1, "CKR_SIGNATURE_LEN_RANGE" },
    { 0x0d0, "CKR_TEMPLATE_INCOMPLETE" },
    { 0x0d1, "CKR_TEMPLATE_INCONSISTENT" },
    { 0x0e0, "CKR_TOKEN_NOT_PRESENT" },
    { 0x0e1, "CKR_TOKEN_NOT_RECOGNIZED" },
    { 0x0e2, "CKR_TOKEN_WRITE_PROTECTED" },
    { 0x0f0, "CKR_UNWRAPPING_KEY_HANDLE_INVALID" },
    { 0x0f1, "CKR_UNWRAPPING_KEY_SIZE_RANGE" },
    { 0x0f2, "CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT" },
    { 0x100, "CKR_USER_ALREADY_LOGGED_IN" },
    { 0x101, "CKR_USER_NOT_LOGGED_IN" },
    { 0x102, "CKR_USER_PIN_NOT_INITIALIZED" },
    { 0x103, "CKR_USER_TYPE_INVALID" },
    { 0x104, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN" },
    { 0x105, "CKR_USER_TOO_MANY_TYPES" },
    { 0x110, "CKR_WRAPPED_KEY_INVALID" },
    { 0x112, "CKR_WRAPPED_KEY_LEN_RANGE" },
    { 0x113, "CKR_WRAPPING_KEY_HANDLE_INVALID" },
    { 0x114, "CKR_WRAPPING_KEY_SIZE_RANGE" },
    { 0x115, "CKR_WRAPPING_KEY_TYPE_INCONSISTENT" },
    { 0x120, "CKR_RANDOM_SEED_NOT_SUPPORTED" },
    { 0x121, "CKR_RANDOM_NO_RNG" },
    { 0x130, "CKR_DOMAIN_PARAMS_INVALID" },
    { 0x140, "CKR_CURVE_NOT_SUPPORTED" },
    { 0x150, "CKR_BUFFER_TOO_SMALL" },
    { 0x160, "CKR_SAVED_STATE_INVALID" },
    { 0x170, "CKR_INFORMATION_SENSITIVE" },
    { 0x180, "CKR_STATE_UNSAVEABLE" },
    { 0x190, "CKR_CRYPTOKI_NOT_INITIALIZED" },
    { 0x191, "CKR_CRYPTOKI_ALREADY_INITIALIZED" },
    { 0x1a0, "CKR_MUTEX_BAD" },
    { 0x1a1, "CKR_MUTEX_NOT_LOCKED" },
    { 0x1b0, "CKR_NEW_PIN_MODE" },
    { 0x1b1, "CKR_NEXT_OTP" },
    { 0x1c0, "CKR_EXCEEDED_MAX_ITERATIONS" },
    { 0x1c1, "CKR_FIPS_SELF_TEST_FAILED" },
    { 0x1c2, "CKR_LIBRARY_LOAD_FAILED" },
    { 0x1c3, "CKR_PIN_TOO_WEAK" },
    { 0x1c4, "CKR_PUBLIC_KEY_INVALID" },
    { 0x200, "CKR_FUNCTION_REJECTED" },
};

const char *
oxv_ckr_name(uint64_t ckr, char out[OXV_CKR_NAME_MAX_BYTES])
{
    for (size_t i = 0; i < COUNT(ckr_names); i++) {
        if (ckr_names[i].code == ckr &&
            oxv_format(out, OXV_CKR_NAME_MAX_BYTES, "%s", ckr_names[i].name) == OXV_OK) {
            return out;
        }
    }
    if (oxv_format(out, OXV_CKR_NAME_MAX_BYTES, "CKR 0x%llx", (unsigned long long)ckr) != OXV_OK) {
        oxv_bug("a number is longer than its buffer");
    }
    return out;
}
