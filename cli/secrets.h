/* secrets: a connection's secrets on their way in, in locked memory all the way. */
#ifndef OXV_CLI_SECRETS_H
#define OXV_CLI_SECRETS_H

#include "base/secret.h"
#include "cli/cli.h"

#define OXV_SECRETS_FILE_MAX_BYTES 8192u
#define OXV_SECRET_TEXT_MAX_BYTES  1024u

struct oxv_secrets {
    struct oxv_secret *consumer;
    struct oxv_secret *token; /* empty where the connection has none */
};

void oxv_secrets_done(struct oxv_secrets *secrets);

/*
 * The text of a JSON string as a secret; *slot is reused where it has the right length, else
 * replaced. `json` lies in locked memory.
 *   OXV_E_FORMAT  no string      OXV_E_LIMIT  too long      OXV_E_MEMORY
 */
OXV_MUST_USE enum oxv_status oxv_secrets_take_string(struct oxv_view json,
                                                     struct oxv_secret **slot);

/*
 * Reads {"consumer_secret":"...","token_secret":"..."} strictly; token_secret may be missing.
 * Errors name member and byte, never the text.
 *   OXV_E_FORMAT, OXV_E_LIMIT, OXV_E_MEMORY  *out is untouched
 */
OXV_MUST_USE enum oxv_status oxv_secrets_parse(struct oxv_view json, struct oxv_secrets *out,
                                               struct oxv_err *err);

/* Public fields that a secret must not be, and what shape is expected. */
struct oxv_secrets_context {
    struct oxv_view consumer_key;
    struct oxv_view token_id;
    bool netsuite; /* 64 hex characters are expected */
};

/* What is odd about one secret; OK is 0. */
enum oxv_secret_oddity {
    OXV_SECRET_FINE = 0,
    OXV_SECRET_IS_CONSUMER_KEY, /* refused */
    OXV_SECRET_IS_TOKEN_ID,     /* refused */
    OXV_SECRET_HAS_SPACE,       /* white space at an end */
    OXV_SECRET_HAS_QUOTES,      /* quotes around it */
    OXV_SECRET_HAS_CONTROL,     /* a control character within */
    OXV_SECRET_NOT_HEX64,       /* NetSuite's are 64 hex characters */
};

enum oxv_secret_oddity oxv_secret_look(const struct oxv_secret *secret,
                                       const struct oxv_secrets_context *context);
/* Must it not be imported? */
bool oxv_secret_oddity_is_refused(enum oxv_secret_oddity oddity);
/* For people, as the end of a sentence that begins with "the consumer secret". */
const char *oxv_secret_oddity_text(enum oxv_secret_oddity oddity);

/* Looks at both: warns on stderr, or refuses. */
enum oxv_exit oxv_secrets_check(const struct oxv_cli *cli, const struct oxv_secrets *secrets,
                                const struct oxv_secrets_context *context);

/* From --secrets-file, --secrets-fd or two prompts. */
enum oxv_exit oxv_secrets_read(const struct oxv_cli *cli, struct oxv_secrets *out);

#endif
