/*
 * token_passport: NetSuite's TokenPassport (SOAP) and its kin, the token password of SuiteAnalytics
 * Connect (netsuite.md 2 and 3). Both are signed with HMAC-SHA256 over the same base string.
 */
#ifndef OXV_SIGNER_TOKEN_PASSPORT_H
#define OXV_SIGNER_TOKEN_PASSPORT_H

#include "base/bytes.h"
#include "base/status.h"

#define OXV_TOKEN_PASSPORT_VERSION "2025_2" /* the last SOAP namespace of NetSuite */
#define OXV_CONNECT_USER           "TBA"

/* All borrowed. */
struct oxv_token_passport {
    struct oxv_view account; /* the realm form */
    struct oxv_view consumer_key;
    struct oxv_view token;
    struct oxv_view nonce;
    uint64_t timestamp; /* seconds since 1970 */
};

/* account & consumer key & token & nonce & timestamp, each percent-encoded. */
void oxv_token_passport_write_base(struct oxv_writer *w, const struct oxv_token_passport *passport);

/* 20YY_1 or 20YY_2? */
bool oxv_token_passport_version_valid(struct oxv_view version);

/*
 * The SOAP header element, self-contained: it declares both its prefixes. `signature` is raw (not
 * base64). Makes the writer fail where the version is not valid or a value cannot stand in XML.
 */
void oxv_token_passport_write_xml(struct oxv_writer *w, const struct oxv_token_passport *passport,
                                  struct oxv_view version, struct oxv_view signature);

/* The password for user OXV_CONNECT_USER: the base string & base64(signature) & HMAC-SHA256. */
void oxv_connect_password_write(struct oxv_writer *w, const struct oxv_token_passport *passport,
                                struct oxv_view signature);

#endif
