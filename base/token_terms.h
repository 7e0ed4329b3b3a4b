/*
 * token_terms: the numbers by which vault, service and token helper speak of PKCS#11 tokens. All
 * are stored in records or sent on the wire: never reuse one.
 */
#ifndef OXV_BASE_TOKEN_TERMS_H
#define OXV_BASE_TOKEN_TERMS_H

#include <stdint.h>

#define OXV_TOKEN_PIN_MAX_BYTES        255u
#define OXV_TOKEN_URI_MAX_BYTES        1024u
#define OXV_TOKEN_MODULE_MAX_BYTES     4096u  /* an absolute path, or a p11-kit name */
#define OXV_TOKEN_KEY_ID_BYTES         16u    /* CKA_ID of keys that we make: random */
#define OXV_TOKEN_KEY_ID_MAX_BYTES     64u    /* of keys that others made */
#define OXV_TOKEN_BLOB_MAX_BYTES       1024u  /* a wrapped key */
#define OXV_TOKEN_PUBLIC_KEY_MAX_BYTES 1024u  /* SubjectPublicKeyInfo, DER */
#define OXV_TOKEN_VALUE_BYTES          32u    /* what a seal's blob holds */
#define OXV_TOKEN_MESSAGE_MAX_BYTES    60000u /* to be signed: fits a datagram */
#define OXV_TOKEN_MAC_MAX_BYTES        64u

/* How a seal's value is wrapped, best first (the ladder). */
enum oxv_token_mechanism {
    OXV_TOKEN_AES_GCM = 1,         /* C_Encrypt and C_Decrypt, AES-256 */
    OXV_TOKEN_AES_KWP_ENCRYPT = 2, /* CKM_AES_KEY_WRAP_KWP by C_Encrypt and C_Decrypt */
    OXV_TOKEN_RSA_OAEP_SHA256 = 3, /* sealed on the host with the public key */
    OXV_TOKEN_AES_KWP_WRAP = 4,    /* RFC 5649 by C_WrapKey and C_UnwrapKey */
    OXV_TOKEN_ECDH = 5,            /* ECDH1, an ephemeral host key, HKDF on the host */
    OXV_TOKEN_RSA_OAEP_SHA1 = 6,   /* for tokens that can do nothing better */
    OXV_TOKEN_RSA_PKCS1 = 7,       /* only where told to */
    OXV_TOKEN_MECHANISM_END = 8,
};

/* Who chooses the initialisation vector of AES-GCM. */
enum oxv_token_gcm_iv {
    OXV_TOKEN_GCM_IV_HOST = 1,          /* we, at random */
    OXV_TOKEN_GCM_IV_HSM_WRITEBACK = 2, /* zero in, the token's out */
    OXV_TOKEN_GCM_IV_HSM_APPENDED = 3,  /* the token's, after the tag */
    OXV_TOKEN_GCM_IV_END = 4,
};

/* Where the signing key of a connection is. */
enum oxv_key_form {
    OXV_KEY_IN_VAULT = 0,
    OXV_KEY_UNWRAP = 1,          /* a blob that only the token opens, into a session object */
    OXV_KEY_TOKEN = 2,           /* an object of the token, made by us */
    OXV_KEY_PRE_PROVISIONED = 3, /* an object of the token, made by others */
    OXV_KEY_FORM_END = 4,
};

/* The hash of the HMAC that a key is for. */
enum oxv_token_hash { OXV_TOKEN_SHA256 = 1, OXV_TOKEN_SHA512 = 2, OXV_TOKEN_SHA1 = 3 };

/* The hash of RSA-OAEP by which a connection's key is sealed to the token. */
enum oxv_token_oaep { OXV_TOKEN_OAEP_SHA256 = 1, OXV_TOKEN_OAEP_SHA1 = 2 };

/* What went wrong, and so what is to be done. */
enum oxv_token_trouble {
    OXV_TOKEN_FINE = 0,
    OXV_TOKEN_ABSENT = 1,    /* the device does not answer, or the token is not there: comes back */
    OXV_TOKEN_STALE = 2,     /* the key is not loaded (any more): load it again */
    OXV_TOKEN_PIN = 3,       /* final until a person acts */
    OXV_TOKEN_NEEDS_PIN = 4, /* nobody gave one */
    OXV_TOKEN_UNFIT = 5,     /* the token cannot do this: no retry */
    OXV_TOKEN_DATA = 6,      /* the blob does not open, or a key is not what it was */
    OXV_TOKEN_NO_KEY = 7,    /* no such key there; nothing was made in its place */
    OXV_TOKEN_AMBIGUOUS = 8, /* the URI, or the key id, fits several */
    OXV_TOKEN_REFUSED = 9,   /* the module, or the request, breaks a rule of ours */
    OXV_TOKEN_BUSY = 10,     /* too much is under way */
    OXV_TOKEN_TROUBLE_END = 11,
};

#endif
