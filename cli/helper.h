/* helper: runs oxvault-token, for init and to look at tokens without a service. */
#ifndef OXV_CLI_HELPER_H
#define OXV_CLI_HELPER_H

#include <sys/types.h>

#include "cli/cli.h"

/* A helper with a channel. Zeroed (channel -1) before its start. */
struct oxv_helper_process {
    pid_t pid;   /* 0: none */
    int channel; /* our end, for whoever speaks to it; -1: none */
};

/* Starts it for requests over its channel. The command has --libexec and --users. */
enum oxv_exit oxv_helper_start(const struct oxv_cli *cli, struct oxv_helper_process *out);
/* For OXV_AUTO: closes the channel; a helper that does not end for 2 s then is killed. */
void oxv_helper_end(struct oxv_helper_process *helper);

/*
 * Runs it to its end with these arguments (after the program's name, ended by NULL) and collects
 * what it prints, which is good JSON. `pin_fd` (-1: none) becomes its descriptor 3. Its exit code
 * is passed on; it says on stderr what went wrong.
 */
enum oxv_exit oxv_helper_run(const struct oxv_cli *cli, const char *const *arguments, int pin_fd,
                             struct oxv_buffer *answer);

#endif
