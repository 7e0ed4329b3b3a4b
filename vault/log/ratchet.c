#include "vault/log/ratchet.h"

#include <sodium.h>
#include <string.h>

#include "vault/log/log.h"

#define STEP_MESSAGE "audit-wrap"
#define SEED_MESSAGE "log-key"

_Static_assert(OXV_LOG_WRAP_KEY_BYTES == crypto_generichash_BYTES, "a step gives the next key");

static void
hash(struct oxv_view key, struct oxv_view message, struct oxv_view more,
     uint8_t out[OXV_LOG_WRAP_KEY_BYTES])
{
    crypto_generichash_state state;

    if (key.len != OXV_LOG_WRAP_KEY_BYTES) {
        oxv_bug("a wrap key of another length");
    }
    /* None of these can fail with these lengths. */
    (void)crypto_generichash_init(&state, key.data, key.len, OXV_LOG_WRAP_KEY_BYTES);
    (void)crypto_generichash_update(&state, message.data, message.len);
    (void)crypto_generichash_update(&state, more.data, more.len);
    (void)crypto_generichash_final(&state, out, OXV_LOG_WRAP_KEY_BYTES);
    sodium_memzero(&state, sizeof state);
}

struct oxv_secret *
oxv_ratchet(const struct oxv_secret *from, uint64_t steps)
{
    struct oxv_secret *key = oxv_secret_copy(oxv_secret_view(from));
    uint8_t next[OXV_LOG_WRAP_KEY_BYTES];

    for (uint64_t i = 0; key != NULL && i < steps; i++) {
        hash(oxv_secret_view(key), oxv_view_text(STEP_MESSAGE), oxv_view(NULL, 0), next);
        memcpy(oxv_secret_bytes(key), next, sizeof next);
    }
    sodium_memzero(next, sizeof next);
    return key;
}

struct oxv_secret *
oxv_log_key_seed(const struct oxv_secret *start, const char *origin)
{
    struct oxv_secret *seed = oxv_secret_new(OXV_LOG_WRAP_KEY_BYTES);

    if (seed != NULL) {
        hash(oxv_secret_view(start), oxv_view_text(SEED_MESSAGE), oxv_view_text(origin),
             oxv_secret_bytes(seed));
    }
    return seed;
}
