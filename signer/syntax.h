/* syntax: where, and why, a text from outside breaks its grammar. */
#ifndef OXV_SIGNER_SYNTAX_H
#define OXV_SIGNER_SYNTAX_H

#include <stddef.h>

#include "base/status.h"

/* Filled only where a function fails. Holds nothing of the text itself. */
struct oxv_syntax_error {
    size_t offset;      /* of the first byte at fault, from the start of the text */
    const char *reason; /* static text for people, one line, no full stop */
};

/* Fills *where (may be NULL) and returns `status`, so a caller can `return oxv_refuse(...)`. */
static inline enum oxv_status
oxv_refuse(struct oxv_syntax_error *where, enum oxv_status status, size_t offset,
           const char *reason)
{
    if (where != NULL) {
        *where = (struct oxv_syntax_error){ .offset = offset, .reason = reason };
    }
    return status;
}

#endif
