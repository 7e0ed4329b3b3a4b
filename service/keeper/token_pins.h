/*
 * token_pins: PINs in locked memory, and which of them tokens have refused. The latter is a file of
 * the vault, so that a restart does not try a wrong PIN again (three are enough to lock a TPM).
 *
 *   token-pins  struct with fields (base/fields.h): 1 version, 2 LIST of encoded
 *               { 1 token_uri, 2 salt, 3 hash, 4 when, 5 kind }, 3 was_damaged
 * Rules: 1. version 1  2. at most OXV_REFUSED_PINS_MAX items  3. each URI once  4. salt and hash
 * are both there where the kind is absent, else neither is  5. kind 1: any PIN counts as refused;
 * 2: none was  6. with was_damaged 1 nothing is known of tokens that are not listed.
 */
#ifndef OXV_SERVICE_KEEPER_TOKEN_PINS_H
#define OXV_SERVICE_KEEPER_TOKEN_PINS_H

#include "base/cleanup.h"
#include "base/fields.h"
#include "base/secret.h"
#include "base/token_terms.h"

#define OXV_REFUSED_PINS_MAX       64u
#define OXV_REFUSED_PART_MAX_BYTES 64u
#define OXV_TOKEN_PINS_FILE        "token-pins"
#define OXV_TOKEN_PINS_MAX_BYTES   (OXV_REFUSED_PINS_MAX * (OXV_TOKEN_URI_MAX_BYTES + 256u))

struct oxv_token_pins;

enum oxv_refused_kind {
    OXV_REFUSED_ONE,  /* the one of the hash */
    OXV_REFUSED_ANY,  /* one, but which was not told */
    OXV_REFUSED_NONE, /* of a file that was damaged: a person has logged in since */
};

/* A PIN that a token refused, as its helper hashed it. Empty views: none was. */
struct oxv_refused_pin {
    struct oxv_view token_uri;
    struct oxv_view salt;
    struct oxv_view hash;
    uint64_t when_us;
    uint64_t kind; /* enum oxv_refused_kind */
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
/* False: the refused one may be tried again after the next start. */
OXV_MUST_USE bool oxv_token_pins_refuse(struct oxv_token_pins *pins, int dir_fd,
                                        const struct oxv_refused_pin *refused);
void oxv_token_pins_clear(struct oxv_token_pins *pins, int dir_fd, struct oxv_view uri);

OXV_DEFINE_OWNER(oxv_token_pins);

#endif
