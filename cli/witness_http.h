/*
 * witness_http: the two requests of C2SP tlog-witness over HTTP/1.1, for a witness's directory.
 *
 *   POST /add-checkpoint        a request (vault/log/witness.h) -> cosignature lines
 *   GET /<hash>/checkpoint      the note of that log that was cosigned last
 *
 * One thread; OXV_WITNESS_PEERS_MAX connections at a time, one request each, with a deadline.
 */
#ifndef OXV_CLI_WITNESS_HTTP_H
#define OXV_CLI_WITNESS_HTTP_H

#include "cli/witness_dir.h"

#define OXV_WITNESS_PEERS_MAX 32u

/*
 * Serves until SIGTERM or SIGINT, which it takes; OXV_OK then. `listen_fd` is a listening stream
 * socket that does not block, borrowed.
 *   OXV_E_IO, OXV_E_MEMORY  it cannot go on
 */
OXV_MUST_USE enum oxv_status oxv_witness_serve(int listen_fd, struct oxv_witness_dir *dir,
                                               struct oxv_err *err);

/*
 * Answers one whole request; `answer` takes the response with its head. What was decided is said
 * on stderr, one line.
 */
struct oxv_http_head;
void oxv_witness_answer(struct oxv_witness_dir *dir, const struct oxv_http_head *head,
                        struct oxv_view body, struct oxv_writer *answer);
/* The same for a request that cannot be read; the text has no newline. */
void oxv_witness_refuse(unsigned code, const char *text, struct oxv_writer *answer);

#endif
