/* keys: the table of JSON keys of an entry, for the emitter and the checker (entry.c). */
#ifndef OXV_VAULT_LOG_KEYS_H
#define OXV_VAULT_LOG_KEYS_H

#include "vault/log/entry.h"

#define OXV_ENTRY_HEX_MAX_CHARS 64u

enum oxv_entry_key_kind {
    OXV_ENTRY_KEY_U64,     /* absent where zero */
    OXV_ENTRY_KEY_COUNTER, /* always there, zero is a value */
    OXV_ENTRY_KEY_PLUS1,   /* the member is one more than the value, absent where zero */
    OXV_ENTRY_KEY_TEXT,    /* absent where empty */
    OXV_ENTRY_KEY_HEX,     /* lower-case, at most OXV_ENTRY_HEX_MAX_CHARS */
    OXV_ENTRY_KEY_PATH,    /* at most OXV_LOG_PATH_MAX_BYTES before escaping */
    OXV_ENTRY_KEY_BOOT,    /* always there, OXV_LOG_BOOT_CHARS of lower-case hex */
    OXV_ENTRY_KEY_TYPE,    /* always there */
    OXV_ENTRY_KEY_OUTCOME,
    OXV_ENTRY_KEY_TIME, /* always there */
};

struct oxv_entry_key {
    const char *token; /* the key with its quotes and colon */
    size_t token_len;
    enum oxv_entry_key_kind kind;
    size_t offset; /* of the member of struct oxv_entry_line */
};

/* In byte order of the names. */
extern const struct oxv_entry_key oxv_entry_keys[];
extern const size_t oxv_entry_key_count;

uint64_t oxv_entry_key_u64(const struct oxv_entry_key *key, const struct oxv_entry_line *line);
struct oxv_view oxv_entry_key_view(const struct oxv_entry_key *key,
                                   const struct oxv_entry_line *line);
void oxv_entry_key_set_u64(const struct oxv_entry_key *key, struct oxv_entry_line *line,
                           uint64_t value);
void oxv_entry_key_set_view(const struct oxv_entry_key *key, struct oxv_entry_line *line,
                            struct oxv_view value);

/* Only 0-9 and a-f? */
bool oxv_entry_is_lower_hex(struct oxv_view text);

#endif
