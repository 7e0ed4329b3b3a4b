/* Proofs of what was just committed: every start and size against the whole proof, and in a log. */
#include "test_log_support.h"

#include "vault/log/checkpoint.h"
#include "vault/log/proof_file.h"
#include "vault/log/recent.h"

#define STARTS 70u
#define GROUP  70u
#define LEAVES (STARTS + GROUP)

static struct oxv_hasher *hasher;
static uint8_t leaves[LEAVES][8];

static int
make_leaves(void **state)
{
    (void)state;
    hasher = oxv_hasher_new();
    for (size_t i = 0; i < LEAVES; i++) {
        struct oxv_writer w = oxv_writer(leaves[i], sizeof leaves[i]);

        oxv_write_u64(&w, i);
    }
    return hasher == NULL;
}

static int
drop_leaves(void **state)
{
    (void)state;
    oxv_hasher_free(hasher);
    return 0;
}

static struct oxv_view
leaf(size_t index)
{
    return oxv_view(leaves[index], sizeof leaves[index]);
}

static void
whole_proof(size_t index, size_t size, struct oxv_proof *out)
{
    struct oxv_proof_plan plan;
    struct oxv_proof_pass pass;

    assert_int_equal(oxv_proof_plan_inclusion(&plan, index, size), OXV_OK);
    oxv_proof_pass_init(&pass, &plan, 0);
    for (size_t i = 0; i < size; i++) {
        oxv_proof_pass_add(&pass, hasher, leaf(i));
    }
    oxv_proof_finish(&plan, hasher, out);
}

/* Each leads to the root, which only one proof does; every so often that one is made as well. */
static void
check_group(const struct oxv_recent *recent, size_t start, const struct oxv_proof_head *head)
{
    for (size_t index = start; index < head->size; index++) {
        uint8_t hash[OXV_HASH_BYTES];
        struct oxv_proof proof;
        struct oxv_proof wanted;

        assert_int_equal(oxv_recent_prove(recent, hasher, index, &proof), OXV_OK);
        oxv_hash_leaf(hasher, leaf(index), hash);
        assert_true(oxv_proof_has_leaf(hasher, &proof, index, hash, head));
        if ((start + index + head->size) % 16 == 0) {
            whole_proof(index, head->size, &wanted);
            assert_int_equal(proof.count, wanted.count);
            assert_memory_equal(proof.hash, wanted.hash, wanted.count * OXV_HASH_BYTES);
        }
    }
}

static void
check_start(const struct oxv_tree *before)
{
    struct oxv_tree tree = *before;
    struct oxv_recent *recent = oxv_recent_new(before);

    assert_non_null(recent);
    while (tree.size < before->size + GROUP) {
        struct oxv_proof_head head;

        assert_int_equal(oxv_recent_add(recent, hasher, leaf(tree.size)), OXV_OK);
        oxv_tree_add(&tree, hasher, leaf(tree.size));
        assert_int_equal(oxv_recent_size(recent), tree.size);
        head.size = tree.size;
        oxv_tree_root(&tree, hasher, head.root);
        check_group(recent, before->size, &head);
    }
    oxv_recent_free(recent);
}

static void
each_leaf_of_each_group_has_the_proof_that_the_whole_tree_gives(void **state)
{
    struct oxv_tree tree = { 0 };

    (void)state;
    while (tree.size < STARTS) {
        check_start(&tree);
        oxv_tree_add(&tree, hasher, leaf(tree.size));
    }
}

static void
what_was_not_taken_has_no_proof(void **state)
{
    struct oxv_tree tree = { 0 };
    struct oxv_proof proof;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        oxv_tree_add(&tree, hasher, leaf(i));
    }
    struct oxv_recent *recent = oxv_recent_new(&tree);

    assert_int_equal(oxv_recent_size(recent), 5);
    assert_int_equal(oxv_recent_prove(recent, hasher, 5, &proof), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_recent_add(recent, hasher, leaf(5)), OXV_OK);
    assert_int_equal(oxv_recent_prove(recent, hasher, 4, &proof), OXV_E_NOT_FOUND);
    assert_int_equal(oxv_recent_prove(recent, hasher, 5, &proof), OXV_OK);
    assert_int_equal(oxv_recent_prove(recent, hasher, 6, &proof), OXV_E_NOT_FOUND);
    oxv_recent_free(recent);
    oxv_recent_free(NULL);
}

/* Reads the proof of an entry and checks all of it: entry, path, root, signature. */
static uint64_t
check_written(struct oxv_log *log, uint64_t index, size_t max_bytes)
{
    static struct oxv_proof_file file;
    uint8_t text[OXV_LOG_PROOF_MAX_BYTES];
    uint8_t hash[OXV_HASH_BYTES];
    uint8_t root[OXV_HASH_BYTES];
    struct oxv_writer w = oxv_writer(text, sizeof text);
    struct oxv_note note;
    struct oxv_saved_head head;
    struct oxv_vkey key = { .name = TEST_ORIGIN };
    struct oxv_entry_line line;
    struct oxv_entry_fault fault;
    struct oxv_err err;

    assert_int_equal(oxv_log_write_proof(log, index, &w), OXV_OK);
    assert_true(w.len <= max_bytes);
    assert_int_equal(oxv_proof_file_parse(oxv_view(text, w.len), &file, &err), OXV_OK);
    assert_int_equal(file.kind, OXV_PROOF_OF_ENTRY);
    assert_int_equal(file.number, index);
    struct oxv_view entry = oxv_view(file.extra, file.extra_len);

    assert_int_equal(oxv_entry_check(entry, &line, &fault), OXV_OK);
    assert_int_equal(line.seq, index);
    assert_int_equal(oxv_note_parse(file.note, &note, &err), OXV_OK);
    assert_int_equal(oxv_checkpoint_parse(note.text, &head, &err), OXV_OK);
    assert_int_equal(head.head.size, oxv_log_size(log));
    oxv_log_root(log, root);
    assert_memory_equal(head.head.root, root, sizeof root);
    memcpy(key.public_key, log->key.public_key, sizeof key.public_key);
    assert_int_equal(oxv_note_check(&note, &key), OXV_OK);
    oxv_hash_leaf(log->hasher, entry, hash);
    assert_true(oxv_proof_has_leaf(log->hasher, &file.proof, index, hash, &head.head));
    return head.head.size;
}

static size_t
want(struct oxv_log *log)
{
    size_t max_bytes = 0;

    assert_int_equal(oxv_log_want_proof(log, &max_bytes), OXV_OK);
    return max_bytes;
}

static void
commit(struct oxv_log *log)
{
    struct oxv_err err = { 0 };

    assert_int_equal(oxv_log_commit(log, &err), OXV_OK);
}

static void
a_log_proves_the_entries_that_it_was_asked_for(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    uint8_t text[OXV_LOG_PROOF_MAX_BYTES];
    size_t max_bytes[8] = { 0 };
    uint64_t index[8];

    commit_signs(log, 3);
    assert_int_equal(oxv_log_want_proof(log, &max_bytes[0]), OXV_E_USAGE);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < 8; i++) {
            index[i] = append(log, &entry);
            max_bytes[i] = i % 3 == 0 ? want(log) : 0;
        }
        struct oxv_writer w = oxv_writer(text, sizeof text);

        assert_int_equal(oxv_log_write_proof(log, index[0], &w), OXV_E_NOT_FOUND);
        assert_int_equal(w.len, 0);
        commit(log);
        for (size_t i = 0; i < 8; i++) {
            if (i % 3 == 0) {
                assert_int_equal(check_written(log, index[i], max_bytes[i]), index[7] + 1);
            } else {
                assert_int_equal(oxv_log_write_proof(log, index[i], &w), OXV_E_NOT_FOUND);
            }
        }
        w = oxv_writer(text, 100);
        assert_int_equal(oxv_log_write_proof(log, index[0], &w), OXV_E_LIMIT);
        oxv_log_forget_proofs(log);
        assert_null(log->wanted);
        w = oxv_writer(text, sizeof text);
        assert_int_equal(oxv_log_write_proof(log, index[0], &w), OXV_E_NOT_FOUND);
        commit_signs(log, round % 3);
    }
    oxv_log_free(log);
    must_verify(f);
}

/* Two commits, the second of which ends the epoch, before the proofs are taken. */
static void
proofs_reach_over_commits_and_the_end_of_an_epoch(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();
    struct oxv_err err = { 0 };
    uint64_t epoch = oxv_log_epoch(log);
    uint64_t first = append(log, &entry);
    size_t first_max = want(log);

    commit(log);
    (void)check_written(log, first, first_max);
    uint64_t second = append(log, &entry);
    size_t second_max = want(log);

    assert_int_equal(oxv_log_rotate(log, NULL, &err), OXV_OK);
    assert_int_equal(oxv_log_epoch(log), epoch + 1);
    assert_int_equal(check_written(log, first, first_max), second + 2); /* with log.epoch */
    (void)check_written(log, second, second_max);
    oxv_log_end_epoch(log);
    uint64_t third = append(log, &entry);
    size_t third_max = want(log);

    commit(log);
    assert_int_equal(oxv_log_epoch(log), epoch + 2);
    (void)check_written(log, third, third_max);
    (void)check_written(log, first, first_max);
    oxv_log_free(log);
    must_verify(f);
}

static void
a_group_across_the_end_of_a_segment_is_proved(void **state)
{
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log_of_one_epoch(f, &opened);
    struct oxv_entry entry = sign_entry();
    size_t max_bytes[4];
    uint64_t index[4];

    commit_signs(log, OXV_LOG_SEGMENT_ENTRIES - 2 - oxv_log_size(log));
    for (size_t i = 0; i < 4; i++) { /* the second one is followed by a commit line */
        index[i] = append(log, &entry);
        max_bytes[i] = want(log);
    }
    assert_int_equal(index[1], OXV_LOG_SEGMENT_ENTRIES - 1);
    assert_int_equal(log->part_count, 1);
    commit(log);
    for (size_t i = 0; i < 4; i++) {
        (void)check_written(log, index[i], max_bytes[i]);
    }
    oxv_log_free(log);
}

static void
a_proof_of_the_longest_entry_fits(void **state)
{
    static char path[OXV_LOG_ENTRY_MAX_BYTES - 700];
    struct log_fixture *f = *state;
    struct oxv_log_opened opened;
    struct oxv_log *log = open_log(f, &opened);
    struct oxv_entry entry = sign_entry();

    memset(path, 'a', sizeof path);
    entry.path = oxv_view(path, sizeof path);
    uint64_t index = append(log, &entry);
    size_t max_bytes = want(log);

    assert_true(max_bytes <= OXV_LOG_PROOF_MAX_BYTES);
    commit(log);
    (void)check_written(log, index, max_bytes);
    oxv_log_free(log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_leaf_of_each_group_has_the_proof_that_the_whole_tree_gives),
        cmocka_unit_test(what_was_not_taken_has_no_proof),
        cmocka_unit_test_setup_teardown(a_log_proves_the_entries_that_it_was_asked_for, make_log,
                                        remove_log),
        cmocka_unit_test_setup_teardown(proofs_reach_over_commits_and_the_end_of_an_epoch, make_log,
                                        remove_log),
        cmocka_unit_test_setup_teardown(a_group_across_the_end_of_a_segment_is_proved, make_log,
                                        remove_log),
        cmocka_unit_test_setup_teardown(a_proof_of_the_longest_entry_fits, make_log, remove_log),
    };

    if (oxv_secret_setup(OXV_SECRET_MEMORY_SODIUM, true, NULL) != OXV_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("log recent", tests, make_leaves, drop_leaves);
}
