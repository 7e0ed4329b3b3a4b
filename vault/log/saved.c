#include "vault/log/saved.h"

#include "base/text.h"

/* Keeps the order by size. */
static void
insert(struct oxv_saved *saved, size_t number, const struct oxv_note *note,
       const struct oxv_saved_head *head)
{
    size_t at = saved->count++;

    for (; at > 0 && saved->marks[at - 1].size > head->head.size; at--) {
        saved->marks[at] = saved->marks[at - 1];
        saved->heads[at] = saved->heads[at - 1];
        saved->notes[at] = saved->notes[at - 1];
        saved->numbers[at] = saved->numbers[at - 1];
        saved->is_foreign[at] = saved->is_foreign[at - 1];
    }
    saved->marks[at] = (struct oxv_chain_mark){ .size = head->head.size };
    saved->heads[at] = *head;
    saved->notes[at] = *note;
    saved->numbers[at] = number;
}

enum oxv_status
oxv_saved_parse(struct oxv_saved *saved, const struct oxv_log_verify_cfg *cfg, const char *origin,
                struct oxv_err *err)
{
    if (cfg->saved_count > OXV_LOG_SAVED_MAX) {
        return oxv_fail(err, OXV_E_USAGE, "more than %u saved checkpoints", OXV_LOG_SAVED_MAX);
    }
    *saved = (struct oxv_saved){ .count = 0 };
    for (size_t i = 0; i < cfg->saved_count; i++) {
        struct oxv_note note;
        struct oxv_saved_head head;
        enum oxv_status st = oxv_note_parse(cfg->saved[i], &note, err);

        if (st == OXV_OK) {
            st = oxv_checkpoint_parse(note.text, &head, err);
        }
        if (st == OXV_OK && head.head.size == 0) {
            st = oxv_fail(err, OXV_E_USAGE, "a checkpoint of an empty log says nothing");
        }
        if (st != OXV_OK) {
            oxv_err_prefix(err, "saved checkpoint %zu", i + 1);
            return OXV_E_USAGE;
        }
        insert(saved, i + 1, &note, &head);
    }
    for (size_t i = 0; i < saved->count; i++) {
        saved->is_foreign[i] = strcmp(saved->heads[i].origin, origin) != 0;
    }
    return OXV_OK;
}

/* Is it signed by a key that could sign at that size, and by none of them wrongly? */
static bool
is_signed(const struct oxv_saved *saved, size_t i)
{
    const struct oxv_chain_mark *mark = &saved->marks[i];
    bool found = false;

    for (size_t k = 0; k < mark->key_count; k++) {
        struct oxv_vkey key = oxv_vkey_of(saved->heads[i].origin, mark->keys[k]);
        enum oxv_status st = oxv_note_check(&saved->notes[i], &key);

        if (st == OXV_E_FORGED) {
            return false;
        }
        found = found || st == OXV_OK;
    }
    return found;
}

bool
oxv_saved_is_missing(const struct oxv_saved *saved, size_t i, uint64_t entries,
                     char file[OXV_SAVED_NAME_BYTES], struct oxv_log_finding *finding)
{
    const struct oxv_chain_mark *mark = &saved->marks[i];

    *finding = (struct oxv_log_finding){ .file = file, .entry = mark->size - 1 };
    if (oxv_format(file, OXV_SAVED_NAME_BYTES, "saved checkpoint %zu", saved->numbers[i]) !=
        OXV_OK) {
        oxv_bug("a number of two digits does not fit");
    }
    if (saved->is_foreign[i]) {
        finding->code = "checkpoint_origin";
        finding->reason = "it is the checkpoint of another log";
    } else if (!mark->is_reached || mark->size > entries) {
        finding->code = "checkpoint_ahead";
        finding->entry = entries;
        finding->reason = "the log once had more entries than can be verified here: its end is "
                          "missing, or damaged";
    } else if (memcmp(mark->root, saved->heads[i].head.root, OXV_HASH_BYTES) != 0) {
        finding->code = "checkpoint_differs";
        finding->reason = "entries up to this one are not those that the checkpoint was made for";
    } else if (!is_signed(saved, i)) {
        finding->code = "checkpoint_signature";
        finding->reason = "it is not signed by the key that the log had then";
    } else {
        return false;
    }
    return true;
}
