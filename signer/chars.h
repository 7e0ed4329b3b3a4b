/* chars: which bytes the grammars of RFC 3986 and RFC 9110 allow where. */
#ifndef OXV_SIGNER_CHARS_H
#define OXV_SIGNER_CHARS_H

#include <stdbool.h>
#include <stdint.h>

enum oxv_char_class {
    OXV_CHAR_UNRESERVED = 0x01, /* RFC 3986 2.3 */
    OXV_CHAR_PATH = 0x02,       /* RFC 3986 3.3: pchar without its escapes, and "/" */
    OXV_CHAR_QUERY = 0x04,      /* RFC 3986 3.4: the same and "?" */
    OXV_CHAR_HOST = 0x08,       /* A-Z a-z 0-9 - . _ */
    OXV_CHAR_TOKEN = 0x10,      /* RFC 9110 5.6.2 */
    OXV_CHAR_HEX = 0x20,        /* 0-9 A-F a-f */
};

extern const uint8_t oxv_char_classes[256];

static inline bool
oxv_char_is(uint8_t byte, enum oxv_char_class wanted)
{
    return (oxv_char_classes[byte] & wanted) != 0;
}

/* ASCII only; the C library's functions ask the locale. */
static inline uint8_t
oxv_char_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static inline uint8_t
oxv_char_upper(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z' ? (uint8_t)(byte - ('a' - 'A')) : byte;
}

#endif
