/* rsa_pem: the private key of an RSA connection, from PEM to the PKCS#8 DER that the vault keeps.
 */
#ifndef OXV_CLI_RSA_PEM_H
#define OXV_CLI_RSA_PEM_H

#include "base/secret.h"
#include "cli/cli.h"

#define OXV_PEM_MAX_BYTES 16384u

/* Reads --private-key-file, which follows the rules for files with secrets. */
enum oxv_exit oxv_rsa_pem_read(const struct oxv_cli *cli, const char *path,
                               struct oxv_secret **out);

/*
 * One private key in PEM, PKCS#1 or PKCS#8, not encrypted. OpenSSL reads it, so copies pass through
 * its heap, which it wipes.
 *   OXV_E_FORMAT  no such key: *err says what is wrong; *out is untouched
 */
OXV_MUST_USE enum oxv_status oxv_rsa_pem_convert(struct oxv_view pem, struct oxv_secret **out,
                                                 struct oxv_err *err);

#endif
