/*
 * answers: what waits for the turn's log commit. Nothing goes to a channel before; where the commit
 * fails, every one of them becomes `log_unavailable`.
 */
#ifndef OXV_SERVICE_KEEPER_ANSWERS_H
#define OXV_SERVICE_KEEPER_ANSWERS_H

#include "service/keeper/keeper.h"

/* Where an answer goes: good only while the channel has this generation. */
struct oxv_reply {
    struct oxv_frontend *frontend;
    uint64_t generation;
    uint64_t id;
};

OXV_MUST_USE enum oxv_status oxv_answers_new(struct oxv_answers **out);
void oxv_answers_free(struct oxv_answers *answers);

/* A writer for one document; hand it to oxv_answer_doc() before the next one is begun. */
struct oxv_writer oxv_answer_begin(struct oxv_keeper *k);
/* Queues the document. One that did not fit becomes `internal`. */
void oxv_answer_doc(struct oxv_keeper *k, const struct oxv_reply *to, const struct oxv_writer *doc);
/*
 * The same for a signature whose entry oxv_log_want_proof() was called for: its document ends
 * within `log`, an object of the top one, where the text `proof` follows once the entry is
 * committed; both are then ended. `max_bytes` is the proof's, as that call said.
 */
void oxv_answer_with_proof(struct oxv_keeper *k, const struct oxv_reply *to,
                           const struct oxv_writer *doc, uint64_t index, size_t max_bytes);
/* The same for what needs no log entry: it is sent even where the log is broken. */
void oxv_answer_unlogged(struct oxv_keeper *k, const struct oxv_reply *to,
                         const struct oxv_writer *doc);
/* Queues a message with a descriptor, which it takes. */
void oxv_answer_fd(struct oxv_keeper *k, const struct oxv_reply *to, uint8_t type,
                   const struct oxv_shape *shape, const void *payload, int fd);
/* Is there room for another request's answer in this turn? */
bool oxv_answers_have_room(const struct oxv_keeper *k);
/* The stable code (design 8) for a status of the layers below. */
const char *oxv_code_of_status(enum oxv_status status);
/* Queues a message that is no document. */
void oxv_answer_fields(struct oxv_keeper *k, const struct oxv_reply *to, uint8_t type,
                       const struct oxv_shape *shape, const void *payload);
void oxv_answer_problem(struct oxv_keeper *k, const struct oxv_reply *to, const char *code,
                        const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void oxv_answer_retry(struct oxv_keeper *k, const struct oxv_reply *to, const char *code,
                      uint64_t retry_after_s, const char *detail);
/* The usual answer to an error of the layers below: code by status, detail from err. */
void oxv_answer_error(struct oxv_keeper *k, const struct oxv_reply *to, const struct oxv_err *err);

/*
 * The end of a turn: commits the log and moves the answers to their channels. With a failed commit
 * they are dropped and replaced.
 */
void oxv_answers_release(struct oxv_keeper *k);

OXV_DEFINE_OWNER(oxv_answers);

#endif
