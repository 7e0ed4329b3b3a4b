#include "service/keeper/software_mac.h"

#include <openssl/evp.h>
#include <stdio.h>

bool
oxv_sha256(struct oxv_view bytes, uint8_t out[32])
{
    /* Fetched at the first call, for the life of the process: a fetch takes a lock and 1 us. */
    static EVP_MD *sha256;
    static EVP_MD_CTX *context;

    if (sha256 == NULL) {
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        context = EVP_MD_CTX_new();
    }
    return sha256 != NULL && context != NULL && EVP_DigestInit_ex2(context, sha256, NULL) == 1 &&
           EVP_DigestUpdate(context, bytes.data, bytes.len) == 1 &&
           EVP_DigestFinal_ex(context, out, NULL) == 1;
}

static void
submit(struct oxv_keeper *k, struct oxv_sign_job *job, struct oxv_view message)
{
    uint8_t signature[OXV_SIGNATURE_MAX_BYTES];
    size_t len = 0;
    struct oxv_err err = { 0 };
    struct oxv_connection *connection = oxv_vault_connection_by_id(k->vault, job->connection_id);

    if (connection == NULL ||
        oxv_vault_sign(k->vault, connection, message, signature, &len, &err) != OXV_OK) {
        (void)fprintf(stderr, "oxvault-keeper: signing failed: %s\n", err.text);
        oxv_sign_finish(k, job, oxv_view(NULL, 0), "internal");
        return;
    }
    oxv_sign_finish(k, job, oxv_view(signature, len), NULL);
    oxv_wipe(signature, sizeof signature);
}

const struct oxv_mac_backend oxv_software_mac = { .name = "software", .submit = submit };
