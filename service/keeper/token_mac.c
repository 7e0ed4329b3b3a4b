#include "service/keeper/token_mac.h"

#include <stdlib.h>

#include "base/io.h"
#include "base/text.h"
#include "service/keeper/answers.h"

#define CKR_DATA_LEN_RANGE 0x21u
#define RETRY_AFTER_MAX_S  30u

struct oxv_job_pool *
oxv_token_job_pool(struct oxv_keeper *k, const struct oxv_connection *connection)
{
    struct oxv_helper *h = oxv_token_of_row(k, connection->record.key_token);

    if (h == NULL ||
        (h->jobs.storage == NULL && oxv_job_pool_init(&h->jobs, OXV_TOKEN_JOBS_MAX) != OXV_OK)) {
        return NULL;
    }
    return &h->jobs;
}

/* Ends without a MAC. `detail` is for the answer. */
static void
fail(struct oxv_keeper *k, struct oxv_sign_job *job, const char *code, const char *detail)
{
    const struct oxv_helper *h = job->helper;

    if (!oxv_answers_have_room(k)) { /* many end at once when a helper does */
        oxv_answers_release(k);
    }
    if (h != NULL && strcmp(code, "token_unavailable") == 0) {
        job->helper->failures++;
        job->retry_after_s = 1;
        if (h->retry_at_us > k->now_boot_us) {
            job->retry_after_s = (h->retry_at_us - k->now_boot_us) / 1000000u + 1;
        }
        job->retry_after_s =
            job->retry_after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : job->retry_after_s;
    }
    if (oxv_text_copy(oxv_view_slice(oxv_view_text(detail), 0, sizeof job->detail - 1), job->detail,
                      sizeof job->detail) != OXV_OK) {
        job->detail[0] = '\0';
    }
    oxv_sign_finish(k, job, oxv_view(NULL, 0), code);
}

static void
fail_by_token(struct oxv_keeper *k, struct oxv_sign_job *job)
{
    struct oxv_err err = { 0 };

    (void)oxv_token_fail_now(job->helper, &err);
    fail(k, job, "token_unavailable", err.text);
}

static void want_key(struct oxv_keeper *k, struct oxv_sign_job *job);

static void
sign_failed(struct oxv_keeper *k, struct oxv_sign_job *job, const struct oxv_call_result *result)
{
    struct oxv_helper *h = job->helper;
    struct oxv_token_key *key = oxv_token_key_find(h, job->connection_id);
    struct oxv_err err = { 0 };

    if (result->end == OXV_CALL_DROPPED) {
        fail(k, job, "sealed", "the vault was sealed before this was signed");
        return;
    }
    oxv_token_on_trouble(k, h, result);
    if (result->trouble == OXV_TOKEN_STALE && !job->is_retried && key != NULL) {
        job->is_retried = true;
        key->state = key->state == OXV_KEY_LOADED ? OXV_KEY_UNLOADED : key->state;
        want_key(k, job);
        return;
    }
    (void)oxv_token_fail(h, result->trouble, result->text, &err);
    if (result->trouble == OXV_TOKEN_BUSY) {
        fail(k, job, "busy", err.text);
    } else if (result->trouble == OXV_TOKEN_UNFIT && result->ckr == CKR_DATA_LEN_RANGE) {
        fail(k, job, "unprocessable", "the request is longer than its token can sign");
    } else {
        fail(k, job, "token_unavailable", err.text);
    }
}

static void
sign_done(struct oxv_keeper *k, struct oxv_helper *h, void *ctx,
          const struct oxv_call_result *result)
{
    struct oxv_sign_job *job = ctx;
    const struct oxv_msg_helper_mac *mac = result->fields;

    if (result->trouble != OXV_TOKEN_FINE) {
        sign_failed(k, job, result);
        return;
    }
    if (mac->mac.len != job->mac_len) {
        oxv_helper_break(h, "it answered a MAC of another length");
        fail(k, job, "token_unavailable", "the token answered a MAC of another length");
        return;
    }
    h->signatures++;
    oxv_token_on_success(k, h);
    oxv_sign_finish(k, job, mac->mac, NULL);
}

static void
sign_now(struct oxv_keeper *k, struct oxv_sign_job *job, const struct oxv_token_key *key)
{
    struct oxv_msg_helper_sign message = { .key = key->key,
                                           .generation = key->generation,
                                           .message = oxv_view(job->message, job->message_len) };
    enum oxv_status st = oxv_helper_call(k, job->helper, OXV_MSG_HELPER_SIGN, &message,
                                         (struct oxv_call_then){ sign_done, job });

    if (st == OXV_E_BUSY) {
        fail(k, job, "busy", "too much is under way in the token");
    } else if (st != OXV_OK) {
        fail_by_token(k, job);
    }
}

static void
wait_for_key(struct oxv_token_key *key, struct oxv_sign_job *job)
{
    struct oxv_sign_job **link = &key->waiting;

    while (*link != NULL) {
        link = &(*link)->next_free;
    }
    job->next_free = NULL;
    *link = job;
}

/* Is the token there, or on its way without having failed? */
static bool
may_try(const struct oxv_helper *h)
{
    return !h->is_open_circuit && h->phase != OXV_HELPER_TROUBLED &&
           (h->phase != OXV_HELPER_DOWN || h->process.serial != 0 || h->retry_at_us != 0);
}

/* Signs, or waits for its key. */
static void
want_key(struct oxv_keeper *k, struct oxv_sign_job *job)
{
    struct oxv_helper *h = job->helper;
    const struct oxv_connection *c =
        oxv_keeper_is_open(k) ? oxv_vault_connection_by_id(k->vault, job->connection_id) : NULL;
    struct oxv_token_key *key = c != NULL ? oxv_token_key(h, c) : NULL;

    if (c == NULL || c->version != job->connection_version) {
        fail(k, job, "no_grant", "");
        return;
    }
    if (key == NULL) {
        fail(k, job, "busy", "no memory");
        return;
    }
    if (key->state == OXV_KEY_LOADED && h->phase == OXV_HELPER_READY) {
        sign_now(k, job, key);
        return;
    }
    if (!may_try(h)) {
        fail_by_token(k, job);
        return;
    }
    if (key->state == OXV_KEY_FAILED && k->now_boot_us < key->retry_at_us) {
        fail(k, job, "token_unavailable", key->text);
        return;
    }
    wait_for_key(key, job);
    if (h->phase == OXV_HELPER_READY && key->state != OXV_KEY_LOADING) {
        oxv_token_key_load(k, h, key);
    }
}

static void
submit(struct oxv_keeper *k, struct oxv_sign_job *job, struct oxv_view message)
{
    const struct oxv_connection *c = oxv_vault_connection_by_id(k->vault, job->connection_id);
    struct oxv_helper *h = c != NULL ? oxv_token_of_row(k, c->record.key_token) : NULL;

    job->helper = h;
    if (h == NULL) {
        fail(k, job, "token_unavailable", "the token of this connection is not known");
        return;
    }
    if (message.len > OXV_TOKEN_MESSAGE_MAX_BYTES) {
        fail(k, job, "unprocessable", "the request is longer than a token can sign");
        return;
    }
    if (!may_try(h)) { /* at once, before anything is copied */
        fail_by_token(k, job);
        return;
    }
    job->message = malloc(message.len);
    if (job->message == NULL) {
        fail(k, job, "busy", "no memory");
        return;
    }
    memcpy(job->message, message.data, message.len);
    job->message_len = message.len;
    job->mac_len = oxv_key_mac_len(oxv_key_hash(c->record.signature_method));
    job->due_us = k->now_boot_us + OXV_TOKEN_JOB_US;
    if (h->jobs.used <= 1 || job->due_us < h->jobs_check_us) {
        h->jobs_check_us = job->due_us;
    }
    want_key(k, job);
}

const struct oxv_mac_backend oxv_token_mac = { .name = "token", .submit = submit };

static struct oxv_sign_job *
take_waiting(struct oxv_token_key *key)
{
    struct oxv_sign_job *jobs = key->waiting;

    key->waiting = NULL;
    return jobs;
}

void
oxv_token_jobs_go(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key)
{
    struct oxv_sign_job *job = take_waiting(key);

    while (job != NULL) {
        struct oxv_sign_job *next = job->next_free;

        if (key->state == OXV_KEY_FAILED ||
            (key->state == OXV_KEY_LOADED && h->phase == OXV_HELPER_READY)) {
            want_key(k, job);
        } else if (k->tokens->is_locking) {
            fail(k, job, "sealed", "the vault was sealed before this was signed");
        } else {
            fail_by_token(k, job);
        }
        job = next;
    }
}

/* Calls fn for each job that waits for a key. */
static void
each_waiting_key(struct oxv_keeper *k, struct oxv_helper *h,
                 void (*fn)(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key,
                            const char *code),
                 const char *code)
{
    for (size_t i = 0; i < h->jobs.max && h->jobs.storage != NULL; i++) {
        const struct oxv_sign_job *job = &h->jobs.storage[i];
        struct oxv_token_key *key =
            job->due_us != 0 ? oxv_token_key_find(h, job->connection_id) : NULL;

        if (key != NULL && key->waiting != NULL) {
            fn(k, h, key, code);
        }
    }
}

static void
resume(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key, const char *code)
{
    (void)code;
    if (key->state == OXV_KEY_LOADED) {
        oxv_token_jobs_go(k, h, key);
    } else if (key->state != OXV_KEY_LOADING) {
        oxv_token_key_load(k, h, key);
    }
}

void
oxv_token_jobs_resume(struct oxv_keeper *k, struct oxv_helper *h)
{
    each_waiting_key(k, h, resume, NULL);
}

static void
fail_waiting(struct oxv_keeper *k, struct oxv_helper *h, struct oxv_token_key *key,
             const char *code)
{
    struct oxv_sign_job *job = take_waiting(key);

    (void)h;
    while (job != NULL) {
        struct oxv_sign_job *next = job->next_free;

        if (strcmp(code, "sealed") == 0) {
            fail(k, job, code, "the vault was sealed before this was signed");
        } else {
            fail_by_token(k, job);
        }
        job = next;
    }
}

void
oxv_token_jobs_fail_waiting(struct oxv_keeper *k, struct oxv_helper *h, const char *code)
{
    each_waiting_key(k, h, fail_waiting, code);
}

/* Out of its key's list, if it is in there. */
static void
leave_waiting(struct oxv_helper *h, struct oxv_sign_job *job)
{
    struct oxv_token_key *key = oxv_token_key_find(h, job->connection_id);
    struct oxv_sign_job **link = key != NULL ? &key->waiting : NULL;

    while (link != NULL && *link != NULL && *link != job) {
        link = &(*link)->next_free;
    }
    if (link != NULL && *link == job) {
        *link = job->next_free;
    }
}

void
oxv_token_jobs_expire(struct oxv_keeper *k, struct oxv_helper *h)
{
    uint64_t now_us = oxv_clock_boot_us();
    uint64_t next_us = UINT64_MAX;

    if (h->jobs.used == 0 || now_us < h->jobs_check_us) {
        return;
    }
    for (size_t i = 0; i < h->jobs.max; i++) {
        struct oxv_sign_job *job = &h->jobs.storage[i];

        if (job->due_us == 0) {
            continue;
        }
        if (job->due_us <= now_us && oxv_answers_have_room(k)) {
            leave_waiting(h, job);
            oxv_helper_forget(h, job); /* should its MAC still come, it goes nowhere */
            fail(k, job, "token_unavailable",
                 "the token did not sign within 5 seconds; see `oxvault token list`");
        } else if (job->due_us < next_us) {
            next_us = job->due_us;
        }
    }
    h->jobs_check_us = next_us;
}
