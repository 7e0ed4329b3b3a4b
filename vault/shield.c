#include "vault/shield.h"

#include <sodium.h>
#include <stdlib.h>

_Static_assert(crypto_stream_chacha20_NONCEBYTES == sizeof(uint64_t), "a counter is the nonce");

enum oxv_status
oxv_shield_init(struct oxv_shield *shield)
{
    shield->key = oxv_secret_random(crypto_stream_chacha20_KEYBYTES);
    return shield->key == NULL ? OXV_E_MEMORY : OXV_OK;
}

void
oxv_shield_done(struct oxv_shield *shield)
{
    oxv_secret_freep(&shield->key);
}

void
oxv_shield_renew(struct oxv_shield *shield)
{
    randombytes_buf(oxv_secret_bytes(shield->key), oxv_secret_len(shield->key));
}

static void
apply(const struct oxv_shield *shield, uint64_t nonce, struct oxv_view in, uint8_t *out)
{
    uint8_t bytes[crypto_stream_chacha20_NONCEBYTES];

    memcpy(bytes, &nonce, sizeof bytes);
    (void)crypto_stream_chacha20_xor(out, in.data, in.len, bytes,
                                     oxv_secret_view(shield->key).data); /* returns 0 always */
}

struct oxv_shielded *
oxv_shield_put(struct oxv_shield *shield, struct oxv_view plain)
{
    if (plain.len > OXV_SHIELDED_MAX_BYTES) {
        return NULL;
    }
    struct oxv_shielded *made = malloc(sizeof *made + plain.len);

    if (made != NULL) {
        made->nonce = shield->used_nonces++;
        made->len = plain.len;
        apply(shield, made->nonce, plain, made->bytes);
    }
    return made;
}

void
oxv_shield_open(const struct oxv_shield *shield, const struct oxv_shielded *shielded,
                uint8_t *plain)
{
    apply(shield, shielded->nonce, oxv_view(shielded->bytes, shielded->len), plain);
}
