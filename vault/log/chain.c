#include "vault/log/chain.h"

#include "base/text.h"

void
oxv_chain_init(struct oxv_chain *chain, struct oxv_hasher *hasher, const struct oxv_vkey *key)
{
    *chain = (struct oxv_chain){ .hasher = hasher };
    memcpy(chain->origin, key->name, sizeof chain->origin);
    memcpy(chain->public_key, key->public_key, sizeof chain->public_key);
    oxv_tree_root(&chain->tree, hasher, chain->epoch_root);
    memcpy(chain->root, chain->epoch_root, sizeof chain->root);
}

uint64_t
oxv_chain_size(const struct oxv_chain *chain)
{
    return chain->first + chain->tree.size;
}

bool
oxv_chain_is_committed(const struct oxv_chain *chain)
{
    return chain->committed == oxv_chain_size(chain);
}

static enum oxv_status
refuse(struct oxv_chain_fault *fault, const char *code, const char *reason)
{
    *fault = (struct oxv_chain_fault){ .code = code, .reason = reason };
    return OXV_E_FORGED;
}

static enum oxv_status
check_order(const struct oxv_chain *chain, const struct oxv_entry_line *line,
            struct oxv_chain_fault *fault)
{
    bool same_boot = oxv_view_is(line->boot, chain->boot);

    if (line->seq != oxv_chain_size(chain)) {
        return refuse(fault, "bad_order", "seq is not the number that must come next");
    }
    if (line->epoch != chain->epoch) {
        return refuse(fault, "bad_epoch", "epoch is not the current one");
    }
    if (line->time_us < chain->last_time_us) {
        return refuse(fault, "bad_order", "time goes back");
    }
    if (same_boot && line->mono_us < chain->last_mono_us) {
        return refuse(fault, "bad_order", "mono_us goes back");
    }
    if (oxv_chain_size(chain) >= chain->segment_first + OXV_LOG_SEGMENT_ENTRIES) {
        return refuse(fault, "bad_segment", "the segment has more entries than it may");
    }
    return OXV_OK;
}

static enum oxv_status
check_genesis(const struct oxv_chain *chain, const struct oxv_entry_line *line,
              struct oxv_chain_fault *fault)
{
    bool is_first = oxv_chain_size(chain) == 0;

    if (is_first != (line->entry.type == OXV_ENTRY_LOG_GENESIS)) {
        return refuse(fault, "bad_genesis", "log.genesis must be entry 0 and no other");
    }
    if (is_first && !oxv_view_is(line->entry.origin, chain->origin)) {
        return refuse(fault, "wrong_origin", "entry 0 names another origin than the key");
    }
    return OXV_OK;
}

static enum oxv_status
check_epoch_end(struct oxv_chain *chain, const struct oxv_entry_line *line,
                struct oxv_chain_fault *fault)
{
    struct oxv_vkey next;

    if (chain->closing) {
        return refuse(fault, "bad_epoch", "log.epoch is not the last entry of its epoch");
    }
    if ((line->entry.type == OXV_ENTRY_LOG_EPOCH) != (line->entry.next_key.len > 0)) {
        return refuse(fault, "bad_epoch", "next_key belongs to log.epoch, and to nothing else");
    }
    if (line->entry.type != OXV_ENTRY_LOG_EPOCH) {
        return OXV_OK;
    }
    if (oxv_vkey_parse(line->entry.next_key, &next, NULL) != OXV_OK ||
        strcmp(next.name, chain->origin) != 0) {
        return refuse(fault, "bad_epoch", "next_key is no verifier key of this log");
    }
    if (memcmp(next.public_key, chain->public_key, sizeof next.public_key) == 0) {
        return refuse(fault, "bad_epoch", "next_key is the key of the epoch that ends");
    }
    memcpy(chain->next_key, next.public_key, sizeof chain->next_key);
    chain->closing = true;
    return OXV_OK;
}

/* A log key is none of the epochs'; it signs checkpoints only. */
static enum oxv_status
check_log_key(struct oxv_chain *chain, const struct oxv_entry *entry, struct oxv_chain_fault *fault)
{
    struct oxv_vkey key;

    if ((entry->type == OXV_ENTRY_LOG_KEY) != (entry->log_key.len > 0)) {
        return refuse(fault, "bad_log_key", "log_key belongs to log.key, and to nothing else");
    }
    if (entry->type != OXV_ENTRY_LOG_KEY) {
        return OXV_OK;
    }
    if (oxv_vkey_parse(entry->log_key, &key, NULL) != OXV_OK ||
        strcmp(key.name, chain->origin) != 0) {
        return refuse(fault, "bad_log_key", "log_key is no verifier key of this log");
    }
    if (memcmp(key.public_key, chain->public_key, sizeof key.public_key) == 0) {
        return refuse(fault, "bad_log_key", "log_key is the key of an epoch");
    }
    memcpy(chain->log_key, key.public_key, sizeof chain->log_key);
    chain->has_log_key = true;
    return OXV_OK;
}

/* What waited in log/pending was not authenticated there. */
static enum oxv_status
check_waited(const struct oxv_entry *entry, struct oxv_chain_fault *fault)
{
    if (entry->unsigned_since.len > 0 && !oxv_entry_may_wait(entry)) {
        return refuse(fault, "bad_pending", "unsigned_since in an entry that cannot have waited");
    }
    return OXV_OK;
}

static void
track_change(struct oxv_chain_cfg *cfg, const struct oxv_entry *entry)
{
    if (entry->cfg == 0 || entry->unsigned_since.len > 0) {
        return;
    }
    if (entry->type == OXV_ENTRY_CHANGE_DONE) {
        cfg->last_done = entry->cfg;
        return;
    }
    if (entry->type == OXV_ENTRY_CHANGE_UNDONE) {
        if (cfg->last == entry->cfg) {
            cfg->last = cfg->before;
            memcpy(cfg->last_digest, cfg->before_digest, sizeof cfg->last_digest);
        }
        return;
    }
    if (entry->type == OXV_ENTRY_LOG_GENESIS) {
        cfg->last_done = entry->cfg; /* init is done or there is no vault to open */
    }
    if (cfg->last != entry->cfg) { /* one change may be told by many entries */
        cfg->before = cfg->last;
        memcpy(cfg->before_digest, cfg->last_digest, sizeof cfg->before_digest);
    }
    cfg->last = entry->cfg;
    if (oxv_text_copy(entry->cfg_digest, cfg->last_digest, sizeof cfg->last_digest) != OXV_OK) {
        oxv_bug("a digest that was not checked");
    }
}

/* Fills in the marks of the size that the tree has now. */
static void
reach_marks(struct oxv_chain *chain)
{
    while (chain->mark_next < chain->mark_count &&
           chain->marks[chain->mark_next].size <= chain->tree.size) {
        struct oxv_chain_mark *mark = &chain->marks[chain->mark_next++];

        mark->is_reached = mark->size == chain->tree.size; /* not so for an empty log */
        mark->key_count = chain->closing ? 2 : 1;
        memcpy(mark->keys[0], chain->public_key, sizeof mark->keys[0]);
        memcpy(mark->keys[1], chain->next_key, sizeof mark->keys[1]);
        if (chain->has_log_key) {
            memcpy(mark->keys[mark->key_count++], chain->log_key, sizeof mark->keys[0]);
        }
        oxv_tree_root(&chain->tree, chain->hasher, mark->root);
    }
}

static enum oxv_status
feed_entry(struct oxv_chain *chain, struct oxv_view text, struct oxv_chain_fault *fault)
{
    struct oxv_entry_line line;
    struct oxv_entry_fault form;

    if (oxv_entry_check(text, &line, &form) != OXV_OK) {
        *fault = (struct oxv_chain_fault){ .code = "bad_entry",
                                           .reason = form.reason,
                                           .offset = form.offset };
        return OXV_E_FORGED;
    }
    enum oxv_status st = check_order(chain, &line, fault);

    if (st == OXV_OK) {
        st = check_genesis(chain, &line, fault);
    }
    if (st == OXV_OK) {
        st = check_epoch_end(chain, &line, fault);
    }
    if (st == OXV_OK) {
        st = check_log_key(chain, &line.entry, fault);
    }
    if (st == OXV_OK) {
        st = check_waited(&line.entry, fault);
    }
    if (st != OXV_OK) {
        return st;
    }
    oxv_tree_add(&chain->tree, chain->hasher, text);
    reach_marks(chain);
    chain->first_time_us = line.seq == 0 ? line.time_us : chain->first_time_us;
    chain->last_time_us = line.time_us;
    chain->last_mono_us = line.mono_us;
    track_change(&chain->cfg, &line.entry);
    return oxv_text_copy(line.boot, chain->boot, sizeof chain->boot);
}

static enum oxv_status
refuse_group(struct oxv_chain_fault *fault, bool is_signed)
{
    *fault = (struct oxv_chain_fault){
        .code = "root_mismatch",
        .reason = is_signed ? "an entry was changed: the commit line is genuine and says so"
                            : "the entries are not those that the commit line was made for",
        .place = OXV_CHAIN_IN_GROUP,
    };
    return OXV_E_FORGED;
}

/* Names the first byte of the line that is not what it must be. */
static enum oxv_status
refuse_commit(const struct oxv_chain *chain, struct oxv_view line, struct oxv_chain_fault *fault,
              const char *code, const char *reason)
{
    struct oxv_commit expected = { .epoch = chain->epoch, .size = oxv_chain_size(chain) };

    oxv_tree_root(&chain->tree, chain->hasher, expected.root);
    *fault = (struct oxv_chain_fault){
        .code = code,
        .reason = reason,
        .offset = oxv_commit_compare(line, &expected).first,
        .place = OXV_CHAIN_IN_COMMIT,
    };
    return OXV_E_FORGED;
}

static enum oxv_status
check_commit(const struct oxv_chain *chain, const struct oxv_commit *commit, struct oxv_view line,
             struct oxv_chain_fault *fault)
{
    struct oxv_checkpoint stated = { .origin = chain->origin, .size = commit->size };
    uint8_t root[OXV_HASH_BYTES];

    if (commit->epoch != chain->epoch) {
        return refuse_commit(chain, line, fault, "bad_epoch", "a commit of another epoch");
    }
    if (commit->size != oxv_chain_size(chain)) {
        return refuse_commit(chain, line, fault, "bad_commit", "a commit of another size");
    }
    if (commit->size == chain->committed) {
        return refuse_commit(chain, line, fault, "bad_commit", "a commit of nothing new");
    }
    if (chain->later != NULL) {
        return chain->later(chain->later_ctx, chain, commit)
                   ? OXV_OK
                   : refuse_commit(chain, line, fault, "bad_commit", "a commit nobody takes");
    }
    memcpy(stated.root, commit->root, sizeof stated.root);
    oxv_tree_root(&chain->tree, chain->hasher, root);
    if (memcmp(root, commit->root, sizeof root) != 0) {
        return refuse_group(fault,
                            oxv_checkpoint_verify(&stated, chain->public_key, commit->signature));
    }
    if (!oxv_checkpoint_verify(&stated, chain->public_key, commit->signature)) {
        return refuse_commit(chain, line, fault, "bad_signature",
                             "the commit is not signed by the epoch's key");
    }
    return OXV_OK;
}

/* The final commit of an epoch was taken. */
static void
begin_epoch(struct oxv_chain *chain)
{
    chain->closing = false;
    chain->epoch++;
    chain->epoch_size = chain->committed;
    memcpy(chain->epoch_root, chain->root, sizeof chain->epoch_root);
    memcpy(chain->public_key, chain->next_key, sizeof chain->public_key);
}

static enum oxv_status
feed_commit(struct oxv_chain *chain, struct oxv_view line, struct oxv_chain_fault *fault)
{
    struct oxv_commit commit;

    if (!oxv_commit_parse(line, &commit)) {
        return refuse_commit(chain, line, fault, "bad_commit", "a malformed commit line");
    }
    enum oxv_status st = check_commit(chain, &commit, line, fault);

    if (st != OXV_OK) {
        return st;
    }
    chain->committed = commit.size;
    memcpy(chain->root, commit.root, sizeof chain->root);
    chain->commits++;
    if (chain->closing) {
        begin_epoch(chain);
    }
    return OXV_OK;
}

enum oxv_status
oxv_chain_feed(struct oxv_chain *chain, struct oxv_view line, struct oxv_chain_fault *fault)
{
    return oxv_commit_is_line(line) ? feed_commit(chain, line, fault)
                                    : feed_entry(chain, line, fault);
}
