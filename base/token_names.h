/* token_names: the words for the numbers of token_terms.h, and of PKCS#11's return codes. */
#ifndef OXV_BASE_TOKEN_NAMES_H
#define OXV_BASE_TOKEN_NAMES_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/token_terms.h"

#define OXV_CKR_NAME_MAX_BYTES 48u

/* "aes-gcm", "host", "unwrap", "sha256", "sha256"; NULL for a number that is none. */
const char *oxv_token_mechanism_name(uint64_t mechanism);
const char *oxv_token_gcm_iv_name(uint64_t gcm_iv);
const char *oxv_key_form_name(uint64_t form);
const char *oxv_token_hash_name(uint64_t hash);
const char *oxv_token_oaep_name(uint64_t oaep);

/* False, and nothing is written, for a word that is none. */
OXV_MUST_USE bool oxv_token_mechanism_parse(struct oxv_view name, uint64_t *out);
OXV_MUST_USE bool oxv_token_gcm_iv_parse(struct oxv_view name, uint64_t *out);

/* "CKR_PIN_INCORRECT"; a code without a name as "CKR 0x1234". Returns `out`. */
const char *oxv_ckr_name(uint64_t ckr, char out[OXV_CKR_NAME_MAX_BYTES]);

#endif
