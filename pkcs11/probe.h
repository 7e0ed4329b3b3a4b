/*
 * probe: what a token can do for us, found out by doing it, with keys that live no longer than the
 * probe: of a session where the token makes such keys, else its own, which are destroyed then.
 */
#ifndef OXV_PKCS11_PROBE_H
#define OXV_PKCS11_PROBE_H

#include "pkcs11/token.h"

#define OXV_P11_NOTES_MAX    8u
#define OXV_P11_REASON_BYTES 300u

/* One thing that was tried. */
struct oxv_p11_finding {
    bool works;
    CK_RV ckr;                         /* why not; CKR_OK: for no call's failure */
    char reason[OXV_P11_REASON_BYTES]; /* "" where it works */
};

enum oxv_p11_grade {
    OXV_P11_GRADE_NONE,  /* it computes no HMAC for us */
    OXV_P11_GRADE_LEAKY, /* it lets out keys that must stay */
    OXV_P11_GRADE_GOOD,
};

struct oxv_p11_probe {
    struct oxv_p11_finding seal[OXV_TOKEN_MECHANISM_END]; /* by mechanism, from 1 */
    enum oxv_p11_grade grade;
    struct oxv_p11_finding forms[OXV_KEY_FORM_END]; /* by form, from OXV_KEY_UNWRAP */
    enum oxv_token_oaep oaep;                       /* of the UNWRAP form, where it works */
    bool hashes[OXV_TOKEN_SHA1 + 1];                /* by hash, from 1 */
    size_t message_max_bytes; /* the longest that was tried and signed; 0: none */
    size_t note_count;
    char notes[OXV_P11_NOTES_MAX][OXV_P11_REASON_BYTES]; /* sentences */
};

/* The token must be logged in. OXV_TOKEN_ABSENT, OXV_TOKEN_PIN, OXV_TOKEN_NEEDS_PIN. */
OXV_MUST_USE enum oxv_token_trouble
oxv_p11_probe(struct oxv_p11_token *token, struct oxv_p11_probe *out, struct oxv_p11_fault *fault);

#endif
