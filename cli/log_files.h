/* log_files: keys, checkpoints and proofs as an auditor has them: small files, and their errors. */
#ifndef OXV_CLI_LOG_FILES_H
#define OXV_CLI_LOG_FILES_H

#include "cli/command.h"
#include "vault/log/proof_file.h"
#include "vault/log/verify.h"

/* A file read whole; zeroed it is empty. */
struct oxv_log_file {
    uint8_t *data; /* owned */
    size_t len;
};

/* For OXV_AUTO. */
void oxv_log_file_done(struct oxv_log_file *file);
/* "-" is standard input. Says what is wrong. */
enum oxv_exit oxv_log_file_read(const struct oxv_cli *cli, const char *path,
                                struct oxv_log_file *out);
struct oxv_view oxv_log_file_view(const struct oxv_log_file *file);

/* A verifier key; a line's end behind it of either kind is fine. */
enum oxv_exit oxv_log_file_key(const struct oxv_cli *cli, const char *path, struct oxv_vkey *out);

/* log verify --proof */
enum oxv_exit oxv_log_verify_proof(struct oxv_cli *cli, const char *proof, const char *key);

#endif
