/*
 * token_keys: keys of connections in tokens: loading them, and comparing each with the check value
 * of whoever imported it, every time.
 */
#ifndef OXV_SERVICE_KEEPER_TOKEN_KEYS_H
#define OXV_SERVICE_KEEPER_TOKEN_KEYS_H

#include "service/keeper/tokens.h"

/* `trouble` FINE: the key is loaded, and is what it should be. */
struct oxv_key_loaded {
    uint64_t trouble;
    uint64_t ckr;
    struct oxv_view text;
    enum oxv_call_end end;
    uint64_t key;
    uint64_t generation;
};
typedef void (*oxv_key_loaded_fn)(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
                                  const struct oxv_key_loaded *loaded);

/* What is to be loaded. The secrets are taken. */
struct oxv_key_wanted {
    const struct oxv_connection_record *record;
    struct oxv_secret *blob;  /* UNWRAP */
    struct oxv_secret *key;   /* TOKEN, to be made: K0 */
    struct oxv_secret *check; /* its check value */
};

/*
 * Loads and compares. A key that is not what it should be is dropped again; one that was made for
 * this (`key`) is destroyed. `done` may be called before this returns.
 */
void oxv_key_load(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_key_wanted *wanted,
                  oxv_key_loaded_fn done, void *ctx);
/*
 * token_objects.c. Gives a handle up; where `object` is not empty it is the CKA_ID of the key, and
 * the key is destroyed too. Nobody waits; a failure is said in the log, with that id.
 */
void oxv_key_drop(struct oxv_keeper *k, struct oxv_helper *h, const struct oxv_key_loaded *loaded,
                  struct oxv_view object);
/* Destroys the object of a connection that is no more (form TOKEN), loading it first if need be.
 * One that does not give `check` (taken; NULL: not known) is another's key: it stays, and is
 * logged. */
void oxv_key_destroy(struct oxv_keeper *k, struct oxv_helper *h,
                     const struct oxv_connection_record *record, uint64_t connection_id,
                     struct oxv_secret *check);
/* An object was perhaps made that nothing uses, and its helper is gone: said in the log. */
void oxv_key_left_behind(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_view object);

/* The hash of the method; 0: no token signs so. */
uint64_t oxv_key_hash(uint64_t signature_method);
size_t oxv_key_mac_len(uint64_t hash);

/* Keys of connections, by id. */
struct oxv_token_key;
enum oxv_key_state { OXV_KEY_UNLOADED, OXV_KEY_LOADING, OXV_KEY_LOADED, OXV_KEY_FAILED };
struct oxv_token_key {
    uint64_t connection_id;
    uint64_t version;
    enum oxv_key_state state;
    uint64_t key;
    uint64_t generation;
    uint64_t retry_at_us; /* FAILED */
    bool is_told;         /* its failure is in the log */
    bool was_stale;       /* it is being loaded for the second time */
    char text[OXV_HELPER_TEXT_BYTES];
    struct oxv_sign_job *waiting; /* oldest first, linked by next_free */
};
/* The key of this connection as it is now; NULL: no memory. A changed connection is UNLOADED. */
struct oxv_token_key *oxv_token_key(struct oxv_helper *h, const struct oxv_connection *connection);
/* The same where it is known already; else NULL. */
struct oxv_token_key *oxv_token_key_find(const struct oxv_helper *h, uint64_t connection_id);
/* Begins to load it. Jobs that wait for it go on, or end, when it is known. */
void oxv_token_key_load(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key);
/* The key of a connection that was just added is loaded already. */
void oxv_token_key_set(struct oxv_keeper *k, struct oxv_helper *h, uint64_t connection_id,
                       const struct oxv_key_loaded *loaded);
/* None is loaded any more (the process ended, or a new generation came). */
void oxv_token_keys_unload(struct oxv_helper *h, uint64_t but_generation);
/* Loads the keys of this token's connections, a few at a time. Call once a turn. */
void oxv_token_keys_load_all(struct oxv_keeper *k, struct oxv_helper *h);
/* Boot-clock time at which there is more to load; 0: now. */
uint64_t oxv_token_keys_next_us(const struct oxv_keeper *k, const struct oxv_helper *h);
void oxv_token_keys_free(struct oxv_helper *h);

#endif
