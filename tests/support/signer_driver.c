/*
 * signer_driver: signs what comes in on stdin with the signer, for tests that compare it with other
 * programs. The optional argument names a PEM file with the RSA key.
 *
 * Request: u32 length of the rest, then as u32 length and bytes: method, url, form (LIST), realm,
 * consumer key, token, nonce, time stamp (decimal), signature method, consumer secret, token
 * secret, extra (LIST).
 * Answer: the same frame with status name, reason, offset (decimal), base string, header.
 */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/secret.h"
#include "base/text.h"
#include "signer/hmac_key.h"
#include "signer/method.h"
#include "signer/oauth1.h"

#define FRAME_MAX_BYTES (1024u * 1024u)

struct driver {
    struct oxv_oauth1_work *work;
    EVP_PKEY *rsa; /* NULL without a PEM file */
    uint8_t in[FRAME_MAX_BYTES];
    uint8_t out[FRAME_MAX_BYTES];
};

/* A request as it came in. */
struct input {
    struct oxv_view method;
    struct oxv_view url;
    struct oxv_view timestamp;
    struct oxv_view signature_method;
    struct oxv_view consumer_secret;
    struct oxv_view token_secret;
    struct oxv_oauth1_request request;
};

struct answer {
    enum oxv_status status;
    struct oxv_syntax_error where;
    struct oxv_view base;
    uint8_t header[16384];
    size_t header_len;
};

static _Noreturn void
die(const char *what)
{
    (void)fprintf(stderr, "signer_driver: %s\n", what);
    exit(2);
}

static const EVP_MD *
digest_of(enum oxv_signature_method method)
{
    switch (method) {
    case OXV_HMAC_SHA256:
    case OXV_RSA_SHA256:
        return EVP_sha256();
    case OXV_HMAC_SHA512:
    case OXV_RSA_SHA512:
        return EVP_sha512();
    case OXV_HMAC_SHA1:
    case OXV_RSA_SHA1:
        return EVP_sha1();
    }
    die("no such signature method");
}

/* Signs with the key of an HMAC or RSA method: EVP treats both alike. */
static size_t
sign(EVP_PKEY *key, const EVP_MD *md, struct oxv_view text, uint8_t *out, size_t out_max)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = out_max;

    if (ctx == NULL || key == NULL || EVP_DigestSignInit(ctx, NULL, md, NULL, key) != 1 ||
        EVP_DigestSign(ctx, out, &len, text.data, text.len) != 1) {
        die("cannot sign");
    }
    EVP_MD_CTX_free(ctx);
    return len;
}

static size_t
sign_hmac(const struct input *in, struct oxv_view text, uint8_t *out, size_t out_max)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *key = NULL;

    if (oxv_hmac_key_text(in->consumer_secret, in->token_secret, &key) != OXV_OK) {
        die("no memory for the key");
    }
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, oxv_secret_bytes(key),
                                                  oxv_secret_len(key));
    size_t len = sign(pkey, digest_of(in->request.signature_method), text, out, out_max);

    EVP_PKEY_free(pkey);
    return len;
}

static bool
read_input(struct oxv_view frame, struct input *in)
{
    struct oxv_reader r = oxv_reader(frame);

    *in = (struct input){ 0 };
    return oxv_read_view32(&r, &in->method) && oxv_read_view32(&r, &in->url) &&
           oxv_read_view32(&r, &in->request.form) && oxv_read_view32(&r, &in->request.realm) &&
           oxv_read_view32(&r, &in->request.consumer_key) &&
           oxv_read_view32(&r, &in->request.token) && oxv_read_view32(&r, &in->request.nonce) &&
           oxv_read_view32(&r, &in->timestamp) && oxv_read_view32(&r, &in->signature_method) &&
           oxv_read_view32(&r, &in->consumer_secret) && oxv_read_view32(&r, &in->token_secret) &&
           oxv_read_view32(&r, &in->request.extra) && oxv_reader_at_end(&r);
}

static void
answer_request(struct driver *d, struct input *in, struct answer *out)
{
    uint8_t signature[OXV_OAUTH1_SIGNATURE_MAX_BYTES];
    struct oxv_writer w = oxv_writer(out->header, sizeof out->header);
    struct oxv_method method;
    struct oxv_url url;
    size_t len;

    out->status = oxv_method_parse(in->method, &method, &out->where);
    if (out->status == OXV_OK) {
        out->status = oxv_url_parse(in->url, &url, &out->where);
    }
    if (out->status == OXV_OK) {
        out->status = oxv_signature_method_parse(in->signature_method,
                                                 &in->request.signature_method, &out->where);
    }
    if (out->status == OXV_OK) {
        in->request.method = oxv_method_view(&method);
        in->request.url = &url;
        out->status = oxv_oauth1_prepare(d->work, &in->request, &out->base, &out->where);
    }
    if (out->status != OXV_OK) {
        return;
    }
    if (oxv_signature_method_is_rsa(in->request.signature_method)) {
        len = sign(d->rsa, digest_of(in->request.signature_method), out->base, signature,
                   sizeof signature);
    } else {
        len = sign_hmac(in, out->base, signature, sizeof signature);
    }
    oxv_oauth1_write_header(&w, &in->request, oxv_view(signature, len));
    if (w.failed) {
        die("the header is too long");
    }
    out->header_len = w.len;
}

static void
write_answer(struct driver *d, const struct answer *answer)
{
    struct oxv_writer w = oxv_writer(d->out, sizeof d->out);
    uint8_t digits[20];
    struct oxv_writer offset = oxv_writer(digits, sizeof digits);
    size_t frame = oxv_write_begin32(&w);

    oxv_write_decimal(&offset, answer->where.offset);
    oxv_write_view32(&w, oxv_view_text(oxv_status_name(answer->status)));
    oxv_write_view32(&w, oxv_view_text(answer->where.reason == NULL ? "" : answer->where.reason));
    oxv_write_view32(&w, oxv_view(digits, offset.len));
    oxv_write_view32(&w, answer->base);
    oxv_write_view32(&w, oxv_view(answer->header, answer->header_len));
    oxv_write_end32(&w, frame);
    if (w.failed || fwrite(d->out, 1, w.len, stdout) != w.len) {
        die("cannot write the answer");
    }
}

/* False at the end of stdin. */
static bool
read_frame(struct driver *d, struct oxv_view *frame)
{
    uint8_t head[4];
    uint32_t len;
    size_t got = fread(head, 1, sizeof head, stdin);

    if (got == 0) {
        return false;
    }
    struct oxv_reader r = oxv_reader(oxv_view(head, got));

    if (!oxv_read_u32(&r, &len) || len > sizeof d->in || fread(d->in, 1, len, stdin) != len) {
        die("a broken frame");
    }
    *frame = oxv_view(d->in, len);
    return true;
}

static EVP_PKEY *
read_rsa_key(const char *path)
{
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);

    if (key == NULL) {
        die("cannot read the RSA key");
    }
    (void)fclose(file);
    return key;
}

int
main(int argc, char **argv)
{
    static struct driver d;
    static struct answer answer;
    struct oxv_view frame;
    struct oxv_err err;

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, &err) != OXV_OK) {
        die(err.text);
    }
    d.work = malloc(sizeof *d.work);
    d.rsa = argc > 1 ? read_rsa_key(argv[1]) : NULL;
    if (d.work == NULL) {
        die("no memory");
    }
    while (read_frame(&d, &frame)) {
        struct input in;
        uint64_t timestamp;

        if (!read_input(frame, &in) || !oxv_parse_decimal(in.timestamp, UINT64_MAX, &timestamp)) {
            die("a broken request");
        }
        in.request.timestamp = timestamp;
        answer = (struct answer){ 0 };
        answer_request(&d, &in, &answer);
        write_answer(&d, &answer);
    }
    if (fflush(stdout) != 0) {
        die("cannot write the answers");
    }
    free(d.work);
    EVP_PKEY_free(d.rsa);
    return 0;
}
