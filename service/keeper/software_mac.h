/* software_mac: the backend whose keys are in the vault: it answers at once. */
#ifndef OXV_SERVICE_KEEPER_SOFTWARE_MAC_H
#define OXV_SERVICE_KEEPER_SOFTWARE_MAC_H

#include "service/keeper/sign.h"

extern const struct oxv_mac_backend oxv_software_mac;

/* SHA-256 by the one fetched EVP_MD; false where OpenSSL fails. */
OXV_MUST_USE bool oxv_sha256(struct oxv_view bytes, uint8_t out[32]);

#endif
