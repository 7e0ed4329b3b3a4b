/* The chain of epochs and their keys, as verify follows it. */
#include "test_log_hand.h"

static struct oxv_entry
epoch_entry(const char *next_key)
{
    return (struct oxv_entry){ .type = OXV_ENTRY_LOG_EPOCH,
                               .outcome = OXV_OUTCOME_ALLOWED,
                               .next_key = oxv_view_text(next_key) };
}

/* Ends epoch 0 after a few entries, naming key 1. */
static void
end_epoch(struct hand *h)
{
    char next[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_entry entry = sign_entry();

    write_vkey(h, 1, next);
    struct oxv_entry last = epoch_entry(next);

    begin_hand(h);
    add_entry(h, &entry, 0);
    add_entry(h, &last, 0);
    add_commit(h, 0, 0);
}

static void
the_chain_of_keys_is_followed(void **state)
{
    struct hand *h = *state;
    struct oxv_entry entry = sign_entry();
    struct findings found;

    end_epoch(h);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    add_entry(h, &entry, 1);
    add_commit(h, 1, 1);
    add_entry(h, &entry, 1);
    add_commit(h, 1, 1);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    assert_int_equal(found.verdict.epochs, 2);
    assert_int_equal(found.verdict.entries, 5);
}

static void
an_old_key_signs_nothing_after_its_epoch(void **state)
{
    struct hand *h = *state;
    struct oxv_entry entry = sign_entry();
    size_t len;
    struct oxv_tree tree;

    end_epoch(h);
    len = h->len;
    tree = h->tree;
    add_entry(h, &entry, 1);
    add_commit(h, 1, 0);
    must_find(h, "bad_signature", 3);

    h->len = len;
    h->tree = tree;
    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
    must_find(h, "bad_epoch", 3);

    h->len = len;
    h->tree = tree;
    add_entry(h, &entry, 2); /* an epoch left out */
    add_commit(h, 2, 1);
    must_find(h, "bad_epoch", 3);

    h->len = len;
    h->tree = tree;
    add_entry(h, &entry, 1);
    add_commit(h, 0, 1);
    must_find(h, "bad_epoch", 3);
}

static void
log_epoch_must_be_the_last_entry_and_name_a_new_key_of_this_log(void **state)
{
    struct hand *h = *state;
    struct oxv_entry entry = sign_entry();
    char next[OXV_LOG_VKEY_MAX_BYTES];
    struct oxv_entry last;

    write_vkey(h, 1, next);
    last = epoch_entry(next);
    begin_hand(h);
    add_entry(h, &last, 0);
    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
    must_find(h, "bad_epoch", 2);

    static const char other[] =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const char *const wrong[] = { other, h->vkey, "nokey", "" };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        h->len = 0;
        h->tree = (struct oxv_tree){ 0 };
        last = epoch_entry(wrong[i]);
        begin_hand(h);
        add_entry(h, &last, 0);
        add_commit(h, 0, 0);
        must_find(h, "bad_epoch", 1);
    }
    h->len = 0;
    h->tree = (struct oxv_tree){ 0 };
    entry.next_key = oxv_view_text(next); /* in an entry of another type */
    begin_hand(h);
    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
    must_find(h, "bad_epoch", 1);
}

/* Entry 1 of a log names this log key, in an entry of this type. */
static void
begin_with_log_key(struct hand *h, const char *log_key, uint64_t type)
{
    struct oxv_entry entry = sign_entry();

    entry.type = type;
    entry.log_key = oxv_view_text(log_key);
    h->len = 0;
    h->tree = (struct oxv_tree){ 0 };
    begin_hand(h);
    add_entry(h, &entry, 0);
    add_commit(h, 0, 0);
}

static void
log_key_must_name_a_key_of_this_log_that_is_no_epochs(void **state)
{
    struct hand *h = *state;
    struct findings found;
    char key[OXV_LOG_VKEY_MAX_BYTES];
    static const char other[] =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const char *const wrong[] = { other, h->vkey, "nokey", "" };

    write_vkey(h, 1, key);
    begin_with_log_key(h, key, OXV_ENTRY_LOG_KEY);
    assert_int_equal(verify_hand(h, &found), OXV_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin_with_log_key(h, wrong[i], OXV_ENTRY_LOG_KEY);
        must_find(h, "bad_log_key", 1);
    }
    begin_with_log_key(h, key, OXV_ENTRY_SIGN);
    must_find(h, "bad_log_key", 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_hand, remove_hand)
        TEST(the_chain_of_keys_is_followed),
        TEST(an_old_key_signs_nothing_after_its_epoch),
        TEST(log_epoch_must_be_the_last_entry_and_name_a_new_key_of_this_log),
        TEST(log_key_must_name_a_key_of_this_log_that_is_no_epochs),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log epochs", tests, NULL, NULL);
}
