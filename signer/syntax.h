/* syntax: where, and why, a text from outside breaks its grammar. */
#ifndef OXV_SIGNER_SYNTAX_H
#define OXV_SIGNER_SYNTAX_H

#include <stddef.h>

/* Filled only where a function fails. Holds nothing of the text itself. */
struct oxv_syntax_error {
    size_t offset;      /* of the first byte at fault, from the start of the text */
    const char *reason; /* static text for people, one line, no full stop */
};

#endif
