/* connection_box: a connection's secrets, from file, descriptor or prompt to the box's payload. */
#ifndef OXV_CLI_CONNECTION_BOX_H
#define OXV_CLI_CONNECTION_BOX_H

#include "cli/connection.h"
#include "cli/key_place.h"
#include "cli/secrets.h"

/* All that is secret, released together. Zeroed before its use. */
struct oxv_connection_held {
    struct oxv_secrets pair;
    struct oxv_secret *rsa;
    struct oxv_secret *encoded;
    struct oxv_secret *room;
    struct oxv_secret *key_room;
    struct oxv_secret *parts_room;
};
void oxv_connection_held_done(struct oxv_connection_held *held);

/* Asks for the secrets of this draft, or reads --secrets-file, --secrets-fd, --private-key-file,
 * and refuses what cannot be right. The command has those options. */
enum oxv_exit oxv_connection_read_secrets(const struct oxv_cli *cli,
                                          const struct oxv_connection_draft *draft,
                                          struct oxv_connection_held *held);

/* The same of an HMAC method, without --private-key-file. */
enum oxv_exit oxv_connection_read_pair(const struct oxv_cli *cli,
                                       const struct oxv_connection_draft *draft,
                                       struct oxv_connection_held *held);

/* Makes of them what goes into the box; *payload borrows from *held. */
enum oxv_exit oxv_connection_fill(const struct oxv_cli *cli,
                                  const struct oxv_connection_draft *draft,
                                  const struct oxv_key_place *place,
                                  struct oxv_connection_held *held,
                                  struct oxv_box_connection *payload);

/* Is --keep-secrets given with --in-token? Then the vault can be made to sign without the token. */
void oxv_connection_warn_kept(const struct oxv_cli *cli, const struct oxv_key_place *place);

/* Where the key is now, as words after "its key is ". */
const char *oxv_key_place_words(const struct oxv_key_place *place);

#endif
