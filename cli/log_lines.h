/* log_lines: reading the access log through the service: paths with filters, and whole lines. */
#ifndef OXV_CLI_LOG_LINES_H
#define OXV_CLI_LOG_LINES_H

#include "cli/cli.h"

#define OXV_LOG_IDLE_S           60u            /* a service that says nothing for so long hangs */
#define OXV_LOG_RECORD_MAX_BYTES (512u * 1024u) /* of any format */

/* Takes one line, without its newline; false ends the read, which is then no error. */
typedef bool (*oxv_log_line_fn)(void *context, struct oxv_view line);

/*
 * Appends "&<name>=<time>" where that option was given, read as people write times; `option` is its
 * name on the command line.
 */
enum oxv_exit oxv_log_write_time(const struct oxv_cli *cli, struct oxv_writer *w,
                                 const char *option, const char *name);
/* The path of a read with the filters of the command line, and a NUL. */
enum oxv_exit oxv_log_make_path(const struct oxv_cli *cli, const char *purpose, const char *format,
                                char *path, size_t size);

/* What a read is split into lines with; zeroed but for the function and its context. */
struct oxv_log_splitter {
    oxv_log_line_fn fn;
    void *context;
    struct oxv_buffer rest; /* what has no newline yet; oxv_buffer_done() at the end */
    bool stopped;           /* by the function */
    bool failed;            /* a line is too long, or memory is out */
};

/* False where the function said so, or a line is too long. */
bool oxv_log_split(struct oxv_log_splitter *splitter, struct oxv_view piece);

/*
 * Reads a path of the audit door to its end, a line at a time, in constant memory. `idle_s` 0: wait
 * for ever. Says what went wrong.
 */
enum oxv_exit oxv_log_read(struct oxv_cli *cli, const char *path, uint32_t idle_s,
                           oxv_log_line_fn fn, void *context);

#endif
