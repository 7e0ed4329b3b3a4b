/*
 * refused_pin: how a PIN that a token refused is remembered: as a slow, salted hash over the PIN
 * and the token's URI, so that it is recognised before it is sent to the token again.
 */
#ifndef OXV_PKCS11_REFUSED_PIN_H
#define OXV_PKCS11_REFUSED_PIN_H

#include "base/secret.h"
#include "pkcs11/token.h"

/* `salt` NULL: a fresh one. OXV_E_MEMORY: Argon2id did not get its memory. */
OXV_MUST_USE enum oxv_status oxv_p11_refused_pin_make(const struct oxv_secret *pin,
                                                      const char *token_uri, const uint8_t *salt,
                                                      struct oxv_p11_refused_pin *out);
/* Is it one of these? Then *out is set to it, else out->is_set is false. OXV_E_MEMORY as above. */
OXV_MUST_USE enum oxv_status oxv_p11_refused_pin_find(const struct oxv_p11_refused_pins *refused,
                                                      const struct oxv_secret *pin,
                                                      const char *token_uri,
                                                      struct oxv_p11_refused_pin *out);
/* Is it this one? OXV_E_MEMORY as above; *out is untouched then. */
OXV_MUST_USE enum oxv_status oxv_p11_refused_pin_is(const struct oxv_p11_refused_pin *refused,
                                                    const struct oxv_secret *pin,
                                                    const char *token_uri, bool *out);

#endif
