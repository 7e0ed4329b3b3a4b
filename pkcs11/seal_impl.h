/* seal_impl: the steps of the ladder by which a token seals, each with its two directions. */
#ifndef OXV_PKCS11_SEAL_IMPL_H
#define OXV_PKCS11_SEAL_IMPL_H

#include "pkcs11/objects.h"
#include "pkcs11/public_key.h"
#include "pkcs11/seal.h"

enum oxv_p11_seal_key_kind {
    OXV_P11_SEAL_AES_ENCRYPT,
    OXV_P11_SEAL_AES_WRAP,
    OXV_P11_SEAL_RSA,
    OXV_P11_SEAL_EC,
};

/* The key of a step, found or made. */
struct oxv_p11_seal_key {
    CK_OBJECT_HANDLE object;      /* secret or private */
    CK_OBJECT_HANDLE public_made; /* CK_INVALID_HANDLE unless a pair was made */
    bool is_made;
    uint8_t id[OXV_TOKEN_KEY_ID_MAX_BYTES];
    size_t id_len;
    struct oxv_p11_public *public_key; /* owned; NULL for AES */
};

struct oxv_p11_step {
    const struct oxv_p11_step_ops *ops;
    enum oxv_token_gcm_iv gcm_iv;
    struct oxv_p11_seal_key key;
};

/*
 * seal: makes a value of OXV_TOKEN_VALUE_BYTES, which the caller owns, and its blob.
 * open: gives the value of a blob, of whatever length the token says; OXV_TOKEN_DATA or the fault
 * of a call where it does not open.
 */
struct oxv_p11_step_ops {
    enum oxv_token_mechanism mechanism;
    enum oxv_p11_seal_key_kind kind;
    CK_MECHANISM_TYPE ckm; /* must be listed */
    CK_FLAGS flags;        /* and with these */
    bool may_differ;       /* a damaged blob may give another value instead of a failure */
    enum oxv_token_trouble (*seal)(struct oxv_p11_op *op, const struct oxv_p11_step *step,
                                   struct oxv_secret **value, struct oxv_writer *blob,
                                   struct oxv_p11_fault *fault);
    enum oxv_token_trouble (*open)(struct oxv_p11_op *op, const struct oxv_p11_step *step,
                                   struct oxv_view blob, struct oxv_secret **value,
                                   struct oxv_p11_fault *fault);
    /* What the mechanism needs beyond a round trip; NULL: nothing. */
    enum oxv_token_trouble (*prove)(struct oxv_p11_op *op, const struct oxv_p11_step *step,
                                    struct oxv_p11_fault *fault);
};

extern const struct oxv_p11_step_ops oxv_p11_step_aes_gcm;
extern const struct oxv_p11_step_ops oxv_p11_step_aes_kwp;
extern const struct oxv_p11_step_ops oxv_p11_step_oaep_sha256;
extern const struct oxv_p11_step_ops oxv_p11_step_kwp_wrap;
extern const struct oxv_p11_step_ops oxv_p11_step_ecdh;
extern const struct oxv_p11_step_ops oxv_p11_step_oaep_sha1;
extern const struct oxv_p11_step_ops oxv_p11_step_pkcs1;

/* NULL for a number that is none. */
const struct oxv_p11_step_ops *oxv_p11_step_of(enum oxv_token_mechanism mechanism);

/*
 * Is the mechanism listed, a round trip right, and does a damaged blob not give the value? The
 * session is a new one afterwards.
 */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_step_prove(struct oxv_p11_op *op,
                                                       const struct oxv_p11_step *step,
                                                       struct oxv_p11_fault *fault);
/* Does the token list what the step needs? A hint, never the proof. OXV_TOKEN_UNFIT. */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_step_listed(struct oxv_p11_op *op,
                                                        const struct oxv_p11_step_ops *ops,
                                                        struct oxv_p11_fault *fault);

/* Makes a key for the step, on the token or for the session only. */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_seal_key_make(struct oxv_p11_op *op, enum oxv_p11_seal_key_kind kind, bool on_token,
                      struct oxv_p11_seal_key *out, struct oxv_p11_fault *fault);
/* Finds it by its id; or, where the id is empty, the only one that fits. */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_seal_key_find(struct oxv_p11_op *op, enum oxv_p11_seal_key_kind kind, struct oxv_view id,
                      struct oxv_p11_seal_key *out, struct oxv_p11_fault *fault);
/* Destroys one that was made. */
void oxv_p11_seal_key_destroy(struct oxv_p11_op *op, struct oxv_p11_seal_key *key);
void oxv_p11_seal_key_done(struct oxv_p11_seal_key *key);

/* C_Encrypt or C_Decrypt in one shot, into `out` of at least in + 64 bytes, wiped on failure. */
struct oxv_p11_cipher {
    CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE key;
};
OXV_MUST_USE enum oxv_token_trouble oxv_p11_encrypt(struct oxv_p11_op *op,
                                                    const struct oxv_p11_cipher *cipher,
                                                    struct oxv_view in, struct oxv_p11_buffer *out,
                                                    struct oxv_p11_fault *fault);
OXV_MUST_USE enum oxv_token_trouble oxv_p11_decrypt(struct oxv_p11_op *op,
                                                    const struct oxv_p11_cipher *cipher,
                                                    struct oxv_view in, struct oxv_p11_buffer *out,
                                                    struct oxv_p11_fault *fault);
/* The same, the plain text as a secret that the caller owns. */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_decrypt_secret(struct oxv_p11_op *op, const struct oxv_p11_cipher *cipher,
                       struct oxv_view in, struct oxv_secret **out, struct oxv_p11_fault *fault);
/* "no memory". */
OXV_MUST_USE enum oxv_token_trouble oxv_p11_no_memory(struct oxv_p11_fault *fault);

#endif
