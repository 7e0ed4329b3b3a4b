/* log_head: the newest checkpoint of the running service's log, and all entries up to it. */
#ifndef OXV_CLI_LOG_HEAD_H
#define OXV_CLI_LOG_HEAD_H

#include "cli/cli.h"
#include "cli/log_lines.h"
#include "vault/log/checkpoint.h"

struct oxv_log_head {
    char note[OXV_NOTE_MAX_BYTES + 1];
    struct oxv_saved_head said; /* what the note says */
};

/* Asks the service. The question is an entry of the log. */
enum oxv_exit oxv_log_ask_head(struct oxv_cli *cli, struct oxv_log_head *head);

/* The same from a file: a checkpoint that was kept. */
enum oxv_exit oxv_log_read_head(const struct oxv_cli *cli, const char *path,
                                struct oxv_log_head *head);

/*
 * Calls fn for each entry that the head covers, with a progress bar, and compares: other entries
 * than those of the checkpoint end with OXV_EXIT_VERIFY. Where fn returns false that is the end;
 * the caller knows why.
 */
enum oxv_exit oxv_log_read_all(struct oxv_cli *cli, const struct oxv_log_head *head,
                               struct oxv_hasher *hasher, oxv_log_line_fn fn, void *context);

#endif
