#include "cli/rsa_pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/io.h"

static void
bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static void
pkey_freep(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void
pkcs8_freep(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info);
}

/* Keeps OpenSSL from asking at the terminal itself. */
static int
no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static enum oxv_status
encode(EVP_PKEY *key, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(pkcs8_freep) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *der = NULL;
    int len = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, NULL);

    if (len <= 0) {
        return oxv_fail(err, OXV_E_FORMAT, "the key cannot be written as PKCS#8");
    }
    der = oxv_secret_new((size_t)len);
    if (der == NULL) {
        return oxv_fail(err, OXV_E_MEMORY, "no locked memory left");
    }
    uint8_t *place = oxv_secret_bytes(der);

    if (i2d_PKCS8_PRIV_KEY_INFO(info, &place) != len) {
        return oxv_fail(err, OXV_E_INTERNAL, "OpenSSL changed its mind about a length");
    }
    *out = oxv_secret_take(&der);
    return OXV_OK;
}

enum oxv_status
oxv_rsa_pem_convert(struct oxv_view pem, struct oxv_secret **out, struct oxv_err *err)
{
    OXV_AUTO(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    OXV_AUTO(pkey_freep)
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);

    ERR_clear_error(); /* its texts are not for people */
    if (key == NULL) {
        return oxv_fail(err, OXV_E_FORMAT,
                        "no private key in PEM without a passphrase (decrypt one with: openssl "
                        "pkey -in KEY -out PLAIN)");
    }
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        return oxv_fail(err, OXV_E_FORMAT, "not an RSA key");
    }
    return encode(key, out, err);
}

enum oxv_exit
oxv_rsa_pem_read(const struct oxv_cli *cli, const char *path, struct oxv_secret **out)
{
    OXV_AUTO(oxv_closep) int fd = -1;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *pem = NULL;
    struct oxv_err err = { 0 };
    enum oxv_status st = oxv_open_secret_file(path, &fd, &err);

    if (st != OXV_OK) {
        return oxv_cli_err(cli, &err);
    }
    st = oxv_read_secret_fd(fd, OXV_PEM_MAX_BYTES, false, &pem, &err);
    if (st == OXV_OK) {
        st = oxv_rsa_pem_convert(oxv_secret_view(pem), out, &err);
    }
    if (st != OXV_OK) {
        oxv_err_prefix(&err, "%s", path);
        return oxv_cli_err(cli, &err);
    }
    return OXV_EXIT_DONE;
}
