/* import_line: one line of `connection import` (JSON Lines), which has secrets in it. */
#ifndef OXV_CLI_IMPORT_LINE_H
#define OXV_CLI_IMPORT_LINE_H

#include "cli/connection.h"
#include "cli/secrets.h"

#define OXV_IMPORT_TEXT_BYTES 16384u

/* Kept from line to line, so that its memory is used again. Zeroed before the first. */
struct oxv_import_line {
    struct oxv_connection_fields fields;
    struct oxv_connection_draft draft;
    struct oxv_secrets secrets;
    enum oxv_secret_oddity oddity;          /* of the first secret that has one */
    uint8_t text[OXV_IMPORT_TEXT_BYTES];    /* the public fields, unescaped */
    uint8_t origins[OXV_ORIGINS_MAX_BYTES]; /* LIST */
};

/*
 * Reads one JSON object strictly into *line: the draft is checked, the secrets are there. *line is
 * good until the next call.
 *   OXV_E_FORMAT  not good JSON, an unknown member, another type, a secret that is the token id
 *   OXV_E_USAGE   a field breaks a rule of connections
 *   OXV_E_LIMIT, OXV_E_MEMORY
 * *err says what and, for a field, which; it repeats nothing of the line.
 */
OXV_MUST_USE enum oxv_status
oxv_import_line_read(struct oxv_view json, struct oxv_import_line *line, struct oxv_err *err);
void oxv_import_line_done(struct oxv_import_line *line);

#endif
