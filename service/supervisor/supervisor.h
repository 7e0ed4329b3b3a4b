/*
 * supervisor: the state of oxvaultd. It opens doors and sources, starts the keeper and, when the
 * keeper asks, frontends and token helpers; replaces a keeper that died; stops all. It never reads
 * a secret.
 */
#ifndef OXV_SERVICE_SUPERVISOR_SUPERVISOR_H
#define OXV_SERVICE_SUPERVISOR_SUPERVISOR_H

#include <limits.h>
#include <sys/types.h>

#include "service/supervisor/child.h"
#include "service/supervisor/doors.h"
#include "service/supervisor/identity.h"
#include "service/supervisor/options.h"
#include "service/wire/channel.h"

struct oxv_supervisor {
    const struct oxv_supervisor_options *options;
    struct oxv_identity identity;
    struct oxv_doors doors;
    char keeper_path[PATH_MAX];
    char frontend_path[PATH_MAX];
    char helper_path[PATH_MAX];
    int epoll_fd;
    int signal_fd;

    pid_t keeper_pid;            /* 0: there is none */
    unsigned keeper_number;      /* of the newest, from 1 */
    struct oxv_channel *control; /* NULL: there is none */
    bool keeper_ready;           /* this one */
    bool was_ready;              /* any: the line on stdout is out */
    uint64_t keeper_started_us;
    unsigned quick_deaths; /* of replacements, in a row */
    struct oxv_children children;

    bool stopping;
    int exit_code;
    /* Boot clock, 0: not set. */
    uint64_t start_keeper_us;
    uint64_t kill_keeper_us;
    uint64_t kill_frontends_us;
};

/* The exit code of a command or service for a status (design.md 10). */
int oxv_supervisor_exit_code(enum oxv_status status);

/* Opens everything that lasts: the epoll, the signals, the doors. */
OXV_MUST_USE enum oxv_status oxv_supervisor_open(struct oxv_supervisor *s,
                                                 const struct oxv_supervisor_options *options,
                                                 struct oxv_err *err);
/* Runs until it was stopped or the keeper refused; returns the exit code. */
int oxv_supervisor_run(struct oxv_supervisor *s);
/* Also after a failed or no open, if the struct was zeroed. */
void oxv_supervisor_close(struct oxv_supervisor *s);

/* Begins to end with this code: the keeper is asked to stop. The first code stays. */
void oxv_supervisor_stop(struct oxv_supervisor *s, int exit_code);

#endif
