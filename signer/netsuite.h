/* netsuite: an account id in its two forms, and the origins derived from it (netsuite.md 1.4). */
#ifndef OXV_SIGNER_NETSUITE_H
#define OXV_SIGNER_NETSUITE_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/syntax.h"

#define OXV_ACCOUNT_ID_MAX_BYTES 32u
#define OXV_ACCOUNT_ORIGINS      3u
/* "https://", account, ".suitetalk.api.netsuite.com" */
#define OXV_ACCOUNT_ORIGIN_MAX_BYTES (8u + OXV_ACCOUNT_ID_MAX_BYTES + 27u)

/* NUL-terminated. */
struct oxv_account {
    char realm[OXV_ACCOUNT_ID_MAX_BYTES + 1]; /* 1234567_SB1: realm and base strings */
    char host[OXV_ACCOUNT_ID_MAX_BYTES + 1];  /* 1234567-sb1: host names */
};

/*
 * Accepts [A-Za-z0-9]+([_-][A-Za-z0-9]+)? in either case. `where` may be NULL.
 *   OXV_E_FORMAT  anything else: *where names the byte; *out is untouched
 *   OXV_E_LIMIT   more than OXV_ACCOUNT_ID_MAX_BYTES, likewise
 */
OXV_MUST_USE enum oxv_status oxv_account_parse(struct oxv_view text, struct oxv_account *out,
                                               struct oxv_syntax_error *where);

/* Origin `n` of OXV_ACCOUNT_ORIGINS: suitetalk, restlets, app. In normal form. */
void oxv_account_write_origin(struct oxv_writer *w, const struct oxv_account *account, size_t n);

#endif
