/* Verification against checkpoints that an auditor kept: what is seen only with one. */
#include "test_log_hand.h"

#include "vault/log/checkpoint.h"

#define NOTE_MAX_BYTES 1024u

struct kept {
    char text[NOTE_MAX_BYTES];
    size_t len;
};

/* The checkpoint of the log as it is, of any origin, signed by one of the keys. */
static struct kept
keep(const struct hand *h, const char *origin, size_t key)
{
    struct oxv_checkpoint checkpoint = { .origin = origin, .size = h->tree.size };
    uint8_t signature[OXV_NOTE_SIGNATURE_BYTES];
    struct kept kept = { .len = 0 };
    struct oxv_writer w = oxv_writer(kept.text, sizeof kept.text);

    oxv_tree_root(&h->tree, h->hasher, checkpoint.root);
    oxv_checkpoint_sign(&checkpoint, h->key[key], signature);
    oxv_checkpoint_write_note(&w, &checkpoint, h->public_key[key], signature);
    assert_false(w.failed);
    kept.len = w.len;
    return kept;
}

static enum oxv_status
verify_against(struct hand *h, const struct kept kept[], size_t count, struct findings *found)
{
    struct oxv_log_verify_cfg cfg = {
        .vkey = oxv_view_text(h->vkey), .saved_count = count, .found = keep_first, .ctx = found
    };
    char path[96];
    struct oxv_err err = { 0 };

    *found = (struct findings){ 0 };
    for (size_t i = 0; i < count; i++) {
        cfg.saved[i] = oxv_view(kept[i].text, kept[i].len);
    }
    write_whole(h->fd, TEST_SEGMENT, oxv_view(h->bytes, h->len));
    (void)snprintf(path, sizeof path, "%s/log", h->path);
    return oxv_log_verify_with(path, &cfg, &found->verdict, &err);
}

static void
must_miss(struct hand *h, const struct kept *kept, const char *code, uint64_t entry)
{
    struct findings found;

    assert_int_equal(verify_against(h, kept, 1, &found), OXV_E_FORGED);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.code, code);
    assert_string_equal(found.file, "saved checkpoint 1");
    assert_int_equal(found.entry, entry);
    assert_int_equal(found.verdict.heads, 0);
    assert_int_equal(found.verdict.head_size, 0);
}

static void
add_group(struct hand *h, size_t entries, uint64_t epoch)
{
    struct oxv_entry entry = sign_entry();

    for (size_t i = 0; i < entries; i++) {
        add_entry(h, &entry, epoch);
    }
    add_commit(h, epoch, epoch);
}

static void
end_epoch(struct hand *h)
{
    char next[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_entry last = { .type = OXV_ENTRY_LOG_EPOCH, .outcome = OXV_OUTCOME_ALLOWED };

    write_vkey(h, 1, next);
    last.next_key = oxv_view_text(next);
    add_entry(h, &last, 0);
    add_commit(h, 0, 0);
}

static void
every_head_of_a_log_is_found_in_it(void **state)
{
    struct hand *h = *state;
    struct kept kept[5];
    struct findings found;

    begin_hand(h);
    kept[3] = keep(h, TEST_ORIGIN, 0);
    add_group(h, 2, 0);
    kept[1] = keep(h, TEST_ORIGIN, 0);
    end_epoch(h);
    kept[4] = keep(h, TEST_ORIGIN, 0); /* the final one of the old key, */
    kept[0] = keep(h, TEST_ORIGIN, 1); /* and the same size by the new one */
    add_group(h, 3, 1);
    kept[2] = keep(h, TEST_ORIGIN, 1);
    assert_int_equal(verify_against(h, kept, 5, &found), OXV_OK);
    assert_int_equal(found.count, 0);
    assert_int_equal(found.verdict.heads, 5);
    assert_int_equal(found.verdict.head_size, 7);
    assert_int_equal(found.verdict.entries, 7);
    add_group(h, 1, 1);
    assert_int_equal(verify_against(h, kept, 5, &found), OXV_OK);
    assert_int_equal(found.verdict.head_size, 7);
}

static void
a_cut_tail_is_seen_with_a_saved_head_only(void **state)
{
    struct hand *h = *state;
    struct findings found;

    begin_hand(h);
    size_t len = h->len;
    struct oxv_tree tree = h->tree;

    add_group(h, 2, 0);
    struct kept kept = keep(h, TEST_ORIGIN, 0);

    h->len = len;
    h->tree = tree;
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    must_miss(h, &kept, "checkpoint_ahead", 1);
    /* Cut, then gone on with: the same length, other entries. */
    h->time_us++;
    add_group(h, 2, 0);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    must_miss(h, &kept, "checkpoint_differs", 2);
    add_group(h, 5, 0);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    must_miss(h, &kept, "checkpoint_differs", 2);
}

static void
a_head_within_what_is_damaged_does_not_count(void **state)
{
    struct hand *h = *state;
    struct findings found;

    begin_hand(h);
    add_group(h, 2, 0);
    size_t len = h->len;

    add_group(h, 2, 0);
    struct kept kept[2] = { keep(h, TEST_ORIGIN, 0), { .len = 0 } };

    add_group(h, 1, 0);
    h->bytes[len - 4] ^= 1; /* the size */
    assert_int_equal(verify_against(h, kept, 1, &found), OXV_E_FORGED);
    assert_int_equal(found.count, 2);
    assert_string_equal(found.code, "bad_commit");
    assert_int_equal(found.verdict.heads, 0);
    h->bytes[len - 4] ^= 1;
    /* The entries are there, the commit line is not: nobody signed them. */
    h->len = len;
    struct oxv_entry entry = sign_entry();

    h->tree.size = 3;
    add_entry(h, &entry, 0);
    assert_int_equal(verify_against(h, kept, 1, &found), OXV_E_FORGED);
    assert_string_equal(found.code, "torn_tail");
    assert_int_equal(found.count, 2);
}

static void
a_checkpoint_of_another_log_or_key_is_no_head_of_this_one(void **state)
{
    struct hand *h = *state;

    begin_hand(h);
    struct kept other = keep(h, "oxvault/other", 0);
    struct kept forged = keep(h, TEST_ORIGIN, 1);
    struct kept changed = keep(h, TEST_ORIGIN, 0);
    char *signature = strrchr(changed.text, ' ') + 12;

    must_miss(h, &other, "checkpoint_origin", 0);
    must_miss(h, &forged, "checkpoint_signature", 0);
    *signature = *signature == 'A' ? 'B' : 'A';
    must_miss(h, &changed, "checkpoint_signature", 0);
}

static void
a_key_signs_nothing_after_its_epoch(void **state)
{
    struct hand *h = *state;

    begin_hand(h);
    end_epoch(h);
    add_group(h, 1, 1);
    struct kept kept = keep(h, TEST_ORIGIN, 0);

    must_miss(h, &kept, "checkpoint_signature", 2);
}

static void
a_malformed_checkpoint_is_no_finding_but_a_mistake(void **state)
{
    struct hand *h = *state;
    struct findings found;
    struct kept kept[2] = { { .len = 0 }, { .text = "origin\n5\n\n", .len = 10 } };

    begin_hand(h);
    kept[0] = keep(h, TEST_ORIGIN, 0);
    assert_int_equal(verify_against(h, kept, 2, &found), OXV_E_USAGE);
    kept[1] = kept[0];
    kept[1].len--;
    assert_int_equal(verify_against(h, kept, 2, &found), OXV_E_USAGE);
    h->tree = (struct oxv_tree){ 0 };
    kept[1] = keep(h, TEST_ORIGIN, 0); /* of no entries */
    assert_int_equal(verify_against(h, kept, 2, &found), OXV_E_USAGE);
    assert_int_equal(found.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_head_of_a_log_is_found_in_it, make_hand, remove_hand),
        cmocka_unit_test_setup_teardown(a_cut_tail_is_seen_with_a_saved_head_only, make_hand,
                                        remove_hand),
        cmocka_unit_test_setup_teardown(a_head_within_what_is_damaged_does_not_count, make_hand,
                                        remove_hand),
        cmocka_unit_test_setup_teardown(a_checkpoint_of_another_log_or_key_is_no_head_of_this_one,
                                        make_hand, remove_hand),
        cmocka_unit_test_setup_teardown(a_key_signs_nothing_after_its_epoch, make_hand,
                                        remove_hand),
        cmocka_unit_test_setup_teardown(a_malformed_checkpoint_is_no_finding_but_a_mistake,
                                        make_hand, remove_hand),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log saved checkpoints", tests, NULL, NULL);
}
