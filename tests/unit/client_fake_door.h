/* client_fake_door: a service of the tests' own behind a Unix socket, in threads of this process.
 */
#ifndef OXV_TESTS_CLIENT_FAKE_DOOR_H
#define OXV_TESTS_CLIENT_FAKE_DOOR_H

#include "base/bytes.h"

struct fake_door;

/* One request as it came, and where its answer goes. */
struct fake_request {
    int fd;
    unsigned connection; /* from 1, as accepted */
    unsigned number;     /* on its connection, from 1 */
    struct oxv_view head;
    struct oxv_view body;
};

/* Answers; false closes the connection. Called from several threads at once. */
typedef bool (*fake_door_fn)(void *context, const struct fake_request *request);

struct fake_door *fake_door_start(const char *path, fake_door_fn fn, void *context);
/* Closes everything at once, as a killed service would, and waits for the threads. */
void fake_door_stop(struct fake_door *door);

/* Sends a whole answer with its Content-Length; `extra` are further header lines, each with CRLF.
 */
void fake_answer(const struct fake_request *request, const char *status, const char *extra,
                 const char *body);
/* Bytes as they are. */
void fake_send(const struct fake_request *request, const void *bytes, size_t len);

#endif
