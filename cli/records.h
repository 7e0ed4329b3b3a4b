/* records: what the commands on callers, admins, grants and connections have in common. */
#ifndef OXV_CLI_RECORDS_H
#define OXV_CLI_RECORDS_H

#include "cli/cli.h"
#include "cli/listing.h"

/* One list: where it is, and how it is shown. */
struct oxv_record_list {
    const char *path;   /* "/v1/admin/callers" */
    const char *member; /* "callers" */
    const char *const *titles;
    void (*add_row)(struct oxv_listing *table, struct oxv_view item);
    const char *nothing;
};

enum oxv_exit oxv_records_list(struct oxv_cli *cli, const struct oxv_record_list *list);

/*
 * One request about a named record; prints the answer with --json, else `done`, in which %s is the
 * name.
 */
struct oxv_record_act {
    const char *method;
    const char *before; /* of the path */
    const char *after;
    const char *done_before; /* what is said around the name */
    const char *done_after;
};
enum oxv_exit oxv_records_act(struct oxv_cli *cli, const struct oxv_record_act *act,
                              const char *name);

/* POSTs a body; prints the answer with --json, else `done`. */
enum oxv_exit oxv_records_post(struct oxv_cli *cli, const char *path, struct oxv_writer *body,
                               const char *done);

#endif
