#include "signer/nonce.h"

void
oxv_nonce_make(oxv_random_fn random, void *ctx, uint8_t out[OXV_NONCE_BYTES])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const unsigned letters = sizeof alphabet - 1;
    const unsigned fair = 256 / letters * letters; /* a byte from here on would favour some */
    size_t done = 0;

    while (done < OXV_NONCE_BYTES) {
        uint8_t pool[OXV_NONCE_BYTES];
        size_t wanted = OXV_NONCE_BYTES - done;

        random(ctx, pool, wanted);
        for (size_t i = 0; i < wanted; i++) {
            if (pool[i] < fair) {
                out[done++] = (uint8_t)alphabet[pool[i] % letters];
            }
        }
    }
}
