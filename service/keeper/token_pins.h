/*
 * token_pins: PINs in locked memory, and which of them tokens have refused. The latter is a file of
 * the vault, so that a restart does not try a wrong PIN again (three are enough to lock a TPM).
 *
 *   token-pins  struct with fields (base/fields.h): 1 version, 2 LIST of encoded
 *               { 1 token_uri, 2 salt, 3 hash, 4 when, 5 kind, 6 tried }, 3 was_damaged
 * Rules: 1. version 1  2. at most OXV_REFUSED_PINS_MAX items  3. each URI once  4. salt and hash
 * are both there where the kind is absent, else neither is; hash is one to OXV_REFUSED_OF_ONE
 * hashes of 32 bytes, all with that salt  5. kind 1: any PIN counts as refused; 2: none was; 3:
 * nothing is known but `tried`, which is there then  6. tried: when a login began of which no end
 * was seen, or which the device failed  7. with was_damaged 1 nothing is known of tokens that are
 * not listed, or listed with kind 3.
 */
#ifndef OXV_SERVICE_KEEPER_TOKEN_PINS_H
#define OXV_SERVICE_KEEPER_TOKEN_PINS_H

#include "base/cleanup.h"
#include "base/fields.h"
#include "base/secret.h"
#include "base/token_terms.h"

#define OXV_REFUSED_PINS_MAX       64u
#define OXV_REFUSED_SALT_MAX_BYTES 64u
#define OXV_REFUSED_HASH_BYTES     32u
#define OXV_REFUSED_OF_ONE         8u /* of one token; one more, and any PIN counts as refused */
#define OXV_REFUSED_HASH_MAX_BYTES (OXV_REFUSED_OF_ONE * OXV_REFUSED_HASH_BYTES)
#define OXV_TOKEN_PINS_FILE        "token-pins"
#define OXV_TOKEN_PINS_MAX_BYTES   (OXV_REFUSED_PINS_MAX * (OXV_TOKEN_URI_MAX_BYTES + 512u))

struct oxv_token_pins;

enum oxv_refused_kind {
    OXV_REFUSED_ONE,     /* those of the hashes */
    OXV_REFUSED_ANY,     /* one, but which was not told; or more than can be kept */
    OXV_REFUSED_NONE,    /* of a file that was damaged: a person has logged in since */
    OXV_REFUSED_UNKNOWN, /* only `tried_us` is there */
};

/* The PINs that a token refused, as its helper hashed them. Empty views: none was. */
struct oxv_refused_pin {
    struct oxv_view token_uri;
    struct oxv_view salt;
    struct oxv_view hash; /* one behind the other */
    uint64_t when_us;
    uint64_t kind;     /* enum oxv_refused_kind */
    uint64_t tried_us; /* wall clock; 0: no login is without its end */
};
extern const struct oxv_shape oxv_refused_pin_shape;

OXV_MUST_USE enum oxv_status oxv_token_pins_new(struct oxv_token_pins **out);
/* Wipes. NULL is fine. */
void oxv_token_pins_free(struct oxv_token_pins *pins);

/*
 * A source of the service: for the token of this label, or with an empty one for those of the
 * vault's seals and rows. Reads the
 * descriptor to its end (and takes it). One trailing LF or CRLF goes.
 *   OXV_E_NOT_FOUND  empty
 *   OXV_E_USAGE      longer than OXV_TOKEN_PIN_MAX_BYTES, or with a NUL: *err says which
 */
OXV_MUST_USE enum oxv_status oxv_token_pins_add_source(struct oxv_token_pins *pins,
                                                       struct oxv_view label, int fd,
                                                       struct oxv_err *err);
bool oxv_token_pins_have_source(const struct oxv_token_pins *pins);
/* A PIN that a person typed and the token took; replaces an older one. */
void oxv_token_pins_remember(struct oxv_token_pins *pins, struct oxv_view uri, struct oxv_view pin);
/* Wipes what was typed. */
void oxv_token_pins_forget_typed(struct oxv_token_pins *pins);
/*
 * The PIN for a token: typed for this URI, a source of this label, or where the vault `is_known` to
 * use the token one without a label; NULL: none. A token that an admin has just named gets none
 * that was meant for others: its module would have it.
 */
const struct oxv_secret *oxv_token_pins_find(const struct oxv_token_pins *pins, struct oxv_view uri,
                                             struct oxv_view label, bool is_known);

/* Is it well-formed? *count (may be NULL) is the number of its items. */
OXV_MUST_USE enum oxv_status oxv_token_pins_parse(struct oxv_view bytes, size_t *count,
                                                  struct oxv_err *err);
/* Reads the file below dir_fd; none is fine. After a malformed one no PIN is tried by itself at any
 * token before a person has logged in to it. */
void oxv_token_pins_load(struct oxv_token_pins *pins, int dir_fd);
/* Why no PIN may be tried at this token by itself; NULL: one may, but for the refused one. */
const char *oxv_token_pins_hindrance(const struct oxv_token_pins *pins, struct oxv_view uri);
/* What was refused by this token; views until the next change. */
struct oxv_refused_pin oxv_token_pins_refused(const struct oxv_token_pins *pins,
                                              struct oxv_view uri);
/* Both write the file (dir_fd -1: there is none yet). A failure is said on stderr: it is no reason
 * to stop. A refused PIN without a hash stands for any; `clear` is for when a person, or a PIN that
 * was not refused, has logged in. */
/* Adds one; with another salt than those before it any counts. False: the refused one may be tried
 * again after the next start. */
OXV_MUST_USE bool oxv_token_pins_refuse(struct oxv_token_pins *pins, int dir_fd,
                                        const struct oxv_refused_pin *refused);
void oxv_token_pins_clear(struct oxv_token_pins *pins, int dir_fd, struct oxv_view uri);
/* A login begins (`when_us`) that may cost one of the token's tries; 0: its end was seen, and it
 * has cost none. False: not written. */
OXV_MUST_USE bool oxv_token_pins_tried(struct oxv_token_pins *pins, int dir_fd, struct oxv_view uri,
                                       uint64_t when_us);

OXV_DEFINE_OWNER(oxv_token_pins);

#endif
