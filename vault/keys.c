#include "vault/keys.h"

#include <sodium.h>

#define ROOT_CONTEXT "oxvroot1"
#define SEAL_CONTEXT "oxvseal1"

_Static_assert(sizeof ROOT_CONTEXT - 1 == crypto_kdf_CONTEXTBYTES, "context");
_Static_assert(sizeof SEAL_CONTEXT - 1 == crypto_kdf_CONTEXTBYTES, "context");

static void
derive(const struct oxv_secret *from, const char *context, uint64_t id,
       uint8_t out[OXV_SUBKEY_BYTES])
{
    if (oxv_secret_len(from) != crypto_kdf_KEYBYTES ||
        crypto_kdf_derive_from_key(out, OXV_SUBKEY_BYTES, id, context,
                                   oxv_secret_view(from).data) != 0) {
        oxv_bug("subkey");
    }
}

enum oxv_status
oxv_keys_derive(struct oxv_keys *keys, const struct oxv_secret *root, struct oxv_err *err)
{
    for (enum oxv_subkey i = OXV_SUBKEY_RECORD; i < OXV_SUBKEY_END; i++) {
        keys->subkeys[i] = oxv_secret_new(OXV_SUBKEY_BYTES);
        if (keys->subkeys[i] == NULL) {
            oxv_keys_done(keys);
            return oxv_fail(err, OXV_E_MEMORY, "no locked memory left for the vault's keys");
        }
        derive(root, ROOT_CONTEXT, i, oxv_secret_bytes(keys->subkeys[i]));
    }
    return OXV_OK;
}

void
oxv_keys_done(struct oxv_keys *keys)
{
    for (enum oxv_subkey i = OXV_SUBKEY_RECORD; i < OXV_SUBKEY_END; i++) {
        oxv_secret_freep(&keys->subkeys[i]);
    }
}

const uint8_t *
oxv_keys_get(const struct oxv_keys *keys, enum oxv_subkey which)
{
    if (keys->subkeys[which] == NULL) {
        oxv_bug("a key of a sealed vault");
    }
    return oxv_secret_view(keys->subkeys[which]).data;
}

void
oxv_seal_subkey(const struct oxv_secret *material, enum oxv_seal_subkey which,
                uint8_t out[OXV_SUBKEY_BYTES])
{
    derive(material, SEAL_CONTEXT, which, out);
}
