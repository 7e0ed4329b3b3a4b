/*
 * token_uri: RFC 7512 URIs as a user gives them. The token helper has the last word on them; here
 * is refused what must not stand on a command line, and told which known token is meant.
 */
#ifndef OXV_CLI_TOKEN_URI_H
#define OXV_CLI_TOKEN_URI_H

#include "cli/cli.h"

/* Does the text begin as such a URI? */
bool oxv_token_uri_begins(const char *text);

/*
 * Begins with pkcs11:, is plain ASCII and not too long, and has neither a PIN (pin-value,
 * pin-source) nor a module in it. Nothing of the URI is repeated where it may hold a PIN.
 */
enum oxv_exit oxv_token_uri_check(const struct oxv_cli *cli, const char *text);

/* Has `known` all attributes of `wanted`, with the same values once they are decoded? */
bool oxv_token_uri_fits(struct oxv_view wanted, struct oxv_view known);

/* The decoded value of the attribute token, "" where there is none; cut where it is long. */
void oxv_token_uri_label(struct oxv_view uri, char *out, size_t out_size);

#endif
