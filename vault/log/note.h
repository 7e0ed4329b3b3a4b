/*
 * note: what the log takes from the C2SP specifications signed-note and tlog-checkpoint: key ids,
 * verifier keys, the checkpoint text and its Ed25519 signature (libsodium).
 *
 *   verifier key   <name>+<8 lower-case hex: key id>+<base64(0x01 || public key)>
 *   key id         SHA-256(name || 0x0A || 0x01 || public key), first 4 bytes
 *   checkpoint     <origin>\n<decimal size>\n<base64(root)>\n
 */
#ifndef OXV_VAULT_LOG_NOTE_H
#define OXV_VAULT_LOG_NOTE_H

#include "vault/log/log.h"
#include "vault/log/tree.h"

#define OXV_NOTE_ED25519_TYPE     0x01u
#define OXV_NOTE_COSIGNATURE_TYPE 0x04u
#define OXV_NOTE_PUBLIC_KEY_BYTES 32u
#define OXV_NOTE_SEED_BYTES       32u
#define OXV_NOTE_SECRET_KEY_BYTES 64u
#define OXV_NOTE_SIGNATURE_BYTES  64u
#define OXV_NOTE_KEY_ID_BYTES     4u
/* Origin, 20 digits, base64 of a root, three newlines. */
#define OXV_CHECKPOINT_MAX_BYTES (OXV_LOG_ORIGIN_MAX_BYTES + 20u + 44u + 3u)

struct oxv_vkey {
    char name[OXV_LOG_ORIGIN_MAX_BYTES];
    uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES];
};

/* The key of that name, which is a log's origin. */
struct oxv_vkey oxv_vkey_of(const char name[OXV_LOG_ORIGIN_MAX_BYTES],
                            const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES]);

/* What a commit vouches for. */
struct oxv_checkpoint {
    const char *origin;
    uint64_t size;
    uint8_t root[OXV_HASH_BYTES];
};

/* May this be the name of a key: not empty, printable UTF-8, no white space, no plus? */
bool oxv_note_is_name(struct oxv_view name);

void oxv_note_key_id(const char *name, const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
                     uint8_t id[OXV_NOTE_KEY_ID_BYTES]);

/* Appends the verifier key, without newline. */
void oxv_vkey_write(struct oxv_writer *w, const struct oxv_vkey *vkey);

/*
 * Reads a verifier key; one newline may follow it.
 *   OXV_E_FORMAT  anything else than what oxv_vkey_write() writes. *out is untouched.
 */
OXV_MUST_USE enum oxv_status oxv_vkey_parse(struct oxv_view text, struct oxv_vkey *out,
                                            struct oxv_err *err);

/*
 * The same for a witness, whose key has the type 0x04 (C2SP tlog-cosignature): the key id and the
 * verifier key differ from those of a log with the same key.
 */
void oxv_cosigner_key_id(const struct oxv_vkey *witness, uint8_t id[OXV_NOTE_KEY_ID_BYTES]);
void oxv_cosigner_write(struct oxv_writer *w, const struct oxv_vkey *witness);
OXV_MUST_USE enum oxv_status oxv_cosigner_parse(struct oxv_view text, struct oxv_vkey *out,
                                                struct oxv_err *err);

/* Appends the checkpoint text. */
void oxv_checkpoint_write(struct oxv_writer *w, const struct oxv_checkpoint *checkpoint);

/* Signs the checkpoint text with a libsodium secret key (OXV_NOTE_SECRET_KEY_BYTES). */
void oxv_checkpoint_sign(const struct oxv_checkpoint *checkpoint,
                         const struct oxv_secret *secret_key,
                         uint8_t signature[OXV_NOTE_SIGNATURE_BYTES]);
OXV_MUST_USE bool oxv_checkpoint_verify(const struct oxv_checkpoint *checkpoint,
                                        const uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES],
                                        const uint8_t signature[OXV_NOTE_SIGNATURE_BYTES]);

#endif
