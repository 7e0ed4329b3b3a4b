/* door: requests of the command at the service's doors, and what it reads from the answers. */
#ifndef OXV_CLI_DOOR_H
#define OXV_CLI_DOOR_H

#include "cli/cli.h"

#define OXV_DOOR_PATH_MAX_BYTES 6144u

enum oxv_cli_door { OXV_CLI_SIGN, OXV_CLI_ADMIN, OXV_CLI_AUDIT };

/* The client's options of the command. */
enum oxv_exit oxv_door_path(const struct oxv_cli *cli, enum oxv_cli_door door, char *out,
                            size_t out_size);

/*
 * One request at the admin door with the JSON `body` (may be empty). The answer's body, which is
 * good JSON, is in *answer, to be released with oxv_buffer_done(). Says on stderr what went wrong.
 */
enum oxv_exit oxv_door_call(struct oxv_cli *cli, const char *method, const char *path,
                            struct oxv_view body, struct oxv_buffer *answer);
/* Posts {} there; then prints the answer, or what was done in words. */
enum oxv_exit oxv_door_order(struct oxv_cli *cli, const char *path, const char *done);
/* At any door, telling instead of saying: *error is filled. */
enum oxv_client_code oxv_door_try(struct oxv_cli *cli, enum oxv_cli_door door,
                                  const struct oxv_http_request *request,
                                  struct oxv_http_answer *answer, struct oxv_client_error *error);
/* Says what went wrong. */
enum oxv_exit oxv_door_get(struct oxv_cli *cli, enum oxv_cli_door door, const char *path,
                           struct oxv_buffer *answer);

/*
 * All pages of a list: *out becomes {"<member>":[...]} with the items of every page. `path` may
 * have a query already.
 */
enum oxv_exit oxv_door_list(struct oxv_cli *cli, const char *path, const char *member,
                            struct oxv_buffer *out);

/* Appends one path segment or query value, percent-encoded. */
void oxv_door_encode(struct oxv_writer *w, const char *text);
/* A path from parts: "/v1/admin/connections/", name, "". Fails where it is too long. */
enum oxv_exit oxv_door_make_path(const struct oxv_cli *cli, char out[OXV_DOOR_PATH_MAX_BYTES],
                                 const char *before, const char *name, const char *after);

/* A member of a checked object as C text, "" where it is missing or no string; cut where long. */
void oxv_door_text(struct oxv_view object, const char *name, char *out, size_t out_size);
/* A member as a number; `otherwise` where it is missing. */
uint64_t oxv_door_integer(struct oxv_view object, const char *name, uint64_t otherwise);

/* Prints the answer as it stands, with a newline. */
void oxv_door_print_json(const struct oxv_buffer *answer);

#endif
