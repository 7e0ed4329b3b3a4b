/* sealed_box: the command's side of everything secret that crosses a door (design.md 5.5). */
#ifndef OXV_CLI_SEALED_BOX_H
#define OXV_CLI_SEALED_BOX_H

#include "cli/cli.h"
#include "vault/box.h"

/* The service's public key and whose it is. */
struct oxv_vault_pub {
    uint8_t vault_id[OXV_ID_BYTES];
    uint8_t key[OXV_BOX_KEY_BYTES];
};

/* What goes into one box. */
struct oxv_box_content {
    enum oxv_box_purpose purpose;
    const struct oxv_shape *shape;
    const void *payload;
    const char *path; /* for oxv_box_post(): where it goes */
    const char *name; /* and what stands beside it in the body; may be NULL */
};

/*
 * Reads RUN/vault.pub. The key counts only from this file, never from a door. Neither it nor RUN is
 * a symbolic link or writable by others; each belongs to root, to this user, to the user oxvault or
 * to the one that --service-uid names, which every command that comes here must have.
 */
enum oxv_exit oxv_vault_pub_load(const struct oxv_cli *cli, struct oxv_vault_pub *out);

/* What the same file says of the token of this row. *found is false where that is nothing. */
enum oxv_exit oxv_vault_pub_token(const struct oxv_cli *cli, uint64_t id, struct oxv_pub_token *out,
                                  bool *found);

/* A one-time challenge of the service, whose vault must be that of *pub. */
enum oxv_exit oxv_box_challenge(struct oxv_cli *cli, const struct oxv_vault_pub *pub,
                                uint8_t out[OXV_CHALLENGE_BYTES]);
/* The same, read from an answer of the service. */
enum oxv_exit oxv_box_read_challenge(const struct oxv_cli *cli, struct oxv_view answer,
                                     uint8_t out[OXV_CHALLENGE_BYTES]);

/* Appends `"box":"<base64>"` to a JSON object in the making. */
enum oxv_exit oxv_box_write(const struct oxv_cli *cli, const struct oxv_vault_pub *pub,
                            const uint8_t challenge[OXV_CHALLENGE_BYTES],
                            const struct oxv_box_content *content, struct oxv_writer *json);

/*
 * Challenge, box, POST: the body is {"box":...}, with a name {"name":...,"box":...}. The answer is
 * in *answer, and *error says what the service had against it; nothing is said on stderr where it
 * is the service that refuses.
 */
enum oxv_exit oxv_box_post(struct oxv_cli *cli, const struct oxv_box_content *content,
                           struct oxv_buffer *answer, struct oxv_client_error *error);

#endif
