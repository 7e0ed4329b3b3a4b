/*
 * seal: one way to get the root key (design.md 5.1). The row's sealed part is two blobs:
 *   83 bytes  purpose SEAL: the root key under the seal's wrapping key; place: the seal's row
 *   51 bytes  purpose RECORD, empty: authenticates the row under the vault's key, with the first
 *             blob as `bound`, so a change to ANY seal is found whichever seal opened the vault
 */
#ifndef OXV_VAULT_SEAL_H
#define OXV_VAULT_SEAL_H

#include "vault/blob.h"
#include "vault/keys.h"
#include "vault/vault.h"

#define OXV_SEAL_WRAPPED_BYTES (OXV_BLOB_EXTRA_BYTES + OXV_ROOT_KEY_BYTES)
#define OXV_SEAL_CHECK_BYTES   32u

/* Bounds of the KDF; outside of them a seal is damaged, and nothing is computed. */
#define OXV_KDF_OPS_MAX          16u
#define OXV_KDF_MEMORY_MIN_BYTES (UINT64_C(8) << 20)
#define OXV_KDF_MEMORY_MAX_BYTES (UINT64_C(1) << 30)

/* Splits a row's sealed part. False where it is too short. */
OXV_MUST_USE bool oxv_seal_split(struct oxv_view sealed, struct oxv_view *wrapped,
                                 struct oxv_view *row_blob);

/*
 * Does the material open this seal? `place` is that of its row (its purpose is set here).
 *   OXV_OK        the root key, owned by the caller
 *   OXV_E_LOCKED  other material, or the seal was changed
 *   OXV_E_FORGED  the material is right and the seal is damaged, or its parameters are out of
 *                 bounds
 *   OXV_E_USAGE   material of another kind, or not 32 bytes
 */
OXV_MUST_USE enum oxv_status oxv_seal_open(const struct oxv_seal_record *record,
                                           struct oxv_view wrapped,
                                           const struct oxv_blob_place *place,
                                           const struct oxv_seal_input *input,
                                           struct oxv_secret **root, struct oxv_err *err);

/* The check value that goes into the record of a new seal. */
OXV_MUST_USE enum oxv_status oxv_seal_check_value(const struct oxv_seal_input *input,
                                                  uint8_t out[OXV_SEAL_CHECK_BYTES],
                                                  struct oxv_err *err);

/* Appends the wrapped root key. place->record is the encoded record, check value and all. */
OXV_MUST_USE enum oxv_status oxv_seal_wrap(struct oxv_writer *w, const struct oxv_blob_place *place,
                                           const struct oxv_seal_input *input,
                                           const struct oxv_secret *root, struct oxv_err *err);

/* "wrong passphrase", "wrong key file", "wrong token value". */
const char *oxv_seal_wrong_text(uint64_t kind);

/*
 * Kind known, for passphrases the parameters within their bounds, for tokens all there that unseal
 * needs? OXV_E_FORGED.
 */
OXV_MUST_USE enum oxv_status oxv_seal_parameters_check(const struct oxv_seal_record *record,
                                                       struct oxv_err *err);

#endif
