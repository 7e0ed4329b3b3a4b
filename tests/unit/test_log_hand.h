/* A log written by hand, so that a test can break one rule at a time. */
#ifndef OXV_TESTS_UNIT_TEST_LOG_HAND_H
#define OXV_TESTS_UNIT_TEST_LOG_HAND_H

#include "test_log_support.h"

#include <sodium.h>

#include "vault/log/commit.h"
#include "vault/log/entry.h"
#include "vault/log/note.h"
#include "vault/log/tree.h"

#define BOOT "00112233445566778899aabbccddeeff"

struct hand {
    char path[64];
    int fd;
    char vkey[OXV_LOG_VKEY_MAX_BYTES];
    uint8_t public_key[2][OXV_NOTE_PUBLIC_KEY_BYTES];
    struct oxv_secret *key[2]; /* of epoch 0 and 1 */
    struct oxv_hasher *hasher;
    struct oxv_tree tree;
    uint8_t bytes[65536]; /* of the segment */
    size_t len;
    uint64_t time_us;
    uint64_t mono_us;
};

static inline void
write_vkey(const struct hand *h, size_t key, char out[OXV_LOG_VKEY_MAX_BYTES])
{
    struct oxv_vkey vkey = { .name = TEST_ORIGIN };
    struct oxv_writer w = oxv_writer(out, OXV_LOG_VKEY_MAX_BYTES - 1);

    memcpy(vkey.public_key, h->public_key[key], sizeof vkey.public_key);
    oxv_vkey_write(&w, &vkey);
    assert_false(w.failed);
    out[w.len] = '\0';
}

static inline int
make_hand(void **state)
{
    struct hand *h = calloc(1, sizeof *h);
    char line[OXV_LOG_VKEY_MAX_BYTES + 1];

    assert_non_null(h);
    (void)snprintf(h->path, sizeof h->path, "/tmp/oxv-log-XXXXXX");
    assert_non_null(mkdtemp(h->path));
    h->fd = open(h->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(h->fd, "log", 0700), 0);
    assert_int_equal(mkdirat(h->fd, "log/seg", 0700), 0);
    h->hasher = oxv_hasher_new();
    for (size_t i = 0; i < 2; i++) {
        h->key[i] = oxv_secret_new(OXV_NOTE_SECRET_KEY_BYTES);
        assert_int_equal(crypto_sign_keypair(h->public_key[i], oxv_secret_bytes(h->key[i])), 0);
    }
    write_vkey(h, 0, h->vkey);
    (void)snprintf(line, sizeof line, "%s\n", h->vkey);
    write_whole(h->fd, "log/genesis.vkey", oxv_view_text(line));
    write_whole(h->fd, "log/origin", oxv_view_text(TEST_ORIGIN "\n"));
    h->time_us = 1767323045678901u;
    h->mono_us = 100;
    *state = h;
    return 0;
}

static inline int
remove_hand(void **state)
{
    struct hand *h = *state;

    remove_tree(h->path);
    (void)close(h->fd);
    oxv_hasher_free(h->hasher);
    oxv_secret_free(h->key[0]);
    oxv_secret_free(h->key[1]);
    free(h);
    return 0;
}

static inline void
add_place(struct hand *h, const struct oxv_entry *entry, const struct oxv_entry_place *place)
{
    struct oxv_writer w = oxv_writer(h->bytes, sizeof h->bytes);

    w.len = h->len;
    oxv_entry_write(&w, entry, place);
    assert_false(w.failed);
    oxv_tree_add(&h->tree, h->hasher, oxv_view(h->bytes + h->len, w.len - h->len));
    oxv_write_u8(&w, '\n');
    h->len = w.len;
}

static inline struct oxv_entry_place
next_place(const struct hand *h, uint64_t epoch)
{
    return (struct oxv_entry_place){ .seq = h->tree.size,
                                     .epoch = epoch,
                                     .time_us = h->time_us,
                                     .mono_us = h->mono_us,
                                     .boot = BOOT };
}

static inline void
add_entry(struct hand *h, const struct oxv_entry *entry, uint64_t epoch)
{
    struct oxv_entry_place place = next_place(h, epoch);

    add_place(h, entry, &place);
}

static inline void
add_commit(struct hand *h, uint64_t epoch, size_t key)
{
    struct oxv_checkpoint checkpoint = { .origin = TEST_ORIGIN, .size = h->tree.size };
    struct oxv_commit commit = { .epoch = epoch, .size = h->tree.size };
    struct oxv_writer w = oxv_writer(h->bytes, sizeof h->bytes);

    oxv_tree_root(&h->tree, h->hasher, checkpoint.root);
    memcpy(commit.root, checkpoint.root, sizeof commit.root);
    oxv_checkpoint_sign(&checkpoint, h->key[key], commit.signature);
    w.len = h->len;
    oxv_commit_write(&w, &commit);
    oxv_write_u8(&w, '\n');
    assert_false(w.failed);
    h->len = w.len;
}

static inline void
begin_hand(struct hand *h)
{
    struct oxv_entry first = genesis_entry();

    add_entry(h, &first, 0);
    add_commit(h, 0, 0);
}

static inline enum oxv_status
verify_hand(struct hand *h, struct findings *found)
{
    write_whole(h->fd, TEST_SEGMENT, oxv_view(h->bytes, h->len));
    return verify_with(h->path, h->vkey, found);
}

static inline void
must_find(struct hand *h, const char *code, uint64_t entry)
{
    struct findings found;

    assert_int_equal(verify_hand(h, &found), OXV_E_FORGED);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.code, code);
    assert_int_equal(found.entry, entry);
    assert_string_equal(found.file, "seg/000000000000.jsonl");
}

#endif
