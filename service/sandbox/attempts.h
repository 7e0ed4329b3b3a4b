/* attempts: what the probe tries, and how the sandbox of each role must answer. */
#ifndef OXV_SERVICE_SANDBOX_ATTEMPTS_H
#define OXV_SERVICE_SANDBOX_ATTEMPTS_H

#include <stddef.h>
#include <sys/types.h>

#include "service/sandbox/filter.h"

enum oxv_answer {
    OXV_ANSWER_NONE = 0, /* not tried in this role */
    OXV_ANSWER_FILTER,   /* refused by seccomp, whatever the arguments; in use it kills */
    OXV_ANSWER_EPERM,    /* the same, but in use it gives EPERM */
    OXV_ANSWER_ENOSYS,   /* the filter says that this kernel has no such call */
    OXV_ANSWER_LANDLOCK, /* refused by Landlock: EACCES, or EXDEV for a rename */
    OXV_ANSWER_WORKS,    /* the role cannot do its work without it */
};

/* What was opened before the sandbox closed. */
struct oxv_scene {
    int vault_fd;    /* the vault directory, -1 in a frontend */
    int outside_fd;  /* the directory the vault is in, opened before: still no way out */
    int listener_fd; /* an abstract Unix socket with one peer waiting */
    int pair[2];     /* SOCK_SEQPACKET */
    pid_t parent;    /* the sandbox does not even let it ask */
};

struct oxv_attempt {
    const char *name;
    enum oxv_answer keeper;
    enum oxv_answer frontend;
    enum oxv_answer token;
    long (*run)(const struct oxv_scene *scene); /* -1 and errno, as a system call */
    int call; /* where run is NULL: this call, each argument -1 (harmless should it be let in) */
};

/* Those that need a scene or arguments, in the order of their output. */
const struct oxv_attempt *oxv_attempts(size_t *count);
/* Those of the token helper alone (token_attempts.c). */
const struct oxv_attempt *oxv_token_attempts(size_t *count);
/* System calls by their number alone (plain_calls.c). */
const struct oxv_attempt *oxv_plain_calls(size_t *count);

#endif
