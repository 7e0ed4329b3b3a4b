/* Tiles and entry bundles, byte for byte Tessera's, and proofs from a folder with and without. */
#include "test_log_support.h"

#include <ftw.h>

#include "vault/log/folder.h"
#include "vault/log/leaves.h"
#include "vault/log/segments.h"
#include "vault/log/tile.h"

#define VECTORS     "tests/vectors/tessera_log.txt"
#define SEGMENT     OXV_LOG_SEGMENT_ENTRIES
#define LOG_ENTRIES (2u * SEGMENT + 3000u)

static struct oxv_hasher *hasher;

static const char *const tessera_entries[] = { "one",    "two",   "three",    "four",    "five",
                                               "six",    "seven", "eit",      "nain",    "ten",
                                               "ileven", "twelf", "threeten", "fourten", "fivten" };

struct place {
    char path[64];
    int fd;
};

static int
make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    assert_non_null(p);
    (void)snprintf(p->path, sizeof p->path, "/tmp/oxv-tile-XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = p;
    return 0;
}

static int
remove_place(void **state)
{
    struct place *p = *state;

    remove_tree(p->path);
    (void)close(p->fd);
    free(p);
    return 0;
}

static size_t files_seen;

static int
see_file(const char *path, const struct stat *st, int kind)
{
    (void)path;
    (void)st;
    files_seen += kind == FTW_F ? 1 : 0;
    return 0;
}

static size_t
count_files(const char *top, const char *below)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", top, below);
    files_seen = 0;
    (void)ftw(path, see_file, 16);
    return files_seen;
}

static void
check_path(unsigned level, uint64_t n, size_t width, const char *wanted)
{
    struct oxv_tile tile = { .level = level, .n = n, .width = width };
    char path[OXV_TILE_PATH_BYTES];

    oxv_tile_path(&tile, path);
    assert_string_equal(path, wanted);
}

static void
paths_are_those_of_c2sp(void **state)
{
    (void)state;
    check_path(0, 1234067, 256, "tile/0/x001/x234/067");
    check_path(0, 0, 256, "tile/0/000");
    check_path(1, 999, 256, "tile/1/999");
    check_path(1, 1000, 256, "tile/1/x001/000");
    check_path(2, 0, 1, "tile/2/000.p/1");
    check_path(7, 1000000, 255, "tile/7/x001/x000/000.p/255");
    check_path(OXV_TILE_ENTRIES, 273, 112, "tile/entries/273.p/112");
    check_path(0, UINT64_MAX / 256, 256, "tile/0/x072/x057/x594/x037/x927/935");
}

/* The vector's file of that name, on the heap. */
static struct file_bytes
vector_of(const struct file_bytes *vectors, const char *name)
{
    struct oxv_reader r = oxv_reader(oxv_view(vectors->data, vectors->len));
    struct oxv_view line;
    size_t len = strlen(name);
    struct file_bytes found = { 0 };

    while (oxv_read_line(&r, &line)) {
        if (oxv_view_has_prefix(line, name) && line.len > len && line.data[len] == ' ') {
            found.len = (line.len - len - 1) / 2;
            found.data = malloc(found.len + 1);
            assert_non_null(found.data);
            assert_true(oxv_parse_hex(oxv_view_from(line, len + 1), found.data, found.len));
            return found;
        }
    }
    fail_msg("the vectors have no %s", name);
    return found;
}

static void
must_be_vector(const struct file_bytes *vectors, int dir_fd, const char *vector, const char *path)
{
    struct file_bytes wanted = vector_of(vectors, vector);
    struct file_bytes written = read_whole(dir_fd, path);

    assert_int_equal(written.len, wanted.len);
    assert_memory_equal(written.data, wanted.data, wanted.len);
    file_bytes_done(&wanted);
    file_bytes_done(&written);
}

static void
tesseras_log_is_written_byte_for_byte_at_every_size(void **state)
{
    struct file_bytes vectors = read_whole(AT_FDCWD, VECTORS);

    (void)state;
    for (size_t size = 0; size <= 15; size++) {
        struct place *p = NULL;
        char name[64];
        char path[64];

        assert_int_equal(make_place((void **)&p), 0);
        struct oxv_tiler *tiler = oxv_tiler_new(p->fd, hasher, OXV_TILES_ALL);

        for (size_t i = 0; i < size; i++) {
            assert_int_equal(oxv_tiler_add(tiler, oxv_view_text(tessera_entries[i]), NULL), OXV_OK);
        }
        (void)snprintf(name, sizeof name, "checkpoint.%zu", size);
        struct file_bytes note = vector_of(&vectors, name);

        assert_int_equal(oxv_tiler_finish(tiler, oxv_view(note.data, note.len), NULL), OXV_OK);
        must_be_vector(&vectors, p->fd, name, "checkpoint");
        if (size > 0) {
            (void)snprintf(path, sizeof path, "tile/0/000.p/%zu", size);
            must_be_vector(&vectors, p->fd, path, path);
            (void)snprintf(path, sizeof path, "tile/entries/000.p/%zu", size);
            must_be_vector(&vectors, p->fd, path, path);
        }
        assert_int_equal(count_files(p->path, "."), size > 0 ? 3 : 1);
        oxv_tiler_free(tiler);
        file_bytes_done(&note);
        (void)remove_place((void **)&p);
    }
    file_bytes_done(&vectors);
}

/* The checkpoints of that log say what our tree says. */
static void
tesseras_checkpoints_are_of_the_same_roots(void **state)
{
    struct file_bytes vectors = read_whole(AT_FDCWD, VECTORS);
    struct oxv_tree tree = { 0 };
    struct oxv_vkey key;

    (void)state;
    assert_int_equal(
        oxv_vkey_parse(oxv_view_text(
                           "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+"
                           "oO5xCFkkSx"),
                       &key, NULL),
        OXV_OK);
    for (size_t size = 0; size <= 15; size++) {
        char name[64];
        uint8_t root[OXV_HASH_BYTES];
        struct oxv_note note;
        struct oxv_saved_head head;

        (void)snprintf(name, sizeof name, "checkpoint.%zu", size);
        struct file_bytes bytes = vector_of(&vectors, name);

        if (size > 0) {
            oxv_tree_add(&tree, hasher, oxv_view_text(tessera_entries[size - 1]));
        }
        oxv_tree_root(&tree, hasher, root);
        assert_int_equal(oxv_note_parse(oxv_view(bytes.data, bytes.len), &note, NULL), OXV_OK);
        assert_int_equal(oxv_note_check(&note, &key), OXV_OK);
        assert_int_equal(oxv_checkpoint_parse(note.text, &head, NULL), OXV_OK);
        assert_int_equal(head.head.size, size);
        assert_memory_equal(head.head.root, root, sizeof root);
        file_bytes_done(&bytes);
    }
    file_bytes_done(&vectors);
}

static void
a_tree_of_70000_has_the_tiles_of_the_specification(void **state)
{
    static const char root_of_segment[] =
        "bc9bca909516d5bf148c2bf2dea0a0d9f717ce4987d2fe7504d6694363b41598";
    const struct place *p = *state;
    uint8_t hashes[OXV_TILE_WIDTH][OXV_HASH_BYTES];
    uint8_t wanted[OXV_HASH_BYTES];
    struct oxv_tile top = { .level = 1, .n = 0, .width = OXV_TILE_WIDTH };
    struct oxv_tiler *tiler = oxv_tiler_new(p->fd, hasher, OXV_TILES_ALL);

    for (uint64_t i = 0; i < 70000; i++) {
        uint8_t leaf[8];
        struct oxv_writer w = oxv_writer(leaf, sizeof leaf);

        oxv_write_u64(&w, i);
        assert_int_equal(oxv_tiler_add(tiler, oxv_view(leaf, sizeof leaf), NULL), OXV_OK);
    }
    assert_int_equal(oxv_tiler_finish(tiler, (struct oxv_view){ 0 }, NULL), OXV_OK);
    oxv_tiler_free(tiler);
    assert_int_equal(count_files(p->path, "tile/0"), 274);
    assert_int_equal(count_files(p->path, "tile/1"), 2);
    assert_int_equal(count_files(p->path, "tile/2"), 1);
    assert_int_equal(count_files(p->path, "tile/entries"), 274);
    assert_int_equal(count_files(p->path, "."), 274 + 2 + 1 + 274);
    assert_true(is_there(p->fd, "tile/0/273.p/112"));
    assert_true(is_there(p->fd, "tile/1/001.p/17"));
    assert_true(is_there(p->fd, "tile/2/000.p/1"));
    assert_true(is_there(p->fd, "tile/entries/273.p/112"));
    assert_int_equal(oxv_tile_read(p->fd, &top, 0, hashes, OXV_TILE_WIDTH), OXV_OK);
    oxv_tile_fold(hasher, hashes, OXV_TILE_WIDTH);
    assert_true(oxv_parse_hex(oxv_view_text(root_of_segment), wanted, sizeof wanted));
    assert_memory_equal(hashes[0], wanted, sizeof wanted);

    struct file_bytes above = read_whole(p->fd, "tile/2/000.p/1");

    assert_int_equal(above.len, OXV_HASH_BYTES);
    assert_memory_equal(above.data, wanted, OXV_HASH_BYTES);
    file_bytes_done(&above);

    struct file_bytes bundle = read_whole(p->fd, "tile/entries/001");

    assert_int_equal(bundle.len, 256 * 10);
    assert_memory_equal(bundle.data + 10, "\x00\x08\x00\x00\x00\x00\x00\x00\x01\x01", 10);
    file_bytes_done(&bundle);
}

static void
an_entry_that_no_bundle_can_hold_is_refused(void **state)
{
    static const uint8_t long_entry[65536];
    const struct place *p = *state;
    struct oxv_tiler *tiler = oxv_tiler_new(p->fd, hasher, OXV_TILES_ALL);

    assert_int_equal(oxv_tiler_add(tiler, oxv_view(long_entry, 65536), NULL), OXV_E_LIMIT);
    assert_int_equal(oxv_tiler_add(tiler, oxv_view(long_entry, 65535), NULL), OXV_OK);
    assert_int_equal(oxv_tiler_add(tiler, oxv_view(long_entry, 65535), NULL), OXV_OK);
    assert_int_equal(oxv_tiler_finish(tiler, (struct oxv_view){ 0 }, NULL), OXV_OK);
    oxv_tiler_free(tiler);

    struct file_bytes bundle = read_whole(p->fd, "tile/entries/000.p/2");

    assert_int_equal(bundle.len, 2 * 65537);
    file_bytes_done(&bundle);
}

static const uint64_t sizes[] = { 1,     200,   256,    257,    1000,       65535,
                                  65536, 65537, 131071, 131072, LOG_ENTRIES };

#define SIZE_COUNT (sizeof sizes / sizeof sizes[0])

static size_t
place_of(uint64_t size)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        if (sizes[i] == size) {
            return i;
        }
    }
    return SIZE_COUNT;
}

/* A log of its form only: entries that are numbers, commit lines now and then. */
struct big_log {
    struct place *place;
    uint8_t root[SIZE_COUNT + 1][OXV_HASH_BYTES]; /* of those sizes, and one place for others */
};

static size_t
write_number(uint64_t i, char out[32])
{
    return (size_t)snprintf(out, 32, "{\"n\":%ju}", (uintmax_t)i);
}

static int
make_big_log(void **state)
{
    struct big_log *big = calloc(1, sizeof *big);
    struct oxv_tree tree = { 0 };
    FILE *file = NULL;

    assert_non_null(big);
    assert_int_equal(make_place((void **)&big->place), 0);
    assert_int_equal(mkdirat(big->place->fd, "seg", 0700), 0);
    for (uint64_t i = 0; i < LOG_ENTRIES; i++) {
        char line[32];
        size_t len = write_number(i, line);

        if (i % SEGMENT == 0) {
            char name[OXV_SEGMENT_NAME_BYTES];
            char path[128];

            oxv_segment_name(i / SEGMENT, name);
            (void)snprintf(path, sizeof path, "%s/seg/%s", big->place->path, name);
            assert_true(file == NULL || fclose(file) == 0);
            file = fopen(path, "we");
            assert_non_null(file);
        }
        (void)fprintf(file, "%s\n%s", line, i % 100 == 99 ? "{\"commit\":{}}\n" : "");
        oxv_tree_add(&tree, hasher, oxv_view(line, len));
        if (place_of(i + 1) < SIZE_COUNT) {
            oxv_tree_root(&tree, hasher, big->root[place_of(i + 1)]);
        }
    }
    (void)fwrite("\0\0\0\0", 1, 4, file); /* as a writer leaves them */
    assert_int_equal(fclose(file), 0);
    *state = big;
    return 0;
}

static int
remove_big_log(void **state)
{
    struct big_log *big = *state;

    (void)remove_place((void **)&big->place);
    free(big);
    return 0;
}

static struct oxv_proof_head
head_at(const struct big_log *big, uint64_t size)
{
    struct oxv_proof_head head = { .size = size };

    memcpy(head.root, big->root[place_of(size)], sizeof head.root);
    return head;
}

static enum oxv_status
prove(const struct big_log *big, enum oxv_proof_kind kind, uint64_t number, uint64_t size)
{
    static struct oxv_proof_file file;
    struct oxv_proof_head head = head_at(big, size);
    struct oxv_proof_head old;
    struct oxv_err err = { 0 };

    file = (struct oxv_proof_file){ .kind = kind, .number = number };
    enum oxv_status st = oxv_folder_prove(big->place->fd, &head, &file, &old, &err);

    if (st != OXV_OK) {
        return st;
    }
    if (kind == OXV_PROOF_OF_ENTRY) {
        char line[32];
        uint8_t leaf[OXV_HASH_BYTES];

        assert_int_equal(write_number(number, line), file.extra_len);
        assert_memory_equal(file.extra, line, file.extra_len);
        oxv_hash_leaf(hasher, oxv_view(line, file.extra_len), leaf);
        assert_true(oxv_proof_has_leaf(hasher, &file.proof, number, leaf, &head));
    } else {
        assert_memory_equal(old.root, big->root[place_of(number)], sizeof old.root);
        assert_true(oxv_proof_extends(hasher, &file.proof, &old, &head));
    }
    return st;
}

static void
prove_all(const struct big_log *big)
{
    for (size_t s = 0; s < SIZE_COUNT; s++) {
        for (size_t i = s % 2; i <= s; i += 2) {
            assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, sizes[i] - 1, sizes[s]), OXV_OK);
            assert_int_equal(prove(big, OXV_PROOF_OF_GROWTH, sizes[i], sizes[s]), OXV_OK);
        }
        assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, sizes[s], sizes[s]), OXV_E_USAGE);
        assert_int_equal(prove(big, OXV_PROOF_OF_GROWTH, sizes[s] + 1, sizes[s]), OXV_E_USAGE);
    }
}

static void
update(const struct big_log *big, uint64_t size)
{
    assert_int_equal(oxv_tiles_update(big->place->fd, hasher, size, NULL), OXV_OK);
}

static void
proofs_come_from_the_segments_where_there_are_no_tiles(void **state)
{
    prove_all(*state);
}

static void
tiles_are_written_as_the_log_grows_and_proofs_come_from_them(void **state)
{
    const struct big_log *big = *state;
    const char *path = big->place->path;

    update(big, 255);
    assert_int_equal(count_files(path, "tile"), 0);
    update(big, 257);
    assert_int_equal(count_files(path, "tile"), 1);
    update(big, SEGMENT + 256);
    assert_int_equal(count_files(path, "tile/0"), 257);
    assert_int_equal(count_files(path, "tile/1"), 1);
    update(big, LOG_ENTRIES);
    assert_int_equal(count_files(path, "tile/0"), 523);
    assert_int_equal(count_files(path, "tile/1"), 2);
    assert_int_equal(count_files(path, "tile"), 525);
    prove_all(big);
    /* The first segment is not read any more: it may be gone. */
    assert_int_equal(renameat(big->place->fd, "seg/000000000000.jsonl", big->place->fd, "away"), 0);
    assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, LOG_ENTRIES - 1, LOG_ENTRIES), OXV_OK);
    assert_int_equal(prove(big, OXV_PROOF_OF_GROWTH, SEGMENT, LOG_ENTRIES), OXV_OK);
    update(big, LOG_ENTRIES);
    assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, 5, LOG_ENTRIES), OXV_E_IO);
    assert_int_equal(renameat(big->place->fd, "away", big->place->fd, "seg/000000000000.jsonl"), 0);
}

static void
flip(int dir_fd, const char *path, off_t at)
{
    int fd = openat(dir_fd, path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void
a_damaged_tile_is_done_without_and_a_damaged_entry_is_not(void **state)
{
    const struct big_log *big = *state;
    int fd = big->place->fd;

    update(big, LOG_ENTRIES);
    flip(fd, "tile/1/000", 40);
    flip(fd, "tile/0/003", 5);
    assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, 700, LOG_ENTRIES), OXV_OK);
    assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, SEGMENT + 5, LOG_ENTRIES), OXV_OK);
    assert_int_equal(prove(big, OXV_PROOF_OF_GROWTH, 1000, LOG_ENTRIES), OXV_OK);
    /* An empty one, as a power cut leaves it, is written again. */
    int empty = openat(fd, "tile/0/004", O_WRONLY | O_TRUNC | O_CLOEXEC);

    (void)close(empty);
    assert_int_equal(unlinkat(fd, "tile/1/000", 0), 0);
    update(big, LOG_ENTRIES);
    struct oxv_tile tile = { .level = 0, .n = 4, .width = OXV_TILE_WIDTH };
    uint8_t hash[1][OXV_HASH_BYTES];

    assert_int_equal(oxv_tile_read(fd, &tile, 255, hash, 1), OXV_OK);
    flip(fd, "seg/000000000000.jsonl", 3); /* "n" */
    assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, 0, LOG_ENTRIES), OXV_E_FORGED);
    assert_int_equal(prove(big, OXV_PROOF_OF_ENTRY, 0, 256), OXV_E_FORGED);
    assert_int_equal(prove(big, OXV_PROOF_OF_GROWTH, 200, 256), OXV_OK); /* the tile knows better */
    assert_int_equal(unlinkat(fd, "tile/0/000", 0), 0);
    assert_int_equal(prove(big, OXV_PROOF_OF_GROWTH, 200, 256), OXV_E_FORGED);
}

static enum oxv_status
count_leaf(void *ctx, struct oxv_view line)
{
    uint64_t *count = ctx;

    (void)line;
    return ++*count == 1000 ? OXV_E_BUSY : OXV_OK;
}

static void
leaves_are_read_across_segments_and_never_beyond_the_end(void **state)
{
    const struct big_log *big = *state;
    int seg_fd = openat(big->place->fd, "seg", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct oxv_err err = { 0 };
    uint64_t count = 0;

    assert_int_equal(oxv_leaves_each(seg_fd, (struct oxv_leaf_range){ SEGMENT - 2, SEGMENT + 2 },
                                     count_leaf, &count, &err),
                     OXV_OK);
    assert_int_equal(count, 4);
    assert_int_equal(oxv_leaves_each(seg_fd, (struct oxv_leaf_range){ 0, 5000 }, count_leaf, &count,
                                     &err),
                     OXV_E_BUSY);
    assert_int_equal(count, 1000);
    assert_int_equal(oxv_leaves_each(seg_fd,
                                     (struct oxv_leaf_range){ LOG_ENTRIES - 1, LOG_ENTRIES + 1 },
                                     count_leaf, &count, &err),
                     OXV_E_FORGED);
    assert_non_null(strstr(err.text, "entry 134072 is missing"));
    assert_int_equal(oxv_leaves_each(seg_fd, (struct oxv_leaf_range){ 7, 7 }, count_leaf, &count,
                                     &err),
                     OXV_OK);
    (void)close(seg_fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_those_of_c2sp),
        cmocka_unit_test(tesseras_log_is_written_byte_for_byte_at_every_size),
        cmocka_unit_test(tesseras_checkpoints_are_of_the_same_roots),
        cmocka_unit_test_setup_teardown(a_tree_of_70000_has_the_tiles_of_the_specification,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(an_entry_that_no_bundle_can_hold_is_refused, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(proofs_come_from_the_segments_where_there_are_no_tiles,
                                        make_big_log, remove_big_log),
        cmocka_unit_test_setup_teardown(
            tiles_are_written_as_the_log_grows_and_proofs_come_from_them, make_big_log,
            remove_big_log),
        cmocka_unit_test_setup_teardown(a_damaged_tile_is_done_without_and_a_damaged_entry_is_not,
                                        make_big_log, remove_big_log),
        cmocka_unit_test_setup_teardown(leaves_are_read_across_segments_and_never_beyond_the_end,
                                        make_big_log, remove_big_log),
    };

    hasher = oxv_hasher_new();
    if (hasher == NULL) {
        return 1;
    }
    int failed = cmocka_run_group_tests_name("log tiles", tests, NULL, NULL);

    oxv_hasher_free(hasher);
    return failed;
}
