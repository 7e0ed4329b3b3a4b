/* RFC 6962 proofs: published ones, every size to 130 against a naive tree, and malformed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "vault/log/proof.h"

#define SIZE_MAX_TRIED 130u

static struct oxv_hasher *hasher;

static const char *const published_leaves[] = { "",
                                                "00",
                                                "10",
                                                "2021",
                                                "3031",
                                                "40414243",
                                                "5051525354555657",
                                                "606162636465666768696a6b6c6d6e6f" };

/* Leaves of either kind: the published ones, or numbers as 8 bytes. */
struct leaves {
    size_t len[SIZE_MAX_TRIED];
    uint8_t bytes[SIZE_MAX_TRIED][16];
};

static struct leaves
hex_leaves(void)
{
    struct leaves l = { 0 };

    for (size_t i = 0; i < 8; i++) {
        l.len[i] = strlen(published_leaves[i]) / 2;
        assert_true(oxv_parse_hex(oxv_view_text(published_leaves[i]), l.bytes[i], l.len[i]));
    }
    return l;
}

static struct leaves
number_leaves(void)
{
    struct leaves l;

    for (size_t i = 0; i < SIZE_MAX_TRIED; i++) {
        struct oxv_writer w = oxv_writer(l.bytes[i], 8);

        oxv_write_u64(&w, i);
        l.len[i] = 8;
    }
    return l;
}

/* The definition of RFC 6962, word by word. */
static void
naive_root(const struct leaves *l, size_t begin, size_t end, uint8_t out[OXV_HASH_BYTES])
{
    uint8_t left[OXV_HASH_BYTES];
    uint8_t right[OXV_HASH_BYTES];
    size_t k = 1;

    if (end - begin == 1) {
        oxv_hash_leaf(hasher, oxv_view(l->bytes[begin], l->len[begin]), out);
        return;
    }
    while (2 * k < end - begin) {
        k *= 2;
    }
    naive_root(l, begin, begin + k, left);
    naive_root(l, begin + k, end, right);
    oxv_hash_node(hasher, left, right, out);
}

static void
naive_path(const struct leaves *l, size_t m, size_t begin, size_t end, struct oxv_proof *out)
{
    size_t k = 1;

    if (end - begin == 1) {
        return;
    }
    while (2 * k < end - begin) {
        k *= 2;
    }
    if (m < begin + k) {
        naive_path(l, m, begin, begin + k, out);
        naive_root(l, begin + k, end, out->hash[out->count++]);
    } else {
        naive_path(l, m, begin + k, end, out);
        naive_root(l, begin, begin + k, out->hash[out->count++]);
    }
}

static void
naive_subproof(const struct leaves *l, size_t m, const size_t range[2], bool is_old_root,
               struct oxv_proof *out)
{
    size_t begin = range[0];
    size_t end = range[1];
    size_t k = 1;

    if (m == end) {
        if (!is_old_root) {
            naive_root(l, begin, end, out->hash[out->count++]);
        }
        return;
    }
    while (2 * k < end - begin) {
        k *= 2;
    }
    if (m <= begin + k) {
        naive_subproof(l, m, (const size_t[2]){ begin, begin + k }, is_old_root, out);
        naive_root(l, begin + k, end, out->hash[out->count++]);
    } else {
        naive_subproof(l, m, (const size_t[2]){ begin + k, end }, false, out);
        naive_root(l, begin, begin + k, out->hash[out->count++]);
    }
}

static struct oxv_proof_head
head_of(const struct leaves *l, size_t size)
{
    struct oxv_proof_head head = { .size = size };

    naive_root(l, 0, size, head.root);
    return head;
}

static struct oxv_proof
fill(struct oxv_proof_plan *plan, const struct leaves *l, size_t size)
{
    struct oxv_proof_pass pass;
    struct oxv_proof proof;

    oxv_proof_pass_init(&pass, plan, 0);
    for (size_t i = 0; i < size; i++) {
        oxv_proof_pass_add(&pass, hasher, oxv_view(l->bytes[i], l->len[i]));
    }
    oxv_proof_finish(plan, hasher, &proof);
    return proof;
}

static struct oxv_proof
inclusion(const struct leaves *l, size_t index, size_t size)
{
    struct oxv_proof_plan plan;

    assert_int_equal(oxv_proof_plan_inclusion(&plan, index, size), OXV_OK);
    return fill(&plan, l, size);
}

static struct oxv_proof
consistency(const struct leaves *l, size_t old, size_t size)
{
    struct oxv_proof_plan plan;

    assert_int_equal(oxv_proof_plan_consistency(&plan, old, size), OXV_OK);
    return fill(&plan, l, size);
}

static void
leaf_of(const struct leaves *l, size_t index, uint8_t out[OXV_HASH_BYTES])
{
    oxv_hash_leaf(hasher, oxv_view(l->bytes[index], l->len[index]), out);
}

static void
check_hashes(const struct oxv_proof *proof, const char *const hex[], size_t count)
{
    uint8_t wanted[OXV_HASH_BYTES];

    assert_int_equal(proof->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(oxv_parse_hex(oxv_view_text(hex[i]), wanted, sizeof wanted));
        assert_memory_equal(proof->hash[i], wanted, sizeof wanted);
    }
}

static void
the_eight_leaf_tree_has_the_published_inclusion_proofs(void **state)
{
    static const struct {
        size_t index;
        size_t size;
        size_t count;
        const char *hashes[3];
    } wanted[] = {
        { 0,
          8,
          3,
          { "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4" } },
        { 5,
          8,
          3,
          { "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" } },
        { 2, 3, 1, { "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" } },
        { 0, 1, 0, { NULL } },
    };
    struct leaves l = hex_leaves();

    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct oxv_proof proof = inclusion(&l, wanted[i].index, wanted[i].size);

        check_hashes(&proof, wanted[i].hashes, wanted[i].count);
    }
}

static void
the_eight_leaf_tree_has_the_published_consistency_proofs(void **state)
{
    static const struct {
        size_t old;
        size_t size;
        size_t count;
        const char *hashes[4];
    } wanted[] = {
        { 1,
          8,
          3,
          { "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4" } },
        { 6,
          8,
          3,
          { "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" } },
        { 2,
          5,
          2,
          { "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b" } },
        { 3,
          7,
          4,
          { "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
            "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e" } },
        { 4, 8, 1, { "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4" } },
        { 8, 8, 0, { NULL } },
    };
    struct leaves l = hex_leaves();

    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct oxv_proof proof = consistency(&l, wanted[i].old, wanted[i].size);

        check_hashes(&proof, wanted[i].hashes, wanted[i].count);
    }
}

static void
every_inclusion_proof_is_the_naive_one_and_fits_no_other_leaf(void **state)
{
    struct leaves l = number_leaves();

    (void)state;
    for (size_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        struct oxv_proof_head head = head_of(&l, size);

        for (size_t index = 0; index < size; index++) {
            struct oxv_proof proof = inclusion(&l, index, size);
            struct oxv_proof naive = { 0 };
            uint8_t leaf[OXV_HASH_BYTES];

            naive_path(&l, index, 0, size, &naive);
            assert_memory_equal(&proof, &naive, sizeof proof);
            leaf_of(&l, index, leaf);
            assert_true(oxv_proof_has_leaf(hasher, &proof, index, leaf, &head));
            for (size_t other = 0; other < size + 2; other++) {
                assert_int_equal(oxv_proof_has_leaf(hasher, &proof, other, leaf, &head),
                                 other == index);
            }
            leaf_of(&l, (index + 1) % SIZE_MAX_TRIED, leaf);
            assert_false(oxv_proof_has_leaf(hasher, &proof, index, leaf, &head));
        }
    }
}

static void
every_consistency_proof_is_the_naive_one_and_fits_no_other_tree(void **state)
{
    struct leaves l = number_leaves();

    (void)state;
    for (size_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        struct oxv_proof_head head = head_of(&l, size);

        for (size_t old_size = 1; old_size <= size; old_size++) {
            struct oxv_proof_head old = head_of(&l, old_size);
            struct oxv_proof proof = consistency(&l, old_size, size);
            struct oxv_proof naive = { 0 };

            naive_subproof(&l, old_size, (const size_t[2]){ 0, size }, true, &naive);
            assert_memory_equal(&proof, &naive, sizeof proof);
            assert_true(oxv_proof_extends(hasher, &proof, &old, &head));
            old.root[31] ^= 1;
            assert_false(oxv_proof_extends(hasher, &proof, &old, &head));
            old.root[31] ^= 1;
            head.root[0] ^= 0x80;
            assert_false(oxv_proof_extends(hasher, &proof, &old, &head));
            head.root[0] ^= 0x80;
        }
    }
}

/* SHA-256 over all proofs of all sizes as golang.org/x/mod/sumdb/tlog makes them. */
static void
all_proofs_together_are_those_of_gos_implementation(void **state)
{
    struct leaves l = number_leaves();
    uint8_t rolled[OXV_HASH_BYTES + sizeof((struct oxv_proof *)0)->hash] = { 0 };
    uint8_t wanted[OXV_HASH_BYTES];

    (void)state;
    for (size_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        for (size_t at = 0; at < 2 * size; at++) {
            struct oxv_proof proof =
                at < size ? inclusion(&l, at, size) : consistency(&l, at - size + 1, size);

            memcpy(rolled + OXV_HASH_BYTES, proof.hash, proof.count * OXV_HASH_BYTES);
            oxv_hash_bytes(hasher, oxv_view(rolled, (1 + proof.count) * OXV_HASH_BYTES), rolled);
        }
    }
    assert_true(oxv_parse_hex(
        oxv_view_text("d4afd0fee96eeeb9adee2b62719415641aa8f00e625bed71c47a41785a599e55"), wanted,
        sizeof wanted));
    assert_memory_equal(rolled, wanted, sizeof wanted);
}

static void
a_proof_that_is_longer_shorter_or_changed_is_refused(void **state)
{
    struct leaves l = number_leaves();

    (void)state;
    for (size_t size = 2; size <= 40; size++) {
        struct oxv_proof_head head = head_of(&l, size);
        struct oxv_proof_head old = head_of(&l, size - 1);
        struct oxv_proof in = inclusion(&l, size / 2, size);
        struct oxv_proof extends = consistency(&l, size - 1, size);
        uint8_t leaf[OXV_HASH_BYTES];

        leaf_of(&l, size / 2, leaf);
        for (size_t count = 0; count <= OXV_PROOF_MAX_HASHES + 1; count++) {
            struct oxv_proof cut = in;

            cut.count = count;
            assert_int_equal(oxv_proof_has_leaf(hasher, &cut, size / 2, leaf, &head),
                             count == in.count);
            cut = extends;
            cut.count = count;
            assert_int_equal(oxv_proof_extends(hasher, &cut, &old, &head), count == extends.count);
        }
        for (size_t i = 0; i < in.count; i++) {
            in.hash[i][i] ^= 4;
            assert_false(oxv_proof_has_leaf(hasher, &in, size / 2, leaf, &head));
            in.hash[i][i] ^= 4;
        }
        for (size_t i = 0; i < extends.count; i++) {
            extends.hash[i][i] ^= 4;
            assert_false(oxv_proof_extends(hasher, &extends, &old, &head));
            extends.hash[i][i] ^= 4;
        }
    }
}

static void
what_cannot_be_proved_is_refused(void **state)
{
    struct leaves l = number_leaves();
    struct oxv_proof_head head = head_of(&l, 5);
    struct oxv_proof_head empty = { 0 };
    struct oxv_proof none = { 0 };
    struct oxv_proof_plan plan;

    (void)state;
    assert_int_equal(oxv_proof_plan_inclusion(&plan, 0, 0), OXV_E_USAGE);
    assert_int_equal(oxv_proof_plan_inclusion(&plan, 5, 5), OXV_E_USAGE);
    assert_int_equal(oxv_proof_plan_inclusion(&plan, 0, UINT64_C(1) << 63), OXV_E_USAGE);
    assert_int_equal(oxv_proof_plan_consistency(&plan, 0, 5), OXV_E_USAGE);
    assert_int_equal(oxv_proof_plan_consistency(&plan, 6, 5), OXV_E_USAGE);
    assert_int_equal(oxv_proof_plan_consistency(&plan, 1, UINT64_MAX), OXV_E_USAGE);
    assert_false(oxv_proof_extends(hasher, &none, &empty, &head));
    assert_false(oxv_proof_extends(hasher, &none, &empty, &empty));
    assert_false(oxv_proof_extends(hasher, &none, &head, &empty));
    assert_false(oxv_proof_has_leaf(hasher, &none, 0, head.root, &empty));
}

static void
plans_of_the_largest_trees_fit(void **state)
{
    struct oxv_proof_plan plan;

    (void)state;
    assert_int_equal(oxv_proof_plan_inclusion(&plan, 0, OXV_PROOF_SIZE_MAX), OXV_OK);
    assert_int_equal(plan.hash_count, 63);
    assert_int_equal(oxv_proof_plan_inclusion(&plan, OXV_PROOF_SIZE_MAX - 1, OXV_PROOF_SIZE_MAX),
                     OXV_OK);
    assert_int_equal(oxv_proof_plan_consistency(&plan, 1, OXV_PROOF_SIZE_MAX), OXV_OK);
    assert_int_equal(oxv_proof_plan_consistency(&plan, (UINT64_C(1) << 62) - 1, OXV_PROOF_SIZE_MAX),
                     OXV_OK);
    assert_int_equal(plan.hash_count, 64);
}

/* A pass may begin late: what lies behind its beginning is found all the same. */
static void
a_pass_that_begins_late_finds_the_subtrees_behind_its_beginning(void **state)
{
    struct leaves l = number_leaves();

    (void)state;
    for (size_t begin = 0; begin < SIZE_MAX_TRIED; begin++) {
        struct oxv_proof_plan plan;
        struct oxv_proof_pass pass;

        assert_int_equal(oxv_proof_plan_inclusion(&plan, 64, SIZE_MAX_TRIED), OXV_OK);
        oxv_proof_pass_init(&pass, &plan, begin);
        for (size_t i = begin; i < SIZE_MAX_TRIED; i++) {
            oxv_proof_pass_add(&pass, hasher, oxv_view(l.bytes[i], l.len[i]));
        }
        for (size_t i = 0; i < plan.node_count; i++) {
            const struct oxv_proof_node *node = &plan.nodes[i];
            size_t first = (size_t)(node->n << node->level);
            uint8_t wanted[OXV_HASH_BYTES];

            assert_int_equal(node->is_known, first >= begin);
            if (node->is_known) {
                naive_root(&l, first, first + ((size_t)1 << node->level), wanted);
                assert_memory_equal(node->hash, wanted, sizeof wanted);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_eight_leaf_tree_has_the_published_inclusion_proofs),
        cmocka_unit_test(the_eight_leaf_tree_has_the_published_consistency_proofs),
        cmocka_unit_test(every_inclusion_proof_is_the_naive_one_and_fits_no_other_leaf),
        cmocka_unit_test(every_consistency_proof_is_the_naive_one_and_fits_no_other_tree),
        cmocka_unit_test(all_proofs_together_are_those_of_gos_implementation),
        cmocka_unit_test(a_proof_that_is_longer_shorter_or_changed_is_refused),
        cmocka_unit_test(what_cannot_be_proved_is_refused),
        cmocka_unit_test(plans_of_the_largest_trees_fit),
        cmocka_unit_test(a_pass_that_begins_late_finds_the_subtrees_behind_its_beginning),
    };

    hasher = oxv_hasher_new();
    if (hasher == NULL) {
        return 1;
    }
    int failed = cmocka_run_group_tests_name("log proofs", tests, NULL, NULL);

    oxv_hasher_free(hasher);
    return failed;
}
