#include "service/keeper/answers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "service/keeper/frontends.h"

/* Room for one turn: 512 answers; a page of a list is the longest, and they are rare. */
#define ARENA_BYTES   (4u * 1024u * 1024u)
#define ANSWERS_MAX   (2u * OXV_TURN_REQUESTS_MAX)
#define DOC_MAX_BYTES 61440u

/* A text member `proof` with its head, and the ends of two objects. */
#define PROOF_EXTRA_BYTES 32u

struct answer {
    struct oxv_reply to;
    uint8_t type;
    bool unlogged;
    size_t proof_max; /* room behind it for the proof of entry proof_index; 0: none is wanted */
    uint64_t proof_index;
    int fd; /* to go with it; -1: none */
    size_t offset;
    size_t len;
};

struct oxv_answers {
    size_t count;
    size_t used;
    struct answer items[ANSWERS_MAX];
    uint8_t arena[ARENA_BYTES];
};

enum oxv_status
oxv_answers_new(struct oxv_answers **out)
{
    struct oxv_answers *answers = malloc(sizeof *answers);

    if (answers == NULL) {
        return OXV_E_MEMORY;
    }
    answers->count = 0;
    answers->used = 0;
    *out = answers;
    return OXV_OK;
}

void
oxv_answers_free(struct oxv_answers *answers)
{
    free(answers);
}

struct oxv_writer
oxv_answer_begin(struct oxv_keeper *k)
{
    struct oxv_answers *a = k->answers;
    size_t left = sizeof a->arena - a->used;

    return oxv_writer(a->arena + a->used, left < DOC_MAX_BYTES ? left : DOC_MAX_BYTES);
}

/* Queues what was written at the arena's end. */
static void
queue(struct oxv_keeper *k, const struct oxv_reply *to, uint8_t type, size_t len)
{
    struct oxv_answers *a = k->answers;

    if (a->count == ANSWERS_MAX) {
        oxv_frontend_break(k, to->frontend, "more answers than requests of one turn");
        return;
    }
    a->items[a->count++] =
        (struct answer){ .to = *to, .type = type, .fd = -1, .offset = a->used, .len = len };
    a->used += len;
}

void
oxv_answer_doc(struct oxv_keeper *k, const struct oxv_reply *to, const struct oxv_writer *doc)
{
    struct oxv_view written;

    if (oxv_writer_finish(doc, &written) != OXV_OK) {
        oxv_answer_problem(k, to, "internal", "the answer is too long");
        return;
    }
    queue(k, to, OXV_MSG_DOC, written.len);
}

void
oxv_answer_with_proof(struct oxv_keeper *k, const struct oxv_reply *to,
                      const struct oxv_writer *doc, uint64_t index, size_t max_bytes)
{
    struct oxv_answers *a = k->answers;
    size_t room = max_bytes + PROOF_EXTRA_BYTES;
    size_t count = a->count;

    if (doc->failed || doc->len + room > OXV_WIRE_PAYLOAD_MAX_BYTES ||
        doc->len + room > sizeof a->arena - a->used) {
        oxv_answer_problem(k, to, "internal", "the answer with its proof is too long");
        return;
    }
    queue(k, to, OXV_MSG_DOC, doc->len);
    if (a->count > count) {
        a->items[count].proof_max = room;
        a->items[count].proof_index = index;
        a->used += room;
    }
}

void
oxv_answer_unlogged(struct oxv_keeper *k, const struct oxv_reply *to, const struct oxv_writer *doc)
{
    size_t count = k->answers->count;

    oxv_answer_doc(k, to, doc);
    if (k->answers->count > count) {
        k->answers->items[count].unlogged = true;
    }
}

void
oxv_answer_fields(struct oxv_keeper *k, const struct oxv_reply *to, uint8_t type,
                  const struct oxv_shape *shape, const void *payload)
{
    struct oxv_writer w = oxv_answer_begin(k);
    struct oxv_view written;

    oxv_fields_encode(&w, shape, payload);
    if (oxv_writer_finish(&w, &written) != OXV_OK) {
        oxv_frontend_break(k, to->frontend, "an answer does not fit its shape");
        return;
    }
    queue(k, to, type, written.len);
}

void
oxv_answer_fd(struct oxv_keeper *k, const struct oxv_reply *to, uint8_t type,
              const struct oxv_shape *shape, const void *payload, int fd)
{
    OXV_AUTO(oxv_closep) int owned = fd;
    size_t count = k->answers->count;

    oxv_answer_fields(k, to, type, shape, payload);
    if (k->answers->count > count) {
        k->answers->items[count].fd = oxv_fd_take(&owned);
    }
}

bool
oxv_answers_have_room(const struct oxv_keeper *k)
{
    const struct oxv_answers *a = k->answers;

    return a->count < ANSWERS_MAX && sizeof a->arena - a->used >= 2 * (size_t)DOC_MAX_BYTES;
}

void
oxv_answer_retry(struct oxv_keeper *k, const struct oxv_reply *to, const char *code,
                 uint64_t retry_after_s, const char *detail)
{
    struct oxv_msg_problem problem = { .code = oxv_view_text(code),
                                       .detail = oxv_view_text(detail),
                                       .retry_after_s = retry_after_s };

    oxv_answer_fields(k, to, OXV_MSG_PROBLEM, &oxv_msg_problem_shape, &problem);
}

void
oxv_answer_problem(struct oxv_keeper *k, const struct oxv_reply *to, const char *code,
                   const char *fmt, ...)
{
    struct oxv_err text = { 0 }; /* for its printable, bounded text */
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text.text, sizeof text.text, fmt, args); /* cutting a sentence is no error */
    va_end(args);
    for (char *p = text.text; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') { /* a cut may have split a character */
            *p = '?';
        }
    }
    oxv_answer_retry(k, to, code, 0, text.text);
}

const char *
oxv_code_of_status(enum oxv_status status)
{
    switch (status) {
    case OXV_E_USAGE:
    case OXV_E_FORMAT:
    case OXV_E_DENIED:
    case OXV_E_FORGED:
    case OXV_E_LIMIT:
        return "bad_request";
    case OXV_E_LOCKED:
        return "wrong_seal";
    case OXV_E_NOT_FOUND:
        return "not_found";
    case OXV_E_CONFLICT:
        return "conflict";
    case OXV_E_BUSY:
        return "busy";
    case OXV_E_TOKEN:
        return "token_unavailable";
    case OXV_OK:
    case OXV_E_IO:
    case OXV_E_STORE:
    case OXV_E_MEMORY:
    case OXV_E_INTERNAL:
        break;
    }
    return "internal";
}

void
oxv_answer_error(struct oxv_keeper *k, const struct oxv_reply *to, const struct oxv_err *err)
{
    oxv_answer_problem(k, to, oxv_code_of_status(err->status), "%s", err->text);
}

/* Is the channel still the one that asked? A closed one is never answered on behalf of another. */
static bool
is_current(const struct oxv_reply *to)
{
    return oxv_frontend_is_live(to->frontend, to->generation);
}

static void
send_one(struct oxv_keeper *k, struct answer *answer)
{
    OXV_AUTO(oxv_closep) int fd = oxv_fd_take(&answer->fd);

    if (!is_current(&answer->to)) {
        return;
    }
    if (fd >= 0) {
        oxv_frontend_send_fd(k, answer->to.frontend, answer->type, answer->to.id,
                             oxv_view(k->answers->arena + answer->offset, answer->len),
                             oxv_fd_take(&fd));
    } else {
        oxv_frontend_send(k, answer->to.frontend, answer->type, answer->to.id,
                          oxv_view(k->answers->arena + answer->offset, answer->len));
    }
}

/* Into the room behind the document. Where it cannot be made, a problem is answered instead. */
static void
add_proof(struct oxv_keeper *k, struct answer *answer)
{
    uint8_t proof[OXV_LOG_PROOF_MAX_BYTES];
    struct oxv_writer text = oxv_writer(proof, sizeof proof);
    struct oxv_writer w =
        oxv_writer(k->answers->arena + answer->offset, answer->len + answer->proof_max);
    enum oxv_status st = oxv_log_write_proof(k->log, answer->proof_index, &text);

    if (st == OXV_OK) {
        w.len = answer->len;
        oxv_doc_text(&w, "proof", oxv_view(proof, text.len));
        oxv_doc_end(&w);
        oxv_doc_end(&w);
    } else {
        struct oxv_msg_problem problem = {
            .code = oxv_view_text("internal"),
            .detail = oxv_view_text("the signature is in the log, but there was no memory for its "
                                    "proof: ask again"),
        };

        oxv_wipe(w.data, answer->len);
        oxv_fields_encode(&w, &oxv_msg_problem_shape, &problem);
        answer->type = OXV_MSG_PROBLEM;
    }
    if (w.failed) {
        oxv_bug("no room was kept for the proof");
    }
    answer->len = w.len;
}

/* Once the turn's entries are committed. */
static void
send_all(struct oxv_keeper *k)
{
    struct oxv_answers *a = k->answers;

    for (size_t i = 0; i < a->count; i++) {
        if (a->items[i].proof_max > 0 && is_current(&a->items[i].to)) {
            add_proof(k, &a->items[i]);
        }
        send_one(k, &a->items[i]);
    }
}

static void
send_failures(struct oxv_keeper *k)
{
    struct oxv_msg_problem problem = {
        .code = oxv_view_text("log_unavailable"),
        .detail = oxv_view_text("the access log cannot be written, so nothing is signed: look at "
                                "the service's messages, mend the disk and restart oxvaultd"),
    };
    uint8_t buffer[512];
    struct oxv_writer w = oxv_writer(buffer, sizeof buffer);
    struct oxv_view payload;
    struct oxv_answers *a = k->answers;

    oxv_fields_encode(&w, &oxv_msg_problem_shape, &problem);
    if (oxv_writer_finish(&w, &payload) != OXV_OK) {
        oxv_bug("a fixed problem does not fit");
    }
    for (size_t i = 0; i < a->count; i++) {
        oxv_closep(&a->items[i].fd);
        if (a->items[i].unlogged) {
            send_one(k, &a->items[i]);
        } else if (is_current(&a->items[i].to)) {
            oxv_frontend_send(k, a->items[i].to.frontend, OXV_MSG_PROBLEM, a->items[i].to.id,
                              payload);
        }
    }
    oxv_wipe(a->arena, a->used); /* signatures that must not leave */
}

void
oxv_answers_release(struct oxv_keeper *k)
{
    struct oxv_answers *a = k->answers;
    struct oxv_err err = { 0 };
    enum oxv_status st = OXV_OK;

    if (k->log != NULL && (oxv_log_waiting(k->log) > 0 || oxv_log_is_broken(k->log) ||
                           oxv_log_epoch_ends_us(k->log) <= k->now_boot_us)) {
        st = oxv_log_commit(k->log, &err);
        k->counters.commits = oxv_log_commits(k->log);
    }
    if (st != OXV_OK && !k->has_to_stop_answering) {
        (void)fprintf(stderr, "oxvault-keeper: signing stops: %s\n", err.text);
        k->has_to_stop_answering = true;
    }
    if (st != OXV_OK || k->entry_is_lost) {
        send_failures(k);
    } else {
        send_all(k);
    }
    if (k->log != NULL) {
        oxv_log_forget_proofs(k->log);
    }
    k->entry_is_lost = false;
    a->count = 0;
    a->used = 0;
}
