/*
 * chain: the rules of the log line by line, for the writer's start and for verify: order, epochs,
 * keys, tree and commits. docs/log-format.md numbers the rules.
 */
#ifndef OXV_VAULT_LOG_CHAIN_H
#define OXV_VAULT_LOG_CHAIN_H

#include "vault/log/commit.h"
#include "vault/log/entry.h"
#include "vault/log/note.h"
#include "vault/log/tree.h"

struct oxv_chain;

/* What the vault's records are compared with (design.md 5.2). */
struct oxv_chain_cfg {
    uint64_t last;      /* newest change that was not undone, 0: none */
    uint64_t before;    /* the change before it */
    uint64_t last_done; /* newest change.done, 0: none */
    char last_digest[65];
    char before_digest[65];
};

/* A size whose root is wanted, as a checkpoint of that size was kept somewhere. */
struct oxv_chain_mark {
    uint64_t size;
    bool is_reached;
    uint8_t root[OXV_HASH_BYTES];
    size_t key_count; /* keys that can have signed it: two where an epoch ends, and the log key */
    uint8_t keys[3][OXV_NOTE_PUBLIC_KEY_BYTES];
};

/*
 * For a segment that is read alone, by one who knows neither the tree before it nor the epoch's
 * key: takes a commit that is well-formed and of the right epoch and size, to check its root and
 * signature later. False: not this one, the chain then refuses it.
 */
typedef bool (*oxv_chain_commit_fn)(void *ctx, const struct oxv_chain *chain,
                                    const struct oxv_commit *commit);

/* Plain data; may be copied to come back to a commit. The hasher is borrowed. */
struct oxv_chain {
    struct oxv_hasher *hasher;
    uint64_t first; /* entries before the tree's first: not 0 where a segment is read alone */
    oxv_chain_commit_fn later; /* NULL: commits are checked at once */
    void *later_ctx;
    char origin[OXV_LOG_ORIGIN_MAX_BYTES];
    uint8_t public_key[OXV_NOTE_PUBLIC_KEY_BYTES]; /* of the current epoch */
    uint8_t next_key[OXV_NOTE_PUBLIC_KEY_BYTES];
    bool has_log_key;
    uint8_t log_key[OXV_NOTE_PUBLIC_KEY_BYTES]; /* as the newest log.key names it */
    bool closing; /* log.epoch was the last entry: only the final commit may follow */
    uint64_t epoch;
    uint64_t epoch_size; /* size and root at which the epoch began */
    uint8_t epoch_root[OXV_HASH_BYTES];
    struct oxv_tree tree; /* of all entries so far */
    uint64_t committed;   /* size and root of the last commit */
    uint8_t root[OXV_HASH_BYTES];
    uint64_t commits;
    uint64_t segment_first; /* index of the first entry of the current segment */
    uint64_t first_time_us;
    uint64_t last_time_us;
    uint64_t last_mono_us;
    char boot[OXV_LOG_BOOT_CHARS + 1];
    struct oxv_chain_cfg cfg;
    struct oxv_chain_mark *marks; /* borrowed, by ascending size; NULL: none. Copies share them */
    size_t mark_count;
    size_t mark_next;
};

enum oxv_chain_place {
    OXV_CHAIN_IN_ENTRY,  /* the line is an entry, or neither */
    OXV_CHAIN_IN_COMMIT, /* the line is a commit line */
    OXV_CHAIN_IN_GROUP, /* some entry since the last commit, or the commit line; no telling which */
};

struct oxv_chain_fault {
    const char *code; /* stable, see docs/log-format.md */
    const char *reason;
    size_t offset; /* in the line */
    enum oxv_chain_place place;
};

/* An empty log under this key, whose name is the origin. */
void oxv_chain_init(struct oxv_chain *chain, struct oxv_hasher *hasher, const struct oxv_vkey *key);

/*
 * Takes the next line, without its newline.
 *   OXV_E_FORGED  it breaks a rule: *fault; the chain is then of no more use
 */
OXV_MUST_USE enum oxv_status oxv_chain_feed(struct oxv_chain *chain, struct oxv_view line,
                                            struct oxv_chain_fault *fault);

/* How many entries there are up to the last line taken. */
uint64_t oxv_chain_size(const struct oxv_chain *chain);

/* Were all entries committed? */
bool oxv_chain_is_committed(const struct oxv_chain *chain);

#endif
