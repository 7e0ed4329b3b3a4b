/* RFC 6962 hashing against the vectors of transparency-dev/merkle and our own tile boundaries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "vault/log/tree.h"

static struct oxv_hasher *hasher;

static void
check_hex(const uint8_t hash[OXV_HASH_BYTES], const char *hex)
{
    uint8_t wanted[OXV_HASH_BYTES];

    assert_true(oxv_parse_hex(oxv_view_text(hex), wanted, sizeof wanted));
    assert_memory_equal(hash, wanted, sizeof wanted);
}

static void
the_eight_leaf_tree_has_the_published_roots(void **state)
{
    static const char *const leaves[] = { "",
                                          "00",
                                          "10",
                                          "2021",
                                          "3031",
                                          "40414243",
                                          "5051525354555657",
                                          "606162636465666768696a6b6c6d6e6f" };
    static const char *const roots[] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    struct oxv_tree tree = { 0 };
    uint8_t root[OXV_HASH_BYTES];

    (void)state;
    oxv_tree_root(&tree, hasher, root);
    check_hex(root, roots[0]);
    for (size_t i = 0; i < 8; i++) {
        uint8_t leaf[16];
        size_t len = strlen(leaves[i]) / 2;

        assert_true(oxv_parse_hex(oxv_view_text(leaves[i]), leaf, len));
        oxv_tree_add(&tree, hasher, oxv_view(leaf, len));
        oxv_tree_root(&tree, hasher, root);
        assert_int_equal(tree.size, i + 1);
        check_hex(root, roots[i + 1]);
    }
}

static void
leaf_and_node_hashes_have_their_prefixes(void **state)
{
    uint8_t hash[OXV_HASH_BYTES];

    (void)state;
    oxv_hash_leaf(hasher, oxv_view_text("L123456"), hash);
    check_hex(hash, "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56");
    oxv_hash_bytes(hasher, oxv_view_text("abc"), hash);
    check_hex(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void
roots_at_tile_boundaries_are_as_computed_elsewhere(void **state)
{
    static const struct {
        uint64_t size;
        const char *root;
    } wanted[] = {
        { 1, "3e7077fd2f66d689e0cee6a7cf5b37bf2dca7c979af356d0a31cbc5c85605c7d" },
        { 2, "a7d91894b61fbf46378d88e3e1b1f7aef39532c504b484bd31551d15e0a09dff" },
        { 3, "9b4965f8b220ba42f7039ad0781c966cf90bb1aea15a80586d634b322ab1f4ce" },
        { 255, "bb3b9743e08118ea583ae77df04a1449a0601cde6f75146d79c2cab6366ce210" },
        { 256, "15e2dd4973ae44de8c8cf3048fd98d17adaaea6287f4e0606a55a643617408c0" },
        { 257, "d418c0873259bce7d0561ab004486112416c1c4490865415342bfe06e673146c" },
        { 1000, "c89faf3395d034a77c12c76d636db96358d6d2839c3c68f6329a07231e82fce2" },
        { 65535, "e7321cd57abf36c522d89e6d26bd9098a37b6a8b06b318976269e701f6d4802d" },
        { 65536, "bc9bca909516d5bf148c2bf2dea0a0d9f717ce4987d2fe7504d6694363b41598" },
        { 65537, "a901bb447a4b4c361cdf559658f27f24a8a3ebbc49257c472efe950932d4853a" },
        { 70000, "0759167a0f98e35e802d46ff7c7d29d2c3f03a63a256deb6abbff357a91b63b1" },
    };
    struct oxv_tree tree = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        uint8_t root[OXV_HASH_BYTES];

        while (tree.size < wanted[i].size) {
            uint8_t leaf[8];
            struct oxv_writer w = oxv_writer(leaf, sizeof leaf);

            oxv_write_u64(&w, tree.size);
            oxv_tree_add(&tree, hasher, oxv_view(leaf, sizeof leaf));
        }
        oxv_tree_root(&tree, hasher, root);
        check_hex(root, wanted[i].root);
    }
}

static void
add_numbers(struct oxv_tree *tree, uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin; i < end; i++) {
        uint8_t leaf[8];
        struct oxv_writer w = oxv_writer(leaf, sizeof leaf);

        oxv_write_u64(&w, i);
        oxv_tree_add(tree, hasher, oxv_view(leaf, sizeof leaf));
    }
}

static void
a_tree_made_of_parts_is_the_same_tree(void **state)
{
    (void)state;
    for (uint64_t before = 0; before <= 40; before += 8) {
        for (uint64_t added = 1; added <= 8; added++) {
            struct oxv_tree whole = { 0 };
            struct oxv_tree tree = { 0 };
            struct oxv_tree other = { 0 };
            uint8_t wanted[OXV_HASH_BYTES];
            uint8_t root[OXV_HASH_BYTES];

            add_numbers(&whole, 0, before + added);
            oxv_tree_root(&whole, hasher, wanted);
            add_numbers(&tree, 0, before);
            add_numbers(&other, before, before + added);
            oxv_tree_root(&other, hasher, root);
            oxv_tree_root_with(&tree, hasher, root, root);
            assert_memory_equal(root, wanted, sizeof root);
            oxv_tree_append(&tree, hasher, &other);
            assert_int_equal(tree.size, whole.size);
            oxv_tree_root(&tree, hasher, root);
            assert_memory_equal(root, wanted, sizeof root);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_eight_leaf_tree_has_the_published_roots),
        cmocka_unit_test(leaf_and_node_hashes_have_their_prefixes),
        cmocka_unit_test(roots_at_tile_boundaries_are_as_computed_elsewhere),
        cmocka_unit_test(a_tree_made_of_parts_is_the_same_tree),
    };

    hasher = oxv_hasher_new();
    if (hasher == NULL) {
        return 1;
    }
    int failed = cmocka_run_group_tests_name("log tree", tests, NULL, NULL);

    oxv_hasher_free(hasher);
    return failed;
}
