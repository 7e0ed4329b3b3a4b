/*
 * mac: HMAC (RFC 2104) over OpenSSL's hashes, with keys that stay nowhere (design.md 5.4). Not by
 * EVP_MAC: that keeps the key in the plain heap, so a zero key had to be set after each MAC, and
 * each key set-up copies three contexts. Here the pads are wiped with the stack, and the hash's
 * state, which begins with the first pad, is reset before the call returns.
 */
#ifndef OXV_VAULT_MAC_H
#define OXV_VAULT_MAC_H

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/status.h"
#include "signer/signature_method.h"

#define OXV_MAC_HASHES    3u
#define OXV_MAC_MAX_BYTES 64u

struct oxv_mac {
    EVP_MD *hashes[OXV_MAC_HASHES]; /* SHA-256, SHA-512, SHA-1 */
    EVP_MD_CTX *contexts[OXV_MAC_HASHES];
    uint8_t result[OXV_MAC_MAX_BYTES];
};

/*
 * Fetches all that is needed, so that later calls open no file and map no code. Also sets up
 * OpenSSL's locked heap for RSA keys, once per process.
 *   OXV_E_MEMORY, OXV_E_INTERNAL  OpenSSL lacks memory or an algorithm
 */
OXV_MUST_USE enum oxv_status oxv_mac_init(struct oxv_mac *mac, struct oxv_err *err);
void oxv_mac_done(struct oxv_mac *mac);

/*
 * The MAC over `message` with an HMAC method. The key is at most one block of its hash, as K0 is
 * (design.md 5.3). *out borrows from *mac until the next call.
 *   OXV_E_INTERNAL  OpenSSL failed, the key is longer, or the method is none of HMAC
 */
OXV_MUST_USE enum oxv_status oxv_mac_make(struct oxv_mac *mac, enum oxv_signature_method method,
                                          struct oxv_view key, struct oxv_view message,
                                          struct oxv_view *out);

#endif
