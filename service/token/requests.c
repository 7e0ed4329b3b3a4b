#include "service/token/requests.h"

#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "pkcs11/keys.h"
#include "pkcs11/pair.h"
#include "pkcs11/seal.h"
#include "service/token/answers.h"

#define FIELDS_MAX_BYTES 256u

static void
run_open(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    struct oxv_p11_fault fault;

    (void)fields; /* module and URI are those of the first time */
    if (oxv_p11_token_open(h->token, &fault) == OXV_TOKEN_FINE) {
        oxv_answer_token(h, job->id);
    } else {
        oxv_answer_trouble(h, job->id, &fault);
    }
}

static bool
take_refused(struct oxv_view salt, struct oxv_view hash, struct oxv_p11_refused_pins *out)
{
    if (salt.len == 0 && hash.len == 0) {
        return true;
    }
    if (salt.len != sizeof out->salt || hash.len == 0 || hash.len > sizeof out->hashes ||
        hash.len % OXV_P11_PIN_HASH_BYTES != 0) {
        return false;
    }
    memcpy(out->salt, salt.data, salt.len);
    memcpy(out->hashes, hash.data, hash.len);
    out->count = hash.len / OXV_P11_PIN_HASH_BYTES;
    return true;
}

static void
run_login(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    const struct oxv_msg_helper_login *m = fields;
    struct oxv_p11_login login = { .pin = job->secret, .again = m->again == 1 };
    struct oxv_p11_fault fault;

    if (!take_refused(m->refused_salt, m->refused_hash, &login.refused)) {
        (void)oxv_p11_fault(&fault, OXV_TOKEN_REFUSED, CKR_OK,
                            "what was remembered of a refused PIN has another length");
    } else if (oxv_p11_token_login(h->token, &login, &fault) == OXV_TOKEN_FINE) {
        oxv_answer_token(h, job->id);
        return;
    }
    oxv_answer_trouble(h, job->id, &fault);
}

static void
run_pair(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    const struct oxv_msg_helper_pair *m = fields;
    struct oxv_p11_pair pair;
    struct oxv_p11_fault fault;

    if (oxv_p11_pair(h->token, m->key_id, m->allow_oaep_sha1 == 1, &pair, &fault) !=
        OXV_TOKEN_FINE) {
        oxv_answer_trouble(h, job->id, &fault);
        return;
    }
    struct oxv_msg_helper_public answer = {
        .key_id = oxv_view(pair.id, pair.id_len),
        .public_key = oxv_view(pair.public_key, pair.public_key_len),
        .oaep = pair.oaep,
    };

    oxv_answer(h, OXV_MSG_HELPER_PUBLIC, job->id, &oxv_msg_helper_public_shape, &answer);
}

static void
run_load(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    const struct oxv_msg_helper_load *m = fields;
    struct oxv_p11_load load = {
        .form = (enum oxv_key_form)m->form,
        .hash = (enum oxv_token_hash)m->hash,
        .key_id = m->key_id,
        .pair_id = m->pair_id,
        .oaep = (enum oxv_token_oaep)m->oaep,
        .blob = m->blob,
        .value = job->secret,
        .label = m->label,
    };
    struct oxv_p11_key key;
    struct oxv_p11_fault fault;

    if (m->form == OXV_KEY_IN_VAULT || m->hash == 0 ||
        (m->form == OXV_KEY_UNWRAP) != (m->oaep != 0)) {
        (void)oxv_p11_fault(&fault, OXV_TOKEN_REFUSED, CKR_OK,
                            "a key needs a form and a hash, and one that is unwrapped an OAEP");
    } else if (oxv_p11_key_load(h->token, &load, &key, &fault) == OXV_TOKEN_FINE) {
        struct oxv_msg_helper_key answer = { .key = key.key, .generation = key.generation };

        oxv_answer(h, OXV_MSG_HELPER_KEY, job->id, &oxv_msg_helper_key_shape, &answer);
        return;
    }
    oxv_answer_trouble(h, job->id, &fault);
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        oxv_bug("there is no clock");
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* An eighth of the new one: one slow signature among many changes little. */
static void
note_sign_time(struct oxv_helper *h, uint64_t took_ns)
{
    uint64_t before = atomic_load(&h->sign_ns);

    atomic_store(&h->sign_ns, before == 0 ? took_ns : before - before / 8 + took_ns / 8);
}

void
oxv_request_sign(struct oxv_helper *h, uint64_t id, const struct oxv_msg_helper_sign *sign)
{
    struct oxv_p11_key key = { .key = sign->key, .generation = sign->generation };
    struct oxv_p11_mac mac;
    struct oxv_p11_fault fault;
    uint64_t begin = now_ns();

    if (oxv_p11_key_sign(h->token, key, sign->message, &mac, &fault) == OXV_TOKEN_FINE) {
        struct oxv_msg_helper_mac answer = { .mac = oxv_view(mac.bytes, mac.len) };

        oxv_answer(h, OXV_MSG_HELPER_MAC, id, &oxv_msg_helper_mac_shape, &answer);
        note_sign_time(h, now_ns() - begin);
    } else {
        atomic_store(&h->sign_ns, 0); /* what failed may be slow next time */
        oxv_answer_trouble(h, id, &fault);
    }
    oxv_wipe(&mac, sizeof mac);
}

static void
run_sign(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    oxv_request_sign(h, job->id, fields);
}

static void
run_drop(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    const struct oxv_msg_helper_drop *m = fields;
    struct oxv_p11_key key = { .key = m->key, .generation = m->generation };
    struct oxv_p11_fault fault;

    if (oxv_p11_key_drop(h->token, key, m->destroy == 1, &fault) == OXV_TOKEN_FINE) {
        struct oxv_msg_empty nothing = { 0 };

        oxv_answer(h, OXV_MSG_HELPER_DONE, job->id, &oxv_msg_empty_shape, &nothing);
    } else {
        oxv_answer_trouble(h, job->id, &fault);
    }
}

static void
run_seal(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    const struct oxv_msg_helper_seal *m = fields;
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = NULL;
    struct oxv_p11_seal_request request = {
        .key_id = m->key_id,
        .generate = m->generate == 1,
        .mechanism = (enum oxv_token_mechanism)m->mechanism,
        .gcm_iv = (enum oxv_token_gcm_iv)m->gcm_iv,
        .allow_oaep_sha1 = m->allow_oaep_sha1 == 1,
        .allow_pkcs1 = m->allow_pkcs1 == 1,
    };
    struct oxv_p11_sealed sealed;
    struct oxv_p11_fault fault;

    if (oxv_p11_seal(h->token, &request, &sealed, &value, &fault) != OXV_TOKEN_FINE) {
        oxv_answer_trouble(h, job->id, &fault);
        return;
    }
    struct oxv_msg_helper_sealed answer = {
        .mechanism = sealed.mechanism,
        .gcm_iv = sealed.gcm_iv,
        .key_id = oxv_view(sealed.key_id, sealed.key_id_len),
        .key_hash = oxv_view(sealed.key_hash, sealed.key_hash_len),
        .blob = oxv_view(sealed.blob, sealed.blob_len),
        .value = oxv_secret_view(value),
    };

    oxv_answer_secret(h, OXV_MSG_HELPER_SEALED, job->id, &oxv_msg_helper_sealed_shape, &answer);
}

static bool
take_sealed(const struct oxv_msg_helper_unseal *m, struct oxv_p11_sealed *out)
{
    if (m->key_id.len > sizeof out->key_id || m->key_hash.len > sizeof out->key_hash ||
        m->blob.len > sizeof out->blob || m->key_id.len == 0 || m->blob.len == 0) {
        return false;
    }
    *out = (struct oxv_p11_sealed){ .mechanism = (enum oxv_token_mechanism)m->mechanism,
                                    .gcm_iv = (enum oxv_token_gcm_iv)m->gcm_iv,
                                    .key_id_len = m->key_id.len,
                                    .key_hash_len = m->key_hash.len,
                                    .blob_len = m->blob.len };
    memcpy(out->key_id, m->key_id.data, m->key_id.len);
    if (m->key_hash.len > 0) {
        memcpy(out->key_hash, m->key_hash.data, m->key_hash.len);
    }
    memcpy(out->blob, m->blob.data, m->blob.len);
    return true;
}

static void
run_unseal(struct oxv_helper *h, const struct oxv_job *job, const void *fields)
{
    OXV_AUTO(oxv_secret_freep) struct oxv_secret *value = NULL;
    struct oxv_p11_sealed sealed;
    struct oxv_p11_fault fault;

    if (!take_sealed(fields, &sealed)) {
        (void)oxv_p11_fault(&fault, OXV_TOKEN_REFUSED, CKR_OK, "the seal lacks a part");
    } else if (oxv_p11_unseal(h->token, &sealed, &value, &fault) == OXV_TOKEN_FINE) {
        struct oxv_msg_helper_value answer = { .value = oxv_secret_view(value) };

        oxv_answer_secret(h, OXV_MSG_HELPER_VALUE, job->id, &oxv_msg_helper_value_shape, &answer);
        return;
    }
    oxv_answer_trouble(h, job->id, &fault);
}

static const struct oxv_request requests[] = {
    { OXV_MSG_HELPER_OPEN, &oxv_msg_helper_open_shape, 0, run_open },
    { OXV_MSG_HELPER_LOGIN, &oxv_msg_helper_login_shape,
      1 + offsetof(struct oxv_msg_helper_login, pin), run_login },
    { OXV_MSG_HELPER_PAIR, &oxv_msg_helper_pair_shape, 0, run_pair },
    { OXV_MSG_HELPER_LOAD, &oxv_msg_helper_load_shape,
      1 + offsetof(struct oxv_msg_helper_load, key), run_load },
    { OXV_MSG_HELPER_SIGN, &oxv_msg_helper_sign_shape, 0, run_sign },
    { OXV_MSG_HELPER_DROP, &oxv_msg_helper_drop_shape, 0, run_drop },
    { OXV_MSG_HELPER_SEAL, &oxv_msg_helper_seal_shape, 0, run_seal },
    { OXV_MSG_HELPER_UNSEAL, &oxv_msg_helper_unseal_shape, 0, run_unseal },
};

const struct oxv_request *
oxv_request_of(uint8_t type)
{
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        if (requests[i].type == type) {
            return &requests[i];
        }
    }
    return NULL;
}

enum oxv_status
oxv_request_take_secret(const struct oxv_request *request, struct oxv_view payload,
                        struct oxv_secret **secret)
{
    _Alignas(max_align_t) uint8_t fields[FIELDS_MAX_BYTES];
    struct oxv_view found;

    if (request->shape->struct_size > sizeof fields) {
        oxv_bug("a shape is larger than its buffer");
    }
    enum oxv_status st = oxv_fields_decode(payload, request->shape, fields, NULL);

    if (st != OXV_OK || request->secret_place == 0) {
        return st;
    }
    memcpy(&found, fields + request->secret_place - 1, sizeof found);
    if (found.len == 0) {
        return OXV_OK;
    }
    *secret = oxv_secret_copy(found);
    oxv_wipe((void *)(uintptr_t)found.data, found.len); /* the channel's buffer, which is ours */
    return *secret != NULL ? OXV_OK : OXV_E_MEMORY;
}

void
oxv_request_run(struct oxv_helper *h, const struct oxv_job *job)
{
    _Alignas(max_align_t) uint8_t fields[FIELDS_MAX_BYTES];

    if (job->request == NULL) {
        oxv_p11_token_try_again(h->token);
        atomic_store(&h->is_trying, false);
        oxv_answers_wake(h); /* it may be told when to try next */
    } else if (oxv_fields_decode(oxv_view(job->payload, job->payload_len), job->request->shape,
                                 fields, NULL) == OXV_OK) {
        job->request->run(h, job, fields);
    } else {
        oxv_bug("a request that was well-formed is so no more");
    }
    oxv_answers_announce(h);
    oxv_answers_send(h);
}

static bool
is_same_token(const struct oxv_helper *h, const struct oxv_msg_helper_open *open)
{
    return oxv_view_is(open->module, h->module) && oxv_view_is(open->uri, h->uri);
}

static enum oxv_token_trouble
load(struct oxv_helper *h, const struct oxv_msg_helper_open *open, struct oxv_p11_fault *fault)
{
    struct oxv_p11_open wanted = { .module = open->module,
                                   .uri = open->uri,
                                   .workers = open->workers,
                                   .owner_uid_plus1 = h->trusts_own ? (uint64_t)geteuid() + 1 : 0 };

    /* What a module did on being loaded stays done: the next one would be another's guest. */
    if (h->has_loaded && !oxv_view_is(open->module, h->module)) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK,
                             "this helper has tried another module already");
    }

    if (oxv_text_copy(open->module, h->module, sizeof h->module) != OXV_OK ||
        oxv_text_copy(open->uri, h->uri, sizeof h->uri) != OXV_OK) {
        return oxv_p11_fault(fault, OXV_TOKEN_REFUSED, CKR_OK, "module or URI is too long");
    }
    h->has_loaded = true;
    return oxv_p11_token_new(&wanted, &h->token, fault);
}

bool
oxv_request_open(struct oxv_helper *h, uint64_t id, const struct oxv_msg_helper_open *open)
{
    struct oxv_p11_fault fault;

    if (h->token == NULL) {
        if (load(h, open, &fault) == OXV_TOKEN_FINE) {
            return false;
        }
    } else if (is_same_token(h, open)) {
        return false;
    } else {
        (void)oxv_p11_fault(&fault, OXV_TOKEN_REFUSED, CKR_OK,
                            "this helper has another token already: one helper, one token");
    }
    oxv_answer_trouble(h, id, &fault);
    return true;
}
