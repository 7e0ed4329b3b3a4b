/* token_list: the tokens that a service knows, as GET /v1/admin/tokens tells them. */
#ifndef OXV_CLI_TOKEN_LIST_H
#define OXV_CLI_TOKEN_LIST_H

#include "cli/cli.h"

/* The document {"tokens":[...]}, to be released with oxv_buffer_done(). */
enum oxv_exit oxv_token_list_get(struct oxv_cli *cli, struct oxv_buffer *out);

/*
 * The one of them that is meant: by id, by label, or by a URI that fits it alone. With `which` NULL
 * the only one there is. *token borrows the document.
 */
enum oxv_exit oxv_token_list_find(const struct oxv_cli *cli, struct oxv_view document,
                                  const char *which, struct oxv_view *token);

/* How many of the document fit the URI; *token is the last of them. */
size_t oxv_token_list_match(struct oxv_view document, const char *uri, struct oxv_view *token);

/* A token's state in plain words, with its PIN counter where that is not fine. Escaped. */
void oxv_token_list_print_state(const struct oxv_cli *cli, struct oxv_view token);

#endif
